"""What people see: tables, colours, times. Colour only on a terminal that paints,
and not where NO_COLOR is."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

import click

from healthagent.errors import HealthagentError
from healthagent.surfaces.target_text import instant

STYLES = {
    "ready": "green",
    "ok": "green",
    "starting": "cyan",
    "degraded": "yellow",
    "unknown": "magenta",
    "not ready": "bold red",
    "not live": "bold red",
    "failed": "bold red",
    "drained": "blue",
    "absent": "dim",
    "begun": "cyan",
    "going on": "cyan",
    "done": "green",
    "refused": "yellow",
    "observed": "yellow",
}
"""The colour of each phase of a target, status of a check and outcome of an act."""

NARROWEST = 20
"""Columns that a text needs beside what stands before it; with fewer it goes below."""

INDENT = 4
"""Columns before what goes below."""

Part = str | tuple[str, str]
"""A text, or a text with its style: a colour, ``bold`` or ``dim``, with blanks between."""


class Screen:
    """Prints to stdout. What is no terminal gets no colour, and no line is folded or cut.

    Written on click alone: a library for tables takes longer to import than the agent to answer.
    ``to`` takes what is printed, where that is not to go out at once.
    """

    def __init__(self, to: Callable[[str], None] | None = None) -> None:
        self._print = to or partial(click.echo, color=True)
        terminal = sys.stdout is not None and sys.stdout.isatty()  # None: it was closed
        forced = bool(os.environ.get("FORCE_COLOR"))
        paints = terminal and os.environ.get("TERM") != "dumb"
        self._coloured = (paints or forced) and not os.environ.get("NO_COLOR")
        self._width = shutil.get_terminal_size().columns if terminal else sys.maxsize

    def line(self, *parts: Part) -> None:
        self._print("".join(self._painted(part) for part in parts).rstrip())

    def folding(self, *parts: Part) -> None:
        """A line whose last part is folded where the terminal ends."""
        *before, last = parts
        self.line(*before, self._folded(last, sum(len(_plain(part)) for part in before)))

    def table(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[Part]],
        numbers: Collection[str] = (),
    ) -> None:
        """A table whose columns are as wide as they need to be; a text in the last one folds.

        ``numbers`` are the heads of columns that are aligned to the right. A column that stays
        empty is left out.
        """
        shown = [n for n in range(len(heads)) if any(_plain(row[n]) for row in rows)]
        widths = [max(len(_plain(row[n])) for row in (heads, *rows)) for n in shown]
        for row in ([(head, "bold") for head in heads], *rows):
            parts: list[Part] = []
            column = 0
            for n, width in zip(shown, widths, strict=True):
                gap = " " * (width - len(_plain(row[n])))
                cell = self._folded(row[n], column) if n == shown[-1] else row[n]
                parts += (gap, cell) if heads[n] in numbers else (cell, gap)
                parts.append("   ")
                column += width + 3
            self.line(*parts)

    def _folded(self, cell: Part, column: int) -> Part:
        """A cell that begins at ``column``, folded where the terminal ends."""
        text, room = _plain(cell), self._width - column
        if len(text) <= room:
            return cell
        lines = []
        if room < max([NARROWEST, *map(len, text.split())]):
            lines, column, room = [""], INDENT, max(NARROWEST, self._width - INDENT)
        # A path, a name or a label is copied whole, so that none ends at one of its hyphens.
        parts = textwrap.wrap(text, room, break_on_hyphens=False)
        folded = f"\n{' ' * column}".join((*lines, *parts))
        return folded if isinstance(cell, str) else (folded, cell[1])

    def _painted(self, part: Part) -> str:
        text, style = (part, "") if isinstance(part, str) else part
        # What others wrote may hold a terminal's escapes.
        clean = "".join(
            c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text
        )
        words = style.split()
        colour = next((word for word in words if word not in ("bold", "dim")), None)
        if not words or not self._coloured:
            return clean
        paint = partial(
            click.style, fg=colour, bold="bold" in words or None, dim="dim" in words or None
        )
        return "\n".join(map(paint, clean.split("\n")))  # each line stands alone


def _plain(part: Part) -> str:
    return part if isinstance(part, str) else part[0]


def styled(state: str) -> tuple[str, str]:
    """A phase or status in its colour."""
    return state, STYLES.get(state, "")


def clock(time: str) -> str:
    """The local time of day, with the date where that is not today."""
    local = instant(time).astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def print_json(document: Any) -> None:
    """A whole document, for programs."""
    click.echo(json_text(document, indent=2))


def print_json_line(document: Any) -> None:
    """One of many documents, for programs."""
    click.echo(json_text(document))


def json_text(document: Any, indent: int | None = None) -> str:
    """JSON in characters that stdout has."""
    encoding = getattr(sys.stdout, "encoding", None) or ""
    unicode = encoding.lower().replace("-", "") == "utf8"
    return json.dumps(document, indent=indent, ensure_ascii=not unicode)


class _Output(io.TextIOWrapper):
    """Standard output that fails in words where it takes nothing, as on a full disk, also where a
    library prints. A reader that has gone is no error: click ends the command."""

    def write(self, text: str) -> int:
        with self._told():
            return super().write(text)

    def flush(self) -> None:
        with self._told():
            super().flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            # Else Python would write what is left once more when it ends, and fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise HealthagentError(f"standard output takes no more: {error.strerror}") from None


def settle_streams() -> None:
    """Have standard output fail in words, and print ``?`` for a character that it does not have.

    A stream that is closed gets a place where nothing is read or kept: else the next file that is
    opened would be it. Of the agent that is its event loop, into which the log would be written,
    and libuv ends the process where it is to close such a one.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if type(sys.stdout) is io.TextIOWrapper:  # None where it was closed
        sys.stdout = _Output(
            # One of its own: the first still tells how wide the terminal is.
            io.BufferedWriter(io.FileIO(sys.stdout.fileno(), "w", closefd=False)),
            sys.stdout.encoding,
            errors="replace",
            line_buffering=sys.stdout.line_buffering,
        )
