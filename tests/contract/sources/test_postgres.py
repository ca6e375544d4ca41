"""What a round with a database tells, and what it costs the server: one connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import replace
from typing import TypeVar

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from healthagent.core.credentials import Credentials
from healthagent.core.observation import DatabaseSession, Unseen
from healthagent.core.target import DatabaseRef
from healthagent.names import Names, Unresolved
from healthagent.sources.postgres import PostgresSource
from healthagent.sources.postgres.connection import Connection, parameters
from healthagent.sources.postgres.source import FRESH
from provision.local_postgres import LocalPostgres
from tests.contract.sources.postgres_server import (
    MAX_CONNECTIONS,
    PASSWORD,
    PATIENCE,
    ROLE,
    TIMEOUT,
    agents,
    database,
    down,
    eventually,
    freeze,
    sourcing,
    superuser,
    thaw,
    told,
    using,
)

T = TypeVar("T")

LATE = 0.5
"""Seconds that the server or the agent lets an answer wait, within the lock_timeout."""

COARSE = 0.02
"""Seconds between two ticks of the kernel's clock, at the most."""

BRIEF = 0.1
"""Seconds for a round with a server that takes the connection at once and then says nothing."""


async def test_fifty_targets_cost_one_connection(postgres: LocalPostgres) -> None:
    targets = [using(database(postgres), f"app-{n}") for n in range(50)]
    async with sourcing() as source:
        for _ in range(3):
            await asyncio.gather(*(source.look(target, PATIENCE) for target in targets))
            held = agents(postgres)
            assert len(held) == 1, f"one connection for all targets, but the server counts {held}"


@pytest.fixture
def counted(postgres: LocalPostgres) -> Iterator[str]:
    """A database that nobody but the agent uses."""
    with superuser(postgres) as admin:
        admin.execute("CREATE DATABASE counted")
        yield "counted"
        admin.execute("DROP DATABASE counted WITH (FORCE)")


async def transactions(postgres: LocalPostgres, name: str, act: Awaitable[T]) -> tuple[T, int]:
    """What came of an act, and how many transactions the server counts in that database for it.
    A session's are all counted once it has ended."""

    def count() -> int:
        with superuser(postgres) as admin:
            query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
            (number,) = admin.execute(query, (name,)).fetchone() or (0,)
            return int(number)

    before = count()
    done = await act
    await eventually(lambda: agents(postgres) == [], "the agent has left")
    return done, count() - before


async def test_fifty_replicas_cost_one_query_per_interval_as_the_server_counts(
    postgres: LocalPostgres, counted: str
) -> None:
    """Each asks once per interval, at a moment of its own, as the watcher has it."""
    ref, interval, intervals, replicas = database(postgres, counted), 0.2, 8, 50

    async def rounds_for_one(count: int) -> None:
        async with sourcing() as source:
            for _ in range(count):
                await told(source, ref)

    async def replica(source: PostgresSource, number: int) -> list[DatabaseSession | Unseen]:
        await asyncio.sleep(number * interval / replicas)
        target, seen = using(ref, f"app-{number}", interval), []
        for _ in range(intervals):
            seen.append(await source.look(target, PATIENCE))
            await asyncio.sleep(interval)
        return seen

    async def watch() -> list[list[DatabaseSession | Unseen]]:
        async with sourcing() as source:
            return await asyncio.gather(*(replica(source, number) for number in range(replicas)))

    begun = time.monotonic()
    seen, cost = await transactions(postgres, counted, watch())
    most = (time.monotonic() - begun) / (FRESH * interval) + 1

    rounds = len({id(session) for looks in seen for session in looks})
    assert all(isinstance(session, DatabaseSession) for looks in seen for session in looks)
    assert intervals / 2 <= rounds <= most, "one each interval, for all of them"
    _, alone = await transactions(postgres, counted, rounds_for_one(rounds))
    assert cost == alone, "a round costs the server the same, whoever shares it"


async def test_targets_that_ask_together_share_a_round(postgres: LocalPostgres) -> None:
    ref = database(postgres)
    async with sourcing() as source:
        seen = await asyncio.gather(*(source.look(using(ref, f"{n}"), PATIENCE) for n in range(9)))
    assert all(each is seen[0] for each in seen), "one round must serve all who asked meanwhile"


async def test_a_round_is_shared_for_the_asking_targets_own_interval(
    postgres: LocalPostgres,
) -> None:
    ref = database(postgres)
    async with sourcing() as source:
        first = await source.look(using(ref, interval=60.0), PATIENCE)
        assert await source.look(using(ref, "app-2", interval=60.0), PATIENCE) is first
        assert await source.look(using(ref, "app-3", interval=0.0), PATIENCE) is not first


async def test_a_caller_that_is_cancelled_takes_no_other_with_it(postgres: LocalPostgres) -> None:
    ref = database(postgres)
    async with sourcing() as source:
        hasty = asyncio.create_task(source.look(using(ref), PATIENCE))
        patient = asyncio.create_task(source.look(using(ref), PATIENCE))
        await asyncio.sleep(0)
        hasty.cancel()
        assert isinstance(await patient, DatabaseSession)
        assert hasty.cancelled()


async def test_databases_do_not_wait_for_one_another(postgres: LocalPostgres) -> None:
    """The silent one here is a listener that never answers."""
    listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    silent = DatabaseRef("127.0.0.1", listener.sockets[0].getsockname()[1], "app")
    async with sourcing() as source, listener:
        stuck = asyncio.create_task(source.look(using(silent), PATIENCE))
        await told(source, database(postgres))
        assert not stuck.done()


class Stalling:
    """A server that takes connections and begins no session, until it is told to hang up."""

    def __init__(self) -> None:
        self.taken = self.open = 0
        self.hang_up = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        self.open += 1
        ends = asyncio.ensure_future(self.hang_up.wait()), asyncio.ensure_future(_end_of(reader))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        writer.close()
        self.open -= 1


async def _end_of(reader: asyncio.StreamReader) -> None:
    while await reader.read(1024):
        pass


@contextlib.asynccontextmanager
async def stalling(
    host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[Stalling, DatabaseRef]]:
    server = Stalling()
    async with await asyncio.start_server(server, host, port) as listener:
        yield server, DatabaseRef(host, listener.sockets[0].getsockname()[1], "app")


class Moving(Names):
    """A name that leads to the addresses ``now``, or nowhere if there are none."""

    def __init__(self, *now: str) -> None:
        super().__init__()
        self.now = now

    async def addresses(self, host: str) -> tuple[str, ...]:
        if not self.now:
            raise Unresolved("Name or service not known")
        return self.now

    def last(self, host: str) -> tuple[str, ...]:
        return self.now


async def test_a_start_up_that_stalls_is_dialled_once_however_many_rounds_give_up() -> None:
    async with stalling() as (server, ref), sourcing() as source:
        for _ in range(4):
            assert (await down(source, ref, BRIEF)).error == "timeout"
        assert server.taken == 1, "Postgres would keep a process for each connection"


async def test_a_dial_is_given_up_once_the_name_leads_elsewhere(postgres: LocalPostgres) -> None:
    """So it is after a failover from a host that hangs."""
    names = Moving("127.0.0.2")
    source = PostgresSource(lambda _: Credentials(ROLE, PASSWORD), names=names)
    async with stalling("127.0.0.2", postgres.port) as (server, _), contextlib.aclosing(source):
        ref = replace(database(postgres), host="db.invalid")
        assert (await down(source, ref, BRIEF)).error == "timeout"
        names.now = ("127.0.0.1",)
        await source.look(using(ref), PATIENCE)  # the last round may end just now
        await told(source, ref)
        await eventually(lambda: server.open == 0, "the agent has hung up")


@contextlib.asynccontextmanager
async def relaying(postgres: LocalPostgres, host: str) -> AsyncIterator[list[str]]:
    """The server under another address, by the same port; tells which were connected to there."""
    taken: list[str] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(host)
        there, here = await asyncio.open_connection("127.0.0.1", postgres.port)
        await asyncio.gather(_pipe(reader, here), _pipe(there, writer))

    async with await asyncio.start_server(relay, host, postgres.port):
        yield taken


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


async def test_a_connection_is_left_once_the_name_has_led_elsewhere_for_a_while(
    postgres: LocalPostgres,
) -> None:
    """As after a failover from a server that still answers, and that the app no longer uses."""
    names = Moving("127.0.0.1")
    source = PostgresSource(lambda _: Credentials(ROLE, PASSWORD), names=names)
    async with relaying(postgres, "127.0.0.2") as there, contextlib.aclosing(source):
        ref = replace(database(postgres), host="db.invalid")
        first = await told(source, ref)
        for now in (("127.0.0.3", "127.0.0.1"), ()):
            names.now = now
            assert (await told(source, ref)).agent_pid == first.agent_pid
        names.now = ("127.0.0.2",)
        assert (await told(source, ref)).agent_pid == first.agent_pid, "a turn of the name's"
        left = time.monotonic()
        while (seen := await told(source, ref)).agent_pid == first.agent_pid:
            assert time.monotonic() - left < PATIENCE
            await asyncio.sleep(0.02)
        assert there == ["127.0.0.2"]
        assert (await told(source, ref)).agent_pid == seen.agent_pid, "there it stays"
        assert agents(postgres) == [seen.agent_pid], "one connection, as ever"


async def test_a_dial_goes_on_where_the_name_leads_nowhere_else() -> None:
    names = Moving("127.0.0.1", "127.0.0.2")
    source = PostgresSource(lambda _: Credentials(ROLE, PASSWORD), names=names)
    async with stalling() as (server, ref), contextlib.aclosing(source):
        for now in (names.now, tuple(reversed(names.now)), ()):
            names.now = now
            assert (await down(source, replace(ref, host="db.invalid"), BRIEF)).error == "timeout"
        assert server.taken == 1


async def test_a_dial_that_failed_between_two_rounds_is_followed_by_another() -> None:
    async with stalling() as (server, ref), sourcing() as source:
        assert (await down(source, ref, BRIEF)).error == "timeout"
        server.hang_up.set()
        await eventually(lambda: server.open == 0, "the server has hung up")
        ends = [
            (await down(source, ref)).error for _ in range(2)
        ]  # the first may be the old dial's
        assert ends == ["lost", "lost"]
        assert server.taken > 1, "what one dial came to is not told for ever"


async def test_closing_ends_a_dial_that_goes_on() -> None:
    async with stalling() as (server, ref):
        async with sourcing() as source:
            await down(source, ref, BRIEF)
            assert server.open == 1
        await eventually(lambda: server.open == 0, "the agent has hung up")


async def test_closing_ends_a_dial_whose_round_goes_on() -> None:
    async with stalling() as (server, ref):
        async with sourcing() as source:
            look = asyncio.create_task(source.look(using(ref), PATIENCE))
            await eventually(lambda: server.open == 1, "the agent dials")
        assert isinstance(await look, Unseen)
        await eventually(lambda: server.open == 0, "the agent has hung up")


async def test_a_dial_that_outlives_its_round_serves_the_next(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        freeze(postgres)
        for _ in range(3):
            assert (await down(source, database(postgres), TIMEOUT)).error == "timeout"
        thaw(postgres)
        await source.look(using(database(postgres)), PATIENCE)  # the last round may end just now
        seen = await told(source, database(postgres))
        assert agents(postgres) == [seen.agent_pid], "one connection, whatever the server did"


async def test_a_round_tells_what_the_server_allows(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        seen = await told(source, database(postgres))
    assert seen.limits.max_connections == MAX_CONNECTIONS
    assert seen.limits.superuser_reserved == 2
    assert seen.limits.role_limits == {"app": 9, "full_up": 0}
    assert seen.limits.database_limits == {"closed": 7}
    assert not seen.in_recovery
    assert 0 < seen.elapsed <= seen.lasted < PATIENCE


@pytest.mark.parametrize("late", ["the agent", "the server"])
async def test_only_the_servers_own_time_counts(postgres: LocalPostgres, late: str) -> None:
    """The answer is sent when an agent that is late has begun to stand still."""
    async with sourcing() as source:
        await told(source, database(postgres))
        with superuser(postgres) as admin:
            with admin.transaction():
                admin.execute("LOCK TABLE pg_catalog.pg_database")
                asking = asyncio.create_task(told(source, database(postgres)))
                await eventually(lambda: waits_for_a_lock(admin), "the agent's query waits")
                if late == "the server":
                    await asyncio.sleep(LATE)
            if late == "the agent":
                time.sleep(LATE)  # noqa: ASYNC251  # so that the answer is there, and nobody reads it
        seen = await asking
    own = seen.elapsed if late == "the server" else seen.lasted - seen.elapsed
    assert own >= LATE - COARSE


def waits_for_a_lock(admin: psycopg.Connection) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'"
    return admin.execute(query, (ROLE,)).fetchone() == (1,)


async def test_the_connection_limit_of_a_superuser_is_none_since_postgres_keeps_it_not(
    postgres: LocalPostgres,
) -> None:
    with superuser(postgres) as admin:
        admin.execute("CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'boss' CONNECTION LIMIT 1")
        try:
            boss = make_conninfo(postgres.dsn, user="boss", password="boss")
            async with sourcing() as source:
                with psycopg.connect(boss), psycopg.connect(boss):
                    seen = await told(source, database(postgres))
        finally:
            admin.execute("DROP ROLE boss")
    assert seen.limits.role_limits == {"app": 9, "full_up": 0}


async def test_a_role_that_was_named_in_another_encoding_hides_no_other(
    postgres: LocalPostgres,
) -> None:
    with superuser(postgres) as admin:
        admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        latin = make_conninfo(postgres.dsn, dbname="latin", client_encoding="utf8")
        with psycopg.connect(latin, autocommit=True) as named:
            named.execute('CREATE ROLE "jürg" CONNECTION LIMIT 3')
            async with sourcing() as source:
                seen = await told(source, database(postgres))
            named.execute('DROP ROLE "jürg"')
        admin.execute("DROP DATABASE latin WITH (FORCE)")
    illegible = "j\N{REPLACEMENT CHARACTER}rg"
    assert seen.limits.role_limits == {"app": 9, "full_up": 0, illegible: 3}


async def test_a_server_that_is_met_under_two_names_is_known_as_one_until_it_is_another(
    postgres: LocalPostgres,
) -> None:
    named, numbered = (
        DatabaseRef(host, postgres.port, "app") for host in ("localhost", "127.0.0.1")
    )
    both = {(ref.host, ref.port) for ref in (named, numbered)}
    async with sourcing() as source:
        assert (await told(source, named)).addresses == {("localhost", postgres.port)}
        assert (await told(source, numbered)).addresses == both
        assert (await told(source, named)).addresses == both
        postgres.stop()
        postgres.start()
        again = await told(source, named)
        assert again.addresses == {("localhost", postgres.port)}, "it may be another server now"


async def test_a_round_tells_who_holds_what(postgres: LocalPostgres) -> None:
    app = f"postgresql://app:app@127.0.0.1:{postgres.port}/app"
    stamped = f"{app}?application_name=dbos_transact_app-1_v1"
    async with sourcing() as source:
        with (
            psycopg.connect(stamped, autocommit=True) as dbos,
            psycopg.connect(app, autocommit=True) as prisma,
        ):
            dbos.execute("LISTEN dbos_streams_channel;")
            prisma.execute("SELECT 'LISTEN dbos_streams_channel'")
            seen = await told(source, database(postgres))
            backends = {backend.pid: backend for backend in seen.backends}
            listening, other = backends[dbos.info.backend_pid], backends[prisma.info.backend_pid]
            assert listening.state == "idle"
            assert {listening, other} <= set(seen.clients)
            assert seen.agent_pid not in {backend.pid for backend in seen.clients}
            assert listening.age is not None
            assert listening.idle_for is not None
            assert listening.age >= listening.idle_for
            assert listening.client_port == local_port(dbos)
    assert listening.application == "dbos_transact_app-1_v1"
    assert (listening.role, listening.database) == ("app", "app")
    assert listening.client_address == "127.0.0.1"
    assert listening.visible
    assert listening.idle_for is not None
    assert 0 <= listening.idle_for < PATIENCE
    assert (listening.listens_dbos, other.listens_dbos) == (True, False)
    assert backends[seen.agent_pid].role == seen.agent_role == ROLE, "the agent counts itself"


def local_port(connection: psycopg.Connection) -> int:
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:
        return int(wire.getsockname()[1])


async def test_only_client_connections_are_told(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        seen = await told(source, database(postgres))
    assert {backend.role for backend in seen.backends} == {ROLE}


async def test_a_role_without_pg_monitor_knows_that_it_cannot_see(postgres: LocalPostgres) -> None:
    with superuser(postgres) as admin:
        async with sourcing("blind") as source:
            seen = await told(source, database(postgres))
        visible = {backend.pid: backend.visible for backend in seen.backends}
        assert visible == {seen.agent_pid: True, admin.info.backend_pid: False}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("application_name", "healthagent"),
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "1s"),
        ("search_path", "pg_catalog"),
    ],
)
async def test_the_agents_connection_is_read_only_and_bounded(
    postgres: LocalPostgres, setting: str, value: str
) -> None:
    login = parameters(database(postgres), Credentials(ROLE, PASSWORD))
    async with await Connection.connect(**login) as connection:
        row, _ = await connection.only_row(f"SELECT current_setting('{setting}') AS value")
    assert row["value"] == value


@pytest.mark.parametrize(
    ("setting", "told_as"),
    [
        ("ALTER SYSTEM SET", True),
        ("ALTER DATABASE {database} SET", True),
        (f"ALTER ROLE {ROLE} SET", False),
    ],
    ids=["the server", "the database", "the agent's own role"],
)
async def test_a_server_that_takes_no_writes_is_told_and_the_agents_own_setting_not(
    postgres: LocalPostgres, setting: str, told_as: bool
) -> None:
    ref = database(postgres)
    alter = setting.format(database=ref.name)
    with superuser(postgres) as admin:
        admin.execute("SET default_transaction_read_only = off")
        try:
            admin.execute(f"{alter} default_transaction_read_only = on")
            admin.execute("SELECT pg_reload_conf()")
            async with sourcing() as source:
                await until_told(source, ref, told_as)
        finally:
            undo = alter.replace("SET", "RESET")
            admin.execute(f"{undo} default_transaction_read_only")
            admin.execute("SELECT pg_reload_conf()")
        async with sourcing() as source:
            await until_told(source, ref, False)


async def until_told(source: PostgresSource, ref: DatabaseRef, read_only: bool) -> None:
    """A reload of the settings reaches each session of the server when it is next idle."""
    async with asyncio.timeout(PATIENCE):
        while (await told(source, ref)).read_only is not read_only:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_target_without_a_database_is_not_looked_at() -> None:
    async with sourcing() as source:
        assert isinstance(await source.look(using(None), PATIENCE), Unseen)


async def test_a_session_that_was_terminated_is_made_anew_in_the_same_round(
    postgres: LocalPostgres,
) -> None:
    async with sourcing() as source:
        before = await told(source, database(postgres))
        with superuser(postgres) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (before.agent_pid,))
        after = await told(source, database(postgres))
        assert after.agent_pid != before.agent_pid
        assert agents(postgres) == [after.agent_pid]


async def test_a_database_that_nobody_asks_about_is_left(postgres: LocalPostgres) -> None:
    async with sourcing(idle=0.1) as source:
        await told(source, database(postgres))
        await eventually(lambda: agents(postgres) == [], "the idle connection is closed")
        await told(source, database(postgres))


async def test_a_database_is_not_left_in_the_middle_of_a_round(postgres: LocalPostgres) -> None:
    async with sourcing(idle=0.01) as source:
        freeze(postgres)
        assert (await down(source, database(postgres), TIMEOUT)).error == "timeout"


async def test_closing_leaves_no_connection_behind(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        await told(source, database(postgres))
    await eventually(lambda: agents(postgres) == [], "the connection is closed")


async def test_closing_waits_for_no_frozen_server(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        await told(source, database(postgres))
        freeze(postgres)
        asking = asyncio.create_task(source.look(using(database(postgres)), PATIENCE))
        await asyncio.sleep(0)
        begun = time.monotonic()
        await source.aclose()
        assert time.monotonic() - begun < PATIENCE / 2, (
            "the agent must stop, whatever its servers do"
        )
        assert await asking == Unseen("the agent stops")
