"""Something wrong that is no replica's state: a label that cannot be read, a socket gone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """``about`` is the container or part; ``key`` is the setting at fault, where there is one, and
    ``value`` what it says, where that is to be told; ``remedy`` is what to do.
    """

    about: str
    problem: str
    remedy: str
    key: str = ""
    value: str = ""

    def __str__(self) -> str:
        value = f"={self.value!r}" if self.value else ""
        setting = f"{self.key}{value} " if self.key else ""
        return f"{self.about}: {setting}{self.problem}; {self.remedy}"
