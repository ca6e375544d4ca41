"""What the tests of the Postgres source share: a real server, and how to treat it badly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg

from healthagent.core.credentials import Credentials
from healthagent.core.observation import Database, DatabaseDown, DatabaseSession, Unseen
from healthagent.core.target import DatabaseRef, Target, Timing
from healthagent.sources.postgres import PostgresSource
from provision.local_postgres import LocalPostgres

ROLE = "healthagent"
PASSWORD = "correct-horse-battery"
MAX_CONNECTIONS = 12

PATIENCE = 60.0
"""Seconds for a round that is meant to end by itself."""

TIMEOUT = 0.5
"""Seconds for a round that is meant to end by its deadline."""


@contextlib.contextmanager
def serving() -> Iterator[LocalPostgres]:
    """A server with a database ``app`` and roles that are let in, half blind, barred and full."""
    settings = {
        "max_connections": str(MAX_CONNECTIONS),
        "superuser_reserved_connections": "2",
        "autovacuum": "off",  # so that the server counts no transactions but those of the tests
    }
    with LocalPostgres(database="app", settings=settings) as postgres:
        with superuser(postgres) as admin:
            admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor")
            admin.execute(f"CREATE ROLE blind LOGIN PASSWORD '{PASSWORD}'")
            admin.execute(f"CREATE ROLE full_up LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0")
            admin.execute(f"CREATE ROLE barred NOLOGIN PASSWORD '{PASSWORD}'")
            admin.execute("CREATE ROLE app LOGIN PASSWORD 'app' CONNECTION LIMIT 9")
            admin.execute("CREATE DATABASE closed CONNECTION LIMIT 7")
            admin.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        yield postgres


@contextlib.contextmanager
def superuser(postgres: LocalPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        yield connection


def agents(postgres: LocalPostgres) -> list[int]:
    """The pids of the agent's connections, as the server counts them."""
    with superuser(postgres) as admin:
        rows = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'healthagent'"
        )
        return [pid for (pid,) in rows]


@contextlib.contextmanager
def full(postgres: LocalPostgres, connections: int = MAX_CONNECTIONS) -> Iterator[None]:
    """The server while so many more connections are held, or as many as it takes."""
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as held:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(connections):
                held.enter_context(psycopg.connect(postgres.dsn))
        stack.push(held.pop_all())
        yield


def freeze(postgres: LocalPostgres) -> None:
    """Stop the postmaster, then all that it forked."""
    os.kill(postgres.pid, signal.SIGSTOP)
    for child in _children(postgres.pid):
        os.kill(child, signal.SIGSTOP)


def thaw(postgres: LocalPostgres) -> None:
    """Let a frozen server go on; harmless for one that is stopped."""
    with contextlib.suppress(LookupError):
        for pid in (*_children(postgres.pid), postgres.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.asynccontextmanager
async def sourcing(
    user: str = ROLE, password: str | None = PASSWORD, idle: float = 60.0
) -> AsyncIterator[PostgresSource]:
    """A source that always finds these credentials, closed at the end."""
    source = PostgresSource(lambda _: Credentials(user, password), idle)
    async with contextlib.aclosing(source):
        yield source


def database(postgres: LocalPostgres, name: str = "app") -> DatabaseRef:
    return DatabaseRef("127.0.0.1", postgres.port, name)


def using(ref: DatabaseRef | None, name: str = "app-1", interval: float = 0.0) -> Target:
    """A target that, with no interval, takes no round of another as its own but one that runs."""
    timing = Timing(interval=interval)
    return Target(id=f"static:{name}", name=name, service="app", database=ref, timing=timing)


async def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not so within {PATIENCE:g} s: {what}"
        await asyncio.sleep(0.02)


async def told(source: PostgresSource, ref: DatabaseRef, timeout: float = PATIENCE) -> Database:
    seen = await source.look(using(ref), timeout)
    assert isinstance(seen, DatabaseSession), f"expected a session, got {seen!r}"
    assert isinstance(seen.outcome, Database), f"expected a session, got {seen.outcome!r}"
    return seen.outcome


async def down(source: PostgresSource, ref: DatabaseRef, timeout: float = PATIENCE) -> DatabaseDown:
    seen = await source.look(using(ref), timeout)
    assert isinstance(seen, DatabaseSession), f"expected a server that is down, got {seen!r}"
    assert isinstance(seen.outcome, DatabaseDown), f"expected it to be down, got {seen.outcome!r}"
    return seen.outcome


async def unseen(source: PostgresSource, ref: DatabaseRef) -> Unseen:
    seen = await source.look(using(ref), PATIENCE)
    assert isinstance(seen, Unseen), f"the agent's own want is no fault of the server's: {seen!r}"
    return seen
