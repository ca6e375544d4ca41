"""What is there before the agent's image is built."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from provision import agent, probe
from provision.engine import Engine
from provision.progress import Progress


class Began(Exception):
    """The image is looked at."""


class Docker:
    def image_id(self, tag: str) -> str:
        raise Began(tag)


def test_the_probe_that_the_package_carries_is_built_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a checkout where nothing was built yet its HEALTHCHECK would be missing."""
    built = []

    def ensure(_: Progress) -> Path:
        built.append("healthprobe")
        return Path()

    monkeypatch.setattr(probe, "ensure", ensure)
    with pytest.raises(Began):
        agent.ensure(cast("Engine", Docker()))
    assert built == ["healthprobe"]
