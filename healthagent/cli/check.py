"""``healthagent check``: what one check says, of one replica by a look of its own."""

from __future__ import annotations

import time

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Document, find, near
from healthagent.cli.screen import Screen, print_json, styled
from healthagent.errors import UnknownTarget

LOOK = 0.2
"""Seconds from one question to the agent whether it has looked again to the next."""

LATE = 5.0
"""Seconds beyond the replica's interval and timeout in which the agent looks again."""


@click.command(short_help="what one check says of a replica, or of all")
@click.argument("name")
@parameters.target(required=False)
@parameters.as_json
@parameters.agent
@click.pass_context
def check(ctx: click.Context, name: str, target: str | None, agent: Agent, as_json: bool) -> None:
    """Say what the check NAME finds at TARGET, or what it last found at every replica.

    With TARGET it waits until the agent has looked once more, by the same code as ever, and shows
    what it saw then, with how the replica stands. NAME is that of a check, as explain lists them.

    Exits 1 if the check keeps a replica out of rotation.
    """
    health = agent.health()
    asked = health["targets"] if target is None else [find(health, target)]
    found = [(t, c) for t in asked for c in t["checks"] if c["name"] == name]
    if not found:
        raise _not_there(name, target, asked)
    if target is not None:
        ((t, c),) = found
        found = [(t, _looked_again(agent, t, c, health["time"]))]
    if as_json:
        print_json([{"target": t["name"], "id": t["id"], **c} for t, c in found])
    else:
        screen = Screen()
        for t, c in found:
            screen.line(f"{t['name']}  ", styled(c["status"]), f"  {_said(c)}")
            if target is not None and c["newest"]["status"] != c["status"]:
                newest = c["newest"]
                screen.line("last look  ", styled(newest["status"]), f"  {newest['reason']}")
    ctx.exit(1 if any(c["blocks"] for _, c in found) else 0)


def _looked_again(agent: Agent, target: Document, check: Document, since: str) -> Document:
    """The check as it is once the agent has looked after ``since``; as it was, with a word on
    stderr, where the agent does not."""
    timing = target["settings"]
    within = LATE + sum(float(timing[key]["value"]) for key in ("interval", "timeout") if timing)
    deadline = time.monotonic() + within
    while (check["looked_at"] or "") < since:
        if time.monotonic() > deadline:
            click.echo(f"healthagent: it did not look again within {within:g} s", err=True)
            break
        time.sleep(LOOK)
        again = find(agent.health(), target["id"])
        check = next((c for c in again["checks"] if c["name"] == check["name"]), check)
    return check


def _said(verdict: Document) -> str:
    why = "it is shared, or would cost the service its quorum"
    excused = f" (excused: {why})" if verdict["excused"] else ""
    return f"{verdict['reason']}{excused}"


def _not_there(name: str, target: str | None, asked: list[Document]) -> UnknownTarget:
    known = list(dict.fromkeys(check["name"] for t in asked for check in t["checks"]))
    who = f"{target} has" if target else "no replica has"
    no = "no check" if target else "a check"
    return UnknownTarget(f"{who} {no} {name!r}; {near(name, known)}")
