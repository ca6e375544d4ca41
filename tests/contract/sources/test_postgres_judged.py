"""Pools and executors on a real server, judged by what a round of the real source tells."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from healthagent.checks import dbos, pool
from healthagent.core.check import Check
from healthagent.core.observation import (
    ClientPorts,
    DatabaseSession,
    Fleet,
    Observation,
)
from healthagent.core.target import Pools, Target, Timing
from healthagent.core.verdict import Status, Verdict
from healthagent.sources.postgres import PostgresSource
from provision.local_postgres import LocalPostgres
from tests.contract.sources.postgres_server import (
    PATIENCE,
    database,
    sourcing,
    superuser,
)
from tests.contract.sources.test_postgres_workflows import grant, workflows


class Replica:
    """A replica whose connections this process holds. ``holds`` are those that are its own."""

    def __init__(self, postgres: LocalPostgres, name: str, **fields: object) -> None:
        declared = {
            "database": database(postgres),
            "addresses": ("127.0.0.1",),
            "pools": Pools(2, 2),
            "executor": name,
            "role": "app",
            "timing": Timing(interval=0.0),  # each judgement has a round of its own
            **fields,
        }
        self.holds: list[psycopg.Connection] = []
        self.target = Target(
            id=f"static:{name}",
            name=name,
            service="app",
            **declared,  # type: ignore[arg-type]
        )
        self._dsn = f"postgresql://app:app@127.0.0.1:{postgres.port}/app"

    def connect(self, application: str = "") -> psycopg.Connection:
        connection = psycopg.connect(self._dsn, application_name=application, autocommit=True)
        self.holds.append(connection)
        return connection

    def launch(self, executor: str, version: str = "v1") -> None:
        """What DBOS leaves: two connections of that name, one of which listens."""
        name = f"dbos_transact_{executor}_{version}"
        self.connect(name).execute("LISTEN dbos_streams_channel;")
        self.connect(name).execute("SELECT 1")

    def end(self) -> None:
        while self.holds:
            self.holds.pop().close()

    async def judged(
        self, check: Check, *others: Replica, source: PostgresSource | None = None
    ) -> Verdict:
        """By a round of ``source``, which has seen earlier ones, or else of a new one."""
        async with contextlib.nullcontext(source) if source else sourcing() as asked:
            session = await asked.look(self.target, PATIENCE)
        assert isinstance(session, DatabaseSession), session
        fleet = Fleet((self.target, *(other.target for other in others)))
        ports = ClientPorts(frozenset(_port(each) for each in self.holds))
        facts = {DatabaseSession: session, Fleet: fleet, ClientPorts: ports}
        return check.judge(Observation(self.target, facts))


def _port(connection: psycopg.Connection) -> int:
    with socket.socket(fileno=os.dup(connection.fileno())) as dialled:
        return int(dialled.getsockname()[1])


@contextlib.contextmanager
def replica(postgres: LocalPostgres, name: str, **fields: object) -> Iterator[Replica]:
    made = Replica(postgres, name, **fields)
    try:
        yield made
    finally:
        made.end()


@contextlib.contextmanager
def allowing(postgres: LocalPostgres, connections: int) -> Iterator[None]:
    """While the role of the replicas may have so many."""
    with superuser(postgres) as admin:
        admin.execute(f"ALTER ROLE app CONNECTION LIMIT {connections}")
        try:
            yield
        finally:
            admin.execute("ALTER ROLE app CONNECTION LIMIT 9")


@pytest.fixture
def one(postgres: LocalPostgres) -> Iterator[Replica]:
    with replica(postgres, "app-1") as made:
        yield made


@pytest.fixture
def two(postgres: LocalPostgres) -> Iterator[Replica]:
    with replica(postgres, "app-2") as made:
        yield made


async def test_more_than_declared_is_said_of_the_replica_that_holds_it_alone(
    one: Replica, two: Replica
) -> None:
    for _ in range(3):
        one.connect()
    two.connect()
    assert (await one.judged(pool.CHECK, two)).code == "over_declared"
    assert (await two.judged(pool.CHECK, one)).code == "ok"
    one.holds.pop().close()
    assert (await one.judged(pool.CHECK, two)).code == "ok"


async def test_a_pool_whose_every_connection_waits_in_a_transaction_is_saturated(
    one: Replica,
) -> None:
    for _ in range(2):
        one.connect().execute("BEGIN")
    deadline = time.monotonic() + PATIENCE
    while (verdict := await one.judged(pool.CHECK)).code != "saturated":
        assert time.monotonic() < deadline, verdict
    assert "2 idle in transaction" in verdict.reason
    one.holds[0].execute("COMMIT")
    assert (await one.judged(pool.CHECK)).code == "ok"


async def test_the_pools_of_a_service_are_held_to_the_connection_limit_of_their_role(
    postgres: LocalPostgres, one: Replica, two: Replica
) -> None:
    """The server of these tests allows the role ``app`` 9 connections."""
    assert (await one.judged(pool.CHECK, two)).code == "ok"
    with allowing(postgres, 7):
        verdict = await one.judged(pool.CHECK, two)
    assert verdict.code == "over_planned"
    assert "the CONNECTION LIMIT of role app allows 7" in verdict.reason


async def test_replicas_that_know_one_server_by_two_names_share_its_limits(
    postgres: LocalPostgres, one: Replica
) -> None:
    named = replace(database(postgres), host="localhost")
    with replica(postgres, "app-2", database=named) as other, allowing(postgres, 7):
        async with sourcing() as source:
            assert (await other.judged(pool.CHECK, one, source=source)).code == "ok"
            verdict = await one.judged(pool.CHECK, other, source=source)
    assert verdict.code == "over_planned", "once both names were asked, they are one server's"
    assert "may take 8 connections" in verdict.reason


async def test_an_executor_is_registered_once_it_is_launched_and_not_when_it_is_gone(
    one: Replica,
) -> None:
    assert (await one.judged(dbos.CHECK)).code == "not_registered"
    one.launch("app-1")
    assert (await one.judged(dbos.CHECK)).code == "ok"
    one.end()
    assert (await one.judged(dbos.CHECK)).code == "not_registered"


async def test_an_executor_that_waits_for_a_lock_is_not_called_silent(
    postgres: LocalPostgres, one: Replica
) -> None:
    with superuser(postgres) as other:
        other.execute("SELECT pg_advisory_lock(1)")
        one.launch("app-1")
        one.holds[-1].pgconn.send_query(b"SELECT pg_advisory_lock(1)")
        deadline = time.monotonic() + PATIENCE
        while (verdict := await one.judged(dbos.CHECK)).code == "ok":
            assert time.monotonic() < deadline, verdict
    assert (verdict.status, verdict.code) == (Status.DEGRADED, "unanswered")


async def test_an_executor_without_name_that_never_listens_is_told_by_what_it_asks(
    postgres: LocalPostgres, one: Replica
) -> None:
    """Its pool is the app's own: what is asked next covers what told it, and it is remembered."""
    with workflows(postgres) as admin:
        admin.execute(
            "GRANT USAGE ON SCHEMA dbos TO app; GRANT UPDATE ON dbos.workflow_status TO app"
        )
        pool = one.connect()
        async with sourcing() as source:
            assert (await one.judged(dbos.CHECK, source=source)).code == "not_registered"
            pool.execute('UPDATE "dbos".workflow_status\n SET status = %s WHERE false', ("x",))
            assert (await one.judged(dbos.CHECK, source=source)).code == "unnamed"
            pool.execute("SELECT 1")
            assert (await one.judged(dbos.CHECK, source=source)).code == "unnamed"
        one.connect()
        assert (await one.judged(dbos.CHECK)).code == "not_registered", "another agent saw nothing"


async def test_two_processes_called_local_are_told_of_both(one: Replica, two: Replica) -> None:
    one.launch("local", "")
    assert (await one.judged(dbos.CHECK, two)).code == "local_id"
    two.launch("local", "")
    for each, other in ((one, two), (two, one)):
        assert (await each.judged(dbos.CHECK, other)).code == "local_shared"


async def test_workflows_of_a_killed_executor_are_orphans_until_it_is_back(
    postgres: LocalPostgres, one: Replica, two: Replica
) -> None:
    """app-1 has two pending workflows of version 1.0.0, and app_2, whom nobody expects, has one."""
    with workflows(postgres) as admin:
        grant(admin)
        admin.execute("DELETE FROM dbos.workflow_status WHERE executor_id = 'app_2'")
        two.launch("app-2", "1.0.0")
        verdict = await one.judged(dbos.CHECK, two)
        assert (verdict.code, verdict.evidence["orphans"]) == ("not_registered", 2)
        assert (await two.judged(dbos.CHECK, one)).code == "ok", "they are of app-1 alone"
        one.launch("app-1", "1.0.0")
        assert (await one.judged(dbos.CHECK, two)).code == "ok"
        admin.execute("UPDATE dbos.workflow_status SET executor_id = 'app-9'")
        verdict = await two.judged(dbos.CHECK, one)
        assert (verdict.code, verdict.evidence["executor"]) == ("orphaned", "app-9")
