"""``healthagent check``: one check's newest verdict."""

from __future__ import annotations

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Document, find, near
from healthagent.cli.screen import Screen, print_json, styled
from healthagent.errors import UnknownTarget


@click.command(short_help="what one check says of a replica, or of all")
@click.argument("name")
@parameters.target(required=False)
@parameters.as_json
@parameters.agent
@click.pass_context
def check(ctx: click.Context, name: str, target: str | None, agent: Agent, as_json: bool) -> None:
    """Show what the check NAME says of TARGET, or of every replica that it applies to.

    This is the agent's newest verdict, at most one interval old; nothing is run a second time.
    NAME is one of process, exit, event_loop, http, postgres, pool and dbos.

    Exits 1 if the check keeps a replica out of rotation.
    """
    targets = agent.health()["targets"]
    asked = targets if target is None else [find(targets, target)]
    found = [(t, c) for t in asked for c in t["checks"] if c["name"] == name]
    if not found:
        raise _not_there(name, target, asked)
    if as_json:
        print_json([{"target": t["name"], "id": t["id"], **c} for t, c in found])
    else:
        screen = Screen()
        for t, c in found:
            screen.line(f"{t['name']}  ", styled(c["status"]), f"  {_said(c)}")
    ctx.exit(1 if any(c["blocks"] for _, c in found) else 0)


def _said(verdict: Document) -> str:
    excused = " (excused: it would cost the service its quorum)" if verdict["excused"] else ""
    return f"{verdict['reason']}{excused}"


def _not_there(name: str, target: str | None, asked: list[Document]) -> UnknownTarget:
    known = list(dict.fromkeys(check["name"] for t in asked for check in t["checks"]))
    who = f"{target} has" if target else "no replica has"
    no = "no check" if target else "a check"
    return UnknownTarget(f"{who} {no} {name!r}; {near(name, known)}")
