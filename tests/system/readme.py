"""What the README tells people to type, and what it shows them that comes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from provision.paths import ROOT

README = (ROOT / "README.md").read_text()


@dataclass(frozen=True, slots=True)
class Shown:
    """A command with what it prints."""

    command: str
    prints: list[str]


def _blocks(language: str) -> list[list[str]]:
    """The lines of each code block of a language; of none where it is empty."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text.splitlines() for tag, text in found if tag == language]


COMMANDS = [line for block in _blocks("sh") for line in block]
SHOWN = [
    Shown(first.removeprefix("$ "), lines)
    for first, *lines in _blocks("")
    if first.startswith("$ ")
]
