"""``healthagent status``: every replica in a table, worst news first to the eye."""

from __future__ import annotations

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Document, NotServed
from healthagent.cli.screen import Screen, print_json, styled
from healthagent.surfaces.target_text import (
    NOBODY,
    NOBODY_YET,
    ago,
    docker,
    held,
    is_stuck,
    readiness,
    reason,
    shares,
)


@click.command(short_help="every replica, with its state and the reason")
@parameters.as_json
@parameters.agent
@click.pass_context
def status(ctx: click.Context, agent: Agent, as_json: bool) -> None:
    """Show every replica, service by service: its state, since when, and why.

    POOL is connections held of those declared. DOCKER is Docker's own view, shown and never
    judged. With --json it prints the agent's /health.

    Exits 1 if any replica is not ready or not judged yet, or if the agent itself is stuck.
    """
    health = agent.health()
    if as_json:
        print_json(health)
    else:
        show(Screen(), health, pools(agent))
    all_ready = all(target["ready"] for target in health["targets"])
    ctx.exit(0 if health["settled"] and health["status"] != "fail" and all_ready else 1)


def pools(agent: Agent) -> dict[str, Document]:
    """Each replica's share of its server's connections; none on a public listener."""
    try:
        return shares(agent.budget())
    except NotServed:
        return {}


def show(screen: Screen, health: Document, pools: dict[str, Document]) -> None:
    """The table, and below it what all of them come to."""
    table(screen, health, pools)
    if health["targets"]:
        screen.line()
    summary(screen, health)


def table(screen: Screen, health: Document, pools: dict[str, Document]) -> None:
    """A row for each replica."""
    if not health["targets"]:
        screen.line(NOBODY if health["settled"] else NOBODY_YET)
        return
    now = health["time"]
    rows = [_row(target, pools.get(target["name"], {}), now) for target in health["targets"]]
    screen.table(("REPLICA", "STATE", "SINCE", "POOL", "DOCKER", "REASON"), rows)


def summary(screen: Screen, health: Document) -> None:
    """What ails the agent itself, a line for each service, and what else is not well."""
    if is_stuck(health):
        screen.folding((health["output"], "bold red"))
    for service in health["services"]:
        screen.line(*_quorum(service))
        for failure in service["shared_failures"]:
            screen.folding("  ", (failure["text"], "bold red"))
    if not health["settled"]:
        screen.line(("The agent has just started and has not judged every replica yet.", "cyan"))
    for notice in health["notices"]:
        screen.folding(("warning ", "yellow"), notice["text"])


def _row(target: Document, pool: Document, now: str) -> tuple[str | tuple[str, str], ...]:
    return (
        target["name"],
        styled(target["phase"]),
        ago(target["since"], now),
        held(pool),
        docker(target),
        reason(target),
    )


def _quorum(service: Document) -> tuple[str | tuple[str, str], ...]:
    ready, replicas = service["ready"], service["replicas"]
    style = "green" if ready == replicas else "yellow"
    if not service["has_quorum"]:
        style = "bold red"
    return f"{service['name']}: ", (readiness(ready, replicas, service["quorum"]), style)
