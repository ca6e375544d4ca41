"""``healthagent history``: what was done and what changed, over restarts of the agent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent
from healthagent.cli.entry import show
from healthagent.cli.events import time_ago
from healthagent.cli.screen import Screen, print_json
from healthagent.errors import UnknownTarget


@click.command(short_help="what was done and what changed, over restarts of the agent")
@parameters.target(required=False)
@click.option(
    "--since",
    metavar="DURATION",
    type=time_ago,
    help="Only what happened since then, such as 10m or 2d.",
)
@click.option(
    "--last",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="Only the last N.",
)
@click.option("--evidence", metavar="ACT", help="What was found before that act stopped a replica.")
@parameters.as_json
@parameters.agent
def history(
    agent: Agent,
    target: str | None,
    since: datetime | None,
    last: int,
    evidence: str | None,
    as_json: bool,
) -> None:
    """Show every act of the agent and of people, each with its reason, and how replicas changed.

    TARGET is the name of a replica or of a service, of one that is gone as well. An act that kept
    evidence shows how to read it.
    """
    if evidence is not None:
        _evidence(agent, evidence, as_json)
        return
    query = {"most": str(last)} | ({"name": target} if target else {})
    if since is not None:
        query["since"] = f"{max(1, int((datetime.now(UTC) - since).total_seconds()))}s"
    document = agent.history(query)
    if as_json:
        print_json(document)
        return
    screen = Screen()
    for entry in document["entries"]:
        show(screen, entry)
    if not document["entries"]:
        screen.line("Nothing is kept of that." if target or since else "Nothing has happened yet.")


def _evidence(agent: Agent, act: str, as_json: bool) -> None:
    found = agent.evidence(act)
    if found is None:
        raise UnknownTarget(
            f"no evidence is kept of an act {act!r}; `healthagent history` names all"
        )
    if as_json:
        print_json(found)
        return
    screen = Screen()
    log = found.pop("log", None)
    for name, part in found.items():
        screen.line((name, "bold"))
        for line in _lines(part):
            screen.line(f"  {line}")
    screen.line(("log", "bold"))
    for line in _lines(log):
        screen.line(f"  {line}")


def _lines(part: Any) -> list[str]:
    if isinstance(part, str):
        return part.splitlines()
    return json.dumps(part, indent=2, ensure_ascii=False).splitlines()
