"""How a server fails, told from how the agent does: a real one is filled, stopped and frozen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from healthagent.core.credentials import Credentials
from healthagent.core.observation import Database, DatabaseSession, Unseen
from healthagent.core.target import DatabaseRef
from healthagent.names import Found, Names, Unresolved
from healthagent.sources.postgres import PostgresSource
from healthagent.sources.postgres.connection import UNACKNOWLEDGED
from provision.local_postgres import LocalPostgres
from tests.contract.sources.postgres_server import (
    MAX_CONNECTIONS,
    PASSWORD,
    PATIENCE,
    ROLE,
    TIMEOUT,
    database,
    down,
    eventually,
    freeze,
    full,
    sourcing,
    superuser,
    thaw,
    told,
    unseen,
    using,
)
from tests.files import no_file_left

WRONG_PASSWORD = "wrong-horse-battery"

RECOVERED = 60.0
"""Seconds in which a server that crashed is back."""

SLACK = 15.0
"""Seconds that a busy machine may add to a deadline."""


async def test_a_full_server_is_exhausted_not_down(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        with full(postgres):
            outcome = await down(source, database(postgres))
        assert (outcome.error, outcome.sqlstate) == ("exhausted", "53300")
        assert outcome.detail == "sorry, too many clients already"
        await eventually(lambda: has_room(postgres), "the server has room again")
        await told(source, database(postgres))


def has_room(postgres: LocalPostgres) -> bool:
    with contextlib.suppress(psycopg.OperationalError), superuser(postgres) as admin:
        row = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE datid > 0").fetchone()
        return row == (1,)
    return False


async def test_only_the_superusers_reserve_left_is_exhausted(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        with full(postgres, MAX_CONNECTIONS - 2):
            outcome = await down(source, database(postgres))
    assert (outcome.error, outcome.sqlstate) == ("exhausted", "53300")


async def test_an_agent_that_is_connected_still_sees_a_full_server(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        await told(source, database(postgres))
        with full(postgres):
            seen = await told(source, database(postgres))
    assert len(seen.backends) == MAX_CONNECTIONS


@pytest.mark.parametrize(
    ("user", "password", "name", "code", "reason", "remedy"),
    [
        (ROLE, WRONG_PASSWORD, "app", "password", "the agent's role 'healthagent'", "correct it"),
        ("nobody", PASSWORD, "app", "password", "the agent's role 'nobody'", "make the role"),
        ("barred", PASSWORD, "app", "not_admitted", "not permitted to log in", "make the role"),
        ("full_up", PASSWORD, "app", "role_limit", "CONNECTION LIMIT", "end its other sessions"),
        (ROLE, PASSWORD, "closed", "not_granted", "may not connect", "GRANT CONNECT ON DATABASE"),
    ],
)
async def test_what_is_the_agents_own_want_is_unseen(
    postgres: LocalPostgres,
    user: str,
    password: str,
    name: str,
    code: str,
    reason: str,
    remedy: str,
) -> None:
    async with sourcing(user, password) as source:
        seen = await unseen(source, database(postgres, name))
    assert seen.code == code
    assert reason in seen.reason
    assert remedy in seen.remedy


async def test_no_password_where_one_is_asked_for_is_unseen(postgres: LocalPostgres) -> None:
    async with sourcing(password=None) as source:
        assert "password" in (await unseen(source, database(postgres))).reason


async def test_no_role_for_a_database_is_told_as_it_was_found(postgres: LocalPostgres) -> None:
    nobody = Unseen("the agent has no role", "set one")
    async with contextlib.aclosing(PostgresSource(lambda _: nobody)) as source:
        assert await unseen(source, database(postgres)) == nobody


async def test_a_password_that_was_corrected_is_found_in_the_next_round(
    postgres: LocalPostgres,
) -> None:
    passwords = iter((WRONG_PASSWORD, PASSWORD))
    source = PostgresSource(lambda _: Credentials(ROLE, next(passwords)))
    async with contextlib.aclosing(source):
        await unseen(source, database(postgres))
        await told(source, database(postgres))


async def test_a_database_that_does_not_exist_is_absent(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        outcome = await down(source, database(postgres, "nowhere"))
    assert (outcome.error, outcome.detail) == ("absent", 'database "nowhere" does not exist')


async def test_a_database_that_lets_nobody_in_is_closed(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        outcome = await down(source, database(postgres, "template0"))
    assert (outcome.error, outcome.sqlstate) == ("closed", "55000")


async def test_a_name_that_does_not_resolve_is_told() -> None:
    async with sourcing() as source:
        for host in ("nowhere.invalid", "no..name"):
            assert (await down(source, DatabaseRef(host, 5432, "app"))).error == "name"


async def test_a_name_that_does_not_resolve_in_time_is_told_as_a_name() -> None:
    answered = threading.Event()

    def hang(name: str) -> Found:
        answered.wait()
        return Unresolved("too late")

    source = PostgresSource(lambda _: Credentials(ROLE), names=Names(hang))
    async with contextlib.aclosing(source):
        outcomes = [await down(source, DatabaseRef("db", 5432, "app"), TIMEOUT) for _ in range(2)]
    answered.set()
    assert [outcome.error for outcome in outcomes] == ["name", "name"], "nothing was dialled yet"


@pytest.mark.parametrize("host", ["127.0.0.1", "db.invalid"])
async def test_no_file_descriptor_left_is_no_fault_of_the_servers(host: str) -> None:
    async with sourcing() as source:
        ref = DatabaseRef(host, 1, "app")
        await down(source, ref)  # what takes a file the first time has been read
        with no_file_left():
            seen = await unseen(source, ref)
        assert f"the agent cannot connect to {host}:1" in seen.reason
        assert "raise its limit of open files" in seen.remedy
        await down(source, ref)


async def test_a_server_is_dialled_at_each_address_of_its_name(postgres: LocalPostgres) -> None:
    """Nothing listens at the first one."""
    names = Names(lambda _: ("127.0.0.2", "127.0.0.1"))
    source = PostgresSource(lambda _: Credentials(ROLE, PASSWORD), names=names)
    async with contextlib.aclosing(source):
        await told(source, DatabaseRef("db.invalid", postgres.port, "app"))


@contextlib.contextmanager
def deaf(host: str, port: int) -> Iterator[None]:
    """An address whose accept queue is full: the kernel drops each further SYN, as where a machine
    is gone. See listen(2) and tcp_abort_on_overflow in tcp(7)."""
    with contextlib.ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            client = open_sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield


async def test_so_it_is_soon_where_nobody_is_at_the_first_one(postgres: LocalPostgres) -> None:
    names = Names(lambda _: ("127.0.0.2", "127.0.0.1"))
    source = PostgresSource(lambda _: Credentials(ROLE, PASSWORD), names=names)
    with deaf("127.0.0.2", postgres.port):
        async with contextlib.aclosing(source):
            begun = time.monotonic()
            await told(source, DatabaseRef("db.invalid", postgres.port, "app"))
            taken = time.monotonic() - begun
    assert taken < UNACKNOWLEDGED / 1000, "as long as a server gets that has one address"


async def test_where_no_way_leads_is_unreachable() -> None:
    broadcast = "255.255.255.255"  # the kernel has no route for TCP to it, whatever its network
    async with sourcing() as source:
        assert (await down(source, DatabaseRef(broadcast, 5432, "app"))).error == "unreachable"


async def test_a_server_without_the_tls_that_is_asked_for_is_told(
    postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    async with sourcing() as source:
        assert (await down(source, database(postgres))).error == "tls"


async def test_a_stopped_server_refuses_and_is_found_again_by_the_next_round(
    postgres: LocalPostgres,
) -> None:
    async with sourcing() as source:
        await told(source, database(postgres))
        postgres.stop()
        for _ in range(3):
            outcome = await down(source, database(postgres), PATIENCE)
            assert outcome.error == "refused"
            assert outcome.elapsed < PATIENCE / 2, "a refusal is told at once"
        postgres.start()
        await told(source, database(postgres))


async def test_a_server_that_shuts_down_is_told_from_one_that_is_gone(
    postgres: LocalPostgres,
) -> None:
    """A smart shutdown (SIGTERM) lets the sessions live and takes no new one."""

    async def state() -> str:
        async with sourcing() as source:
            seen = await source.look(using(database(postgres)), PATIENCE)
        assert isinstance(seen, DatabaseSession)
        return "up" if isinstance(seen.outcome, Database) else seen.outcome.error

    with superuser(postgres):
        os.kill(postgres.pid, signal.SIGTERM)
        now = "up"
        while now == "up":
            now = await state()
        assert now == "stopping"
    postgres.stop()
    assert await state() == "refused"


async def states_until(source: PostgresSource, ref: DatabaseRef, last: str) -> list[str]:
    """What a server is called, look after look, from when it is down until it is called that."""
    states = ["up"]
    deadline = time.monotonic() + RECOVERED
    while states[-1] != last or len(states) == 1:
        assert time.monotonic() < deadline, f"never {last}: {states}"
        seen = await source.look(using(ref), PATIENCE)
        assert isinstance(seen, DatabaseSession)
        state = "up" if isinstance(seen.outcome, Database) else seen.outcome.error
        if state != states[-1]:
            states.append(state)
        await asyncio.sleep(0.02)
    return states


async def test_a_server_that_crashed_is_recovering_and_comes_back(postgres: LocalPostgres) -> None:
    """One backend is killed while another does not hear that all must end. Postgres waits for that
    one for five seconds (SIGKILL_CHILDREN_AFTER_SECS), and is in recovery meanwhile."""
    async with sourcing() as source:
        await told(source, database(postgres))
        with superuser(postgres) as deaf, superuser(postgres) as victim:
            os.kill(deaf.info.backend_pid, signal.SIGSTOP)
            os.kill(victim.info.backend_pid, signal.SIGKILL)
            assert "recovering" in await states_until(source, database(postgres), "up")


async def test_what_a_server_says_is_told_though_its_other_address_has_none(
    postgres: LocalPostgres,
) -> None:
    """As on a dual-stack network, where Postgres listens by IPv4 alone."""
    ref, names = DatabaseRef("db.invalid", postgres.port, "app"), ("127.0.0.1", "127.0.0.2")
    login = Credentials(ROLE, WRONG_PASSWORD)
    source = PostgresSource(lambda _: login, names=Names(lambda _: names))
    async with contextlib.aclosing(source):
        assert (await unseen(source, ref)).code == "password"
        with full(postgres):
            assert (await down(source, ref)).error == "exhausted"
        postgres.stop()
        assert (await down(source, ref)).error == "refused"


async def test_at_its_limit_the_role_is_told_how_much_it_takes(postgres: LocalPostgres) -> None:
    """Of several databases each takes a session."""
    async with sourcing("full_up") as source:
        seen = await unseen(source, database(postgres))
    assert "3 more for each further database" in seen.remedy


async def test_a_catalogue_that_somebody_locks_is_a_server_that_does_not_answer_in_time(
    postgres: LocalPostgres,
) -> None:
    """As a VACUUM FULL of it does: the session is there, and is refused nothing."""
    async with sourcing() as source:
        await told(source, database(postgres))
        with superuser(postgres) as admin, admin.transaction():
            admin.execute("LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE")
            outcome = await down(source, database(postgres))
    assert (outcome.error, outcome.sqlstate) == ("timeout", "55P03")
    assert "lock timeout" in outcome.detail


async def test_a_frozen_server_times_out_by_the_deadline(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        await told(source, database(postgres))
        freeze(postgres)
        for what in ("the connection that is held", "a new connection"):
            begun = time.monotonic()
            outcome = await down(source, database(postgres), TIMEOUT)
            took = time.monotonic() - begun
            assert outcome.error == "timeout", what
            assert took < TIMEOUT + SLACK, f"{what}: {took:.2f} s for a deadline of {TIMEOUT} s"
        thaw(postgres)
        await told(source, database(postgres))


async def test_an_impatient_target_does_not_cut_the_round_of_a_patient_one(
    postgres: LocalPostgres,
) -> None:
    ref = database(postgres)
    async with sourcing() as source:
        await told(source, ref)
        freeze(postgres)
        impatient = asyncio.create_task(down(source, ref, TIMEOUT))
        await asyncio.sleep(0)
        patient = asyncio.create_task(told(source, ref, PATIENCE))
        assert (await impatient).error == "timeout"
        thaw(postgres)
        await patient


async def test_the_log_stays_silent_and_no_text_tells_a_password(
    postgres: LocalPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever befalls the server is told in facts, not by a library's logger."""
    caplog.set_level(logging.DEBUG)
    told_by_facts: list[str] = []
    async with sourcing() as right, sourcing(password=WRONG_PASSWORD) as wrong:

        async def look() -> None:
            for source in (right, wrong):
                seen = await source.look(using(database(postgres)), TIMEOUT)
                told_by_facts.append(repr(seen))

        await look()
        freeze(postgres)
        await look()
        thaw(postgres)
        await look()
        postgres.stop()
        await look()
        postgres.start()
        await look()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    for text in (*told_by_facts, caplog.text):
        assert PASSWORD not in text
        assert WRONG_PASSWORD not in text
