"""``healthagent budget``: do the pools fit the server, and would they with more replicas?"""

from __future__ import annotations

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Document, near
from healthagent.cli.screen import Screen, print_json
from healthagent.core.budget import Budget, Limit, Part, ReplicaBudget
from healthagent.errors import UnknownTarget

MOST_REPLICAS = 10_000


def scale(text: str) -> tuple[str, int]:
    """The service and the number in ``SERVICE=N``."""
    service, _, count = text.rpartition("=")
    if not service or not count.isdecimal() or not 0 < int(count) <= MOST_REPLICAS:
        raise click.BadParameter(f"{text!r}: write SERVICE=N, such as app=8")
    return service, int(count)


@click.command(short_help="Postgres connections: planned, held and allowed")
@click.option(
    "--replicas",
    "scales",
    metavar="SERVICE=N",
    type=scale,
    multiple=True,
    help="As if SERVICE had N replicas; may be given several times.",
)
@parameters.as_json
@parameters.agent
@click.pass_context
def budget(
    ctx: click.Context, scales: tuple[tuple[str, int], ...], agent: Agent, as_json: bool
) -> None:
    """Show each Postgres server's connections: planned, held and allowed.

    PLANNED is what is taken when every pool is full: each replica's declared pools, the agent's own
    one, what others hold now, and a rollout's surge (the label healthagent.surge: one replica more
    of one service at a time). It must fit the server, and every CONNECTION LIMIT of a role or a
    database. At the end stands the most replicas of each service with which it does.

    Exits 1 if what is planned, or asked for with --replicas, does not fit.
    """
    document = agent.budget()
    servers = [_budget(server) for server in document["servers"]]
    for service, count in scales:
        servers = _scaled(servers, service, count)
    if as_json:
        print_json(_document(servers) if scales else document)
    else:
        _show(Screen(), servers)
    ctx.exit(0 if all(server.fits for server in servers) else 1)


def _budget(server: Document) -> Budget:
    return Budget(
        server=server["server"],
        allowed=server["allowed"],
        held=server["held"],
        agent=server["agent"],
        others=server["others"],
        replicas=tuple(
            ReplicaBudget(**{field: r[field] for field in ReplicaBudget._fields})
            for r in server["replicas"]
        ),
        parts=tuple(_part(row) for row in (*server["roles"], *server["databases"])),
        also=tuple(server["also"]),
    )


def _part(row: Document) -> Part:
    kind = Part if row["allowed"] is None else Limit
    return kind(**{field: row[field] for field in kind.__dataclass_fields__})


def _scaled(servers: list[Budget], service: str, count: int) -> list[Budget]:
    services = list(dict.fromkeys(name for server in servers for name in _services(server)))
    if service not in services:
        raise UnknownTarget(f"no service {service!r} uses a database; {near(service, services)}")
    using = [server for server in servers if service in _services(server)]
    if any(server.largest(service) is None for server in using):
        raise UnknownTarget(
            f"{service} declares no pool, so that {count} replicas of it cannot be planned; "
            "label it healthagent.pool.prisma and healthagent.pool.dbos"
        )
    return [server.scaled(service, count) if server in using else server for server in servers]


def _services(server: Budget) -> list[str]:
    return list(dict.fromkeys(replica.service for replica in server.replicas))


def _document(servers: list[Budget]) -> Document:
    """The document of the agent's ``/budget``, for servers that were scaled."""
    from healthagent.surfaces.http.budget import document

    return document(servers)


def _show(screen: Screen, servers: list[Budget]) -> None:
    if not servers:
        screen.line("No replica's database has been seen yet.")
    for server in servers:
        screen.line(*_fit(server, server.bounds[0]))
        for part in server.parts:
            screen.line(*_fit(server, part))
        screen.table(HEADS, _rows(server), numbers=("PLANNED", "HELD"))
        for service in _services(server):
            screen.line(*_room(server, service))
        screen.line()


def _fit(server: Budget, part: Part) -> tuple[str | tuple[str, str], ...]:
    planned, surge = server.planned_within(part), server.surge_within(part)
    sums = f"  {planned} planned, {surge} more in a rollout, {part.held} held, "
    if not isinstance(part, Limit):
        return (_name(server, part), "bold"), f"{sums}no limit of its own"
    over = server.overrun(part)
    if over <= 0:
        verdict = ("it fits", "green")
    elif over <= surge:
        verdict = (f"a rollout needs {over} more", "bold red")
    else:
        verdict = (f"{over - surge} too many, {over} in a rollout", "bold red")
    return (_name(server, part), "bold"), f"{sums}{part.allowed} allowed: ", verdict


def _name(server: Budget, part: Part) -> str:
    if part.kind != "server":
        return f"  {part.kind} {part.name}"
    return f"{part.name} ({', '.join(server.also)})" if server.also else part.name


HEADS = ("REPLICA", "SERVICE", "PLANNED", "HELD")


def _rows(server: Budget) -> list[tuple[str, ...]]:
    return [
        *((r.name, r.service, _count(r.declared), _count(r.held)) for r in server.replicas),
        ("the agent's own", "", str(server.agent), str(server.agent)),
        ("others", "", str(server.others), str(server.others)),
        ("a rollout's surge", "", str(server.surge), ""),
    ]


def _count(count: int | None) -> str:
    return "?" if count is None else str(count)


def _room(server: Budget, service: str) -> tuple[str | tuple[str, str], ...]:
    largest = server.largest(service)
    if largest is None:
        return (("warning ", "yellow"), f"{service} declares no pool: its share is missing above")
    count = sum(replica.service == service for replica in server.replicas)
    return (f"{service}: {count} replicas, at most {largest} fit",)
