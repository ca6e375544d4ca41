"""``healthagent events``: what changed and what was done, as it happens."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Event, find
from healthagent.cli.entry import show
from healthagent.cli.screen import Screen, print_json_line
from healthagent.errors import AgentUnreachable, UnknownTarget
from healthagent.surfaces.target_text import instant

EVERYTHING = 1000
"""As many events as the agent keeps."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between tries to reach the agent again."""


UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def time_ago(text: str) -> datetime:
    """The time that is ``10m`` ago; the first there is where that would be before it."""
    matched = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if matched is None:
        raise click.BadParameter(f"{text!r} is no duration; write 90s, 10m, 2h or 1d")
    try:
        return datetime.now(UTC) - timedelta(**{UNITS[matched[2]]: int(matched[1])})
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


@click.command(short_help="what changed and what was done, as it happens")
@click.option(
    "--target",
    shell_complete=parameters.complete_target,
    help="Only this replica: its name, id, or the beginning of the id.",
)
@click.option(
    "--since",
    metavar="DURATION",
    type=time_ago,
    help="Begin with what happened since then, such as 10m.",
)
@click.option("--replay", type=click.IntRange(0), help="Begin with the last N.", metavar="N")
@click.option("--follow/--no-follow", default=True, help="Go on, or end with what is known.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one event a line.")
@parameters.agent
def events(
    agent: Agent,
    target: str | None,
    since: datetime | None,
    replay: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show every transition of a replica or of one of its checks, and every act, with its reason.

    It follows until it is interrupted, and reaches for the agent again where the connection is cut,
    from where it stood. With --no-follow and neither --since nor --replay it shows all that the
    agent remembers.
    """
    if replay is None:
        replay = EVERYTHING if since or not follow else 0
    query = {"replay": str(replay), "follow": "true" if follow else "false"}
    if target:
        query["target"] = _name(agent, target)
    screen = None if as_json else Screen()
    try:
        for event in unbroken(agent, query) if follow else agent.events(query, ""):
            if since and instant(event.data["time"]) < since:
                continue
            if screen is None:
                print_json_line(event.data)
            else:
                show(screen, event.data)
    except KeyboardInterrupt:
        click.echo(err=True)


def _name(agent: Agent, reference: str) -> str:
    """The name of the target that is meant; of one that is gone as it is written.

    Raises :class:`UnknownTarget` where neither a target nor an event has it.
    """
    try:
        name: str = find(agent.health(), reference)["name"]
    except UnknownTarget as error:
        if agent.past_events(reference, 1):
            return reference
        raise UnknownTarget(f"nothing is kept of it, and {error}") from None
    return name


def unbroken(agent: Agent, query: dict[str, str]) -> Iterator[Event]:
    """All events, over as many connections as it takes. Only the first one may fail."""
    last_id, pause = "", 0.0
    while True:
        try:
            for event in agent.events(query, last_id):
                last_id, pause = event.id, 0.0
                if event.data:
                    yield event
        except AgentUnreachable:
            if not pause:
                raise
        else:
            pause = 0.0
        if not pause:
            click.echo(
                f"healthagent: {agent.where} ended the stream; reaching for it again", err=True
            )
        pause = min(LONGEST_PAUSE, 2 * pause or FIRST_PAUSE)
        time.sleep(pause)
