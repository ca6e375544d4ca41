"""``healthagent top``: what ``status`` shows, the worst first, and what happens, as it changes."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Document
from healthagent.cli.entry import show as show_entry
from healthagent.cli.full_screen import END, full_screen
from healthagent.cli.screen import Screen, clock
from healthagent.cli.status import pools, summary, table
from healthagent.core.report import Phase
from healthagent.errors import AgentUnreachable
from healthagent.surfaces.entry_text import of_the_whole

QUIT = frozenset({"q", "Q", "\x1b", END})
"""q, Escape, Ctrl-D; Ctrl-C as well."""

PAST = 300
"""Entries that are asked for, of which those of single checks are left out."""

FEWEST = 5
"""Lines that what happened gets, however many replicas there are."""

SHORTEST = 0.1

EASE = 4
"""Times what a look took, before the next one: where that is much the agent has much to do."""


@click.command(short_help="all of it, as it changes, on the whole screen")
@click.option(
    "--interval",
    "-n",
    metavar="SECONDS",
    type=click.FloatRange(min=SHORTEST),
    default=1.0,
    show_default=True,
    help="Time between looks.",
)
@parameters.agent
def top(agent: Agent, interval: float) -> None:
    """Show every replica, the worst first, and what happened last, until q is pressed.

    It fills the terminal, and needs one: `healthagent status` prints the same once, `healthagent
    events` each change. Where the agent falls silent it says since when, and goes on asking.
    """
    if sys.stdout is None or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        raise click.UsageError(
            "top needs a terminal to draw on; `healthagent status` prints once, "
            "`healthagent events` follows"
        )
    picture = _picture(agent)  # no agent: an error, before the screen is cleared
    with suppress(KeyboardInterrupt), full_screen() as terminal:
        hint = f"every {interval:g} s   {terminal.quits}"
        silent, due = "", time.monotonic() + interval
        while True:
            terminal.draw(_fitted(picture, silent, hint))
            typed = terminal.key(max(0.0, due - time.monotonic()))
            if typed in QUIT or typed[-1:] in QUIT:  # a key that was struck twice is one answer
                return
            if (begun := time.monotonic()) < due:
                continue  # another key, or a window of another size: the same, drawn once more
            try:
                picture, silent = _picture(agent), ""
            except AgentUnreachable as error:
                silent = f"silent since {clock(picture[0]['time'])}: {str(error).splitlines()[0]}"
            took = time.monotonic() - begun
            due = begun + took + max(interval, EASE * took)


Picture = tuple[Document, dict[str, Document], list[Document]]


def _picture(agent: Agent) -> Picture:
    worst = [str(phase) for phase in Phase]
    health = agent.health()
    health["targets"].sort(key=lambda target: worst.index(target["phase"]))
    past = [entry for entry in agent.past_events(None, PAST) if of_the_whole(entry)]
    return health, pools(agent), past


def _fitted(picture: Picture, silent: str, hint: str) -> list[str]:
    """How all of it is, the replicas, and below them what happened, newest first: as many lines as
    there is room. The replicas make room for the others: what they come to stands above."""
    health, shares, past = picture
    room = shutil.get_terminal_size().lines
    title = _lines(lambda screen: _title(screen, health, silent, hint))
    above = _cut(_lines(lambda screen: summary(screen, health)), room // 2)
    happened = _lines(lambda screen: _happened(screen, past))
    left = room - len(title) - len(above) - min(FEWEST, len(happened)) - len(("", "", ""))
    rows = _cut(_lines(lambda screen: table(screen, health, shares)), left)
    return [*title, "", *above, "", *rows, "", *happened][:room]


def _cut(lines: list[str], room: int) -> list[str]:
    if len(lines) <= room:
        return lines
    kept = max(1, room - 1)
    return [*lines[:kept], f"... {len(lines) - kept} lines more in a taller window"]


def _lines(draw: Callable[[Screen], None]) -> list[str]:
    """What a screen of this moment's width was told to print."""
    printed: list[str] = []
    draw(Screen(printed.append))
    return "\n".join(printed).split("\n")


def _happened(screen: Screen, past: list[Document]) -> None:
    for entry in reversed(past):
        show_entry(screen, entry)


def _title(screen: Screen, health: Document, silent: str, hint: str) -> None:
    if silent:
        screen.folding((silent, "bold red"))
        return
    ready = sum(target["ready"] for target in health["targets"])
    screen.line(
        (f"{ready} of {len(health['targets'])} ready", "bold"),
        (f"   {clock(health['time'])}   {hint}", "dim"),
    )
