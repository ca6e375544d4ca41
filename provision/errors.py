"""What can go wrong while setting up, each with what the person in front of it can do.

ProvisionError
├── Unavailable     this machine cannot have it: callers fall back, or skip loudly
└── CommandFailed   a program that was run ended badly
"""

import re
from collections.abc import Sequence
from typing import Final

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class ProvisionError(Exception):
    """A step failed: ``reason`` says what, ``remedy`` what to do about it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}\n  remedy: {remedy}")
        self.reason = reason
        self.remedy = remedy


class Unavailable(ProvisionError):
    """The part cannot be had on this machine by any way known here."""


class CommandFailed(ProvisionError):
    """A program exited with a code other than 0 (``status`` None: its deadline passed)."""

    def __init__(self, command: Sequence[str], status: int | None, output: str) -> None:
        words = " ".join(command)
        ending = "passed its deadline" if status is None else f"exited {status}"
        plain = _COLOUR.sub("", output)
        last = "\n".join(f"  | {line}" for line in plain.strip().splitlines()[-15:])
        super().__init__(
            f"`{words}` {ending}" + (f":\n{last}" if last else ""),
            "cure what its last words name, then start again: what is done is not done twice",
        )
        self.status = status
        self.output = plain
