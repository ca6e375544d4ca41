"""A shell's text as the commands that it runs one after the other; nothing is expanded."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePath

_PIECE = re.compile(
    r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|(?P<comment>(?<!\S)\#[^\n]*)"""
    r"""|(?P<end>&&|\|\|?|;;?|[\n()]|(?P<beside>(?<![&<>])&(?![&>])))|.""",
    re.DOTALL,
)
"""A shell's text: what is quoted, a comment, what ends a command, any other character."""
_HEREDOC = re.compile(r"<<-?\s*([\"']?)(\w+)\1(.*?)(\n[\s\S]*?^\s*\2)$", re.MULTILINE)
KEYWORDS = frozenset({"if", "then", "elif", "else", "do", "while", "until", "!", "{", "time"})
"""A command may stand behind these."""
CLOSING = frozenset({"fi", "done", "esac", "}"})
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([\w-]+)\s*\(\s*\)", re.MULTILINE)
_SHEBANG = re.compile(r"#!\s*(?:\S*/env\s+(?:-S\s+)?)?(\S+)")


@dataclass(frozen=True, slots=True)
class Run:
    """A command of a shell's text; ``beside`` where it runs beside what follows."""

    text: str
    line: int
    beside: bool


def commands(text: str) -> list[Run]:
    """Each with the line that it begins on. What is written out behind ``<<`` is no command."""
    text = _HEREDOC.sub(lambda heredoc: heredoc[3] + "\n" * heredoc[4].count("\n"), text)
    found, written, line = [], "", 1
    for piece in _PIECE.finditer(f"{text}\n"):
        if piece["end"] is None:
            if not written.strip():
                line = text.count("\n", 0, piece.start()) + 1
            written += " " if piece["comment"] or piece[0] == "\\\n" else piece[0]
            continue
        if written.strip():
            found.append(Run(written.strip(), line, piece["beside"] is not None))
        written = ""
    return found


def split(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def interpreter(script: str) -> str:
    """The program that runs a script, by its first line."""
    by = _SHEBANG.match(script)
    return PurePath(by[1]).name if by else "sh"


def functions(script: str) -> frozenset[str]:
    """The names of those that it defines."""
    return frozenset(_FUNCTION.findall(script))
