"""Puts the native probes that are built into the wheel; one without them is built all the same.

`healthagent probe install` copies them out. `make wheel` builds them first.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProbesHook(BuildHookInterface):  # type: ignore[type-arg]
    """Found by hatchling in this file, by its base class."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files before they are collected; an editable installation has its checkout."""
        if version == "editable":
            return
        for probe in sorted(Path(self.root, "probes", "dist").glob("healthprobe-*")):
            if probe.suffix != ".sha256":
                build_data["force_include"][str(probe)] = f"healthagent/_probes/{probe.name}"
