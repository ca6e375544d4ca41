"""The replicas that are harmed: one for each lane, so that several modes are tried at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.system.modes.replica import Replica, Spec
from tests.system.modes.server import Server
from tests.system.quickstart import Quickstart

POOLS = {"healthagent.pool.prisma": "3"}
DBOS = {"healthagent.pool.dbos": "4", "healthagent.dbos.executor": "modes-executor"}
SIBLING = "sibling"
"""A well replica, with a pool and an executor of its own, on the server that most faults of pools
and executors are inflicted on. No mode harms it."""
STARTS_AT_ONCE = 3

PLAIN = Spec()
PLAINS: Mapping[str, Spec] = {
    "process": PLAIN,
    "tree": PLAIN,
    "exit": PLAIN,
    "exit2": Spec(options=("--memory", "256m", "--memory-swap", "256m")),
    "loop": PLAIN,
    "event_loop": PLAIN,
    "endpoints": PLAIN,
}
"""Lanes whose replica uses no database."""


@contextmanager
def lanes(stack: Quickstart) -> Iterator[dict[str, Replica]]:
    """The replicas by lane, started, and gone in the end. ``server`` and ``rights`` have a Postgres
    that is harmed; the others share one."""
    steady, harmed, closed = (
        Server(stack, "steady", 60),
        Server(stack, "harmed", 10),
        Server(stack, "closed", 20),
    )
    servers = (steady, harmed, closed)
    try:
        for server in servers:
            server.start()
        found = {lane: Replica(stack, lane, spec) for lane, spec in PLAINS.items()}
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            list(pool.map(Replica.start, found.values()))
            list(pool.map(Server.prepare, servers))
        abandons = Replica(stack, "leak", _that_abandons(steady), steady)
        abandons.start()
        on = {"server": harmed, "rights": closed, "address": steady, "pool": steady}
        databases = {
            lane: Replica(stack, lane, _with_pool(server, lane), server)
            for lane, server in on.items()
        }
        executors = {
            lane: Replica(stack, lane, _with_executor(steady, lane), steady)
            for lane in ("dbos", "identity", SIBLING)
        }
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            list(pool.map(Replica.start, (*databases.values(), *executors.values())))
        yield found | databases | executors | {"leak": abandons}
    finally:
        for server in servers:
            server.empty()


def _with_pool(server: Server, lane: str) -> Spec:
    return Spec(environment={"DATABASE_URL": server.create_database(lane)}, labels=POOLS)


def _that_abandons(server: Server) -> Spec:
    """It leaves three connections idle from its start on."""
    variables = {"DATABASE_URL": server.create_database("leak"), "ABANDONS": "3"}
    return Spec(environment=variables, labels={"healthagent.pool.prisma": "6"})


def _with_executor(server: Server, lane: str) -> Spec:
    variables = {
        "DATABASE_URL": server.create_database(lane),
        "EXECUTOR": f"modes-{lane}",
    }
    return Spec(
        environment=variables, labels={**DBOS, "healthagent.dbos.executor": f"modes-{lane}"}
    )
