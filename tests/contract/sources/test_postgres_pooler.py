"""Executors behind a real PgBouncer: what can be told of them, and what cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from healthagent.checks import dbos, pool
from healthagent.core.target import DatabaseRef
from healthagent.core.verdict import Status, Verdict
from provision.local_postgres import LocalPostgres
from tests.contract.sources.pooler import pooling
from tests.contract.sources.postgres_server import sourcing, told, unseen
from tests.contract.sources.test_postgres_judged import Replica, replica

ELSEWHERE = {"app-1": ("192.0.2.1",), "app-2": ("192.0.2.2",)}
"""Where the replicas are: no connection comes from there, as from nobody behind a pooler."""


@contextlib.contextmanager
def behind(postgres: LocalPostgres, name: str, **fields: Any) -> Iterator[Replica]:
    with replica(postgres, name, addresses=ELSEWHERE[name], **fields) as made:
        yield made


@contextlib.contextmanager
def executor(port: int, name: str) -> Iterator[psycopg.Connection]:
    """One of an executor's connections, which goes through the pooler and was just used."""
    application = f"dbos_transact_{name}_v1"
    with psycopg.connect(
        f"postgresql://app:app@127.0.0.1:{port}/app",
        application_name=application,
        autocommit=True,
        prepare_threshold=None,
    ) as connection:
        connection.execute("SELECT 1")
        yield connection


def said(verdict: Verdict) -> tuple[Status, str]:
    return verdict.status, verdict.code


UNTOLD = (Status.UNKNOWN, "behind_pooler")
REGISTERED = (Status.OK, "ok")


async def test_a_name_that_another_clients_turn_has_covered_is_unknown_never_failed(
    postgres: LocalPostgres,
) -> None:
    """Both executors live all the while, and share one connection to the server."""
    with (
        behind(postgres, "app-1") as one,
        behind(postgres, "app-2") as two,
        pooling(postgres, "transaction", connections=1) as port,
        executor(port, "app-1") as first,
        executor(port, "app-2"),
    ):
        assert said(await one.judged(dbos.CHECK, two)) == UNTOLD
        assert said(await two.judged(dbos.CHECK, one)) == REGISTERED
        first.execute("SELECT 1")
        assert said(await one.judged(dbos.CHECK, two)) == REGISTERED
        assert said(await two.judged(dbos.CHECK, one)) == UNTOLD


async def test_where_each_client_has_a_connection_of_its_own_both_are_registered(
    postgres: LocalPostgres,
) -> None:
    with (
        behind(postgres, "app-1") as one,
        behind(postgres, "app-2") as two,
        pooling(postgres, "session", connections=2) as port,
        executor(port, "app-1"),
    ):
        with executor(port, "app-2"):
            assert said(await one.judged(dbos.CHECK, two)) == REGISTERED
            assert said(await two.judged(dbos.CHECK, one)) == REGISTERED
        assert said(await one.judged(dbos.CHECK, two)) == REGISTERED
        verdict = await two.judged(dbos.CHECK, one)
    assert said(verdict) == UNTOLD, "the mode cannot be seen, so that it may have been covered"
    assert "let DBOS connect to Postgres itself" in verdict.reason


async def test_without_a_declared_id_it_is_unknown_which_executor_is_the_replicas(
    postgres: LocalPostgres,
) -> None:
    with (
        behind(postgres, "app-1", executor=None) as one,
        pooling(postgres, "session", connections=2) as port,
        executor(port, "app-1"),
    ):
        verdict = await one.judged(dbos.CHECK)
    assert said(verdict) == UNTOLD
    assert "declare healthagent.dbos.executor" in verdict.reason


async def test_how_many_of_the_poolers_connections_a_replica_has_is_unknown(
    postgres: LocalPostgres,
) -> None:
    with (
        behind(postgres, "app-1") as one,
        pooling(postgres, "transaction", connections=1) as port,
        executor(port, "app-1"),
    ):
        verdict = await one.judged(pool.CHECK)
    assert said(verdict) == UNTOLD
    assert "that may be its own come from 127.0.0.1, which is no replica's" in verdict.reason


async def test_an_agent_that_was_sent_to_the_pooler_itself_says_where_to_look_instead(
    postgres: LocalPostgres,
) -> None:
    with pooling(postgres, "transaction", connections=1) as port:
        async with sourcing() as source:
            seen = await unseen(source, DatabaseRef("127.0.0.1", port, "app"))
    assert seen.code == "not_admitted"
    assert "is a pooler" in seen.reason
    assert "[databases.NAME]" in seen.remedy


async def test_an_agent_that_a_pooler_lets_in_leaves_the_sessions_that_it_shares_as_they_were(
    postgres: LocalPostgres,
) -> None:
    login = "user=app password=app"
    with pooling(postgres, "transaction", 1, shared=login, ignored="options") as port:
        async with sourcing() as source:
            seen = await told(source, DatabaseRef("127.0.0.1", port, "app"))
        with executor(port, "app-1") as app:
            begins_read_only = app.execute("SHOW default_transaction_read_only").fetchone()
    assert begins_read_only == ("off",), "the app could write nothing any more"
    assert not seen.read_only
