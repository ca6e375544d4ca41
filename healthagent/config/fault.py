"""One thing that is wrong with the settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from healthagent.core.masking import HIDDEN


@dataclass(frozen=True, slots=True)
class Fault:
    """``origin`` is where ``value`` was written; each is ``None`` where it is not told."""

    key: str
    problem: str
    remedy: str
    value: object = None
    origin: str | None = None

    def __str__(self) -> str:
        value = "" if self.value is None else f" = {_quoted(self.value)}"
        origin = "" if self.origin is None else f" ({self.origin})"
        return f"{self.key}{value}{origin}: {self.problem}; {self.remedy}"

    def document(self) -> Mapping[str, object]:
        """What JSON tells of it."""
        plain = self.value is None or isinstance(self.value, bool | int | float | str)
        return {
            "key": self.key,
            "value": self.value if plain else str(self.value),
            "problem": self.problem,
            "remedy": self.remedy,
            "origin": self.origin,
        }


def _quoted(value: object) -> str:
    """As it is in the file; a path and what is hidden as they are."""
    if value == HIDDEN or isinstance(value, PurePath):
        return str(value)
    return json.dumps(value, default=str, ensure_ascii=False)
