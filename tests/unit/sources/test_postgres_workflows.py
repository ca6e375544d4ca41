"""A count of workflows that takes too long is left out, and is in no round's way."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import psycopg
import pytest

from healthagent.core.observation import Unseen
from healthagent.core.target import DatabaseRef
from healthagent.sources.postgres.connection import Connection
from healthagent.sources.postgres.workflows import Workflows

ROW = {"workflow_tables": [{"schema": f"dbos{number}", "readable": True} for number in range(3)]}
LEFT = 0.02


class Server:
    """Answers no count: it hangs, or it is ``lost``."""

    def __init__(self, lost: bool = False) -> None:
        self.closed = lost
        self.asked: list[str] = []

    async def execute(self, query: psycopg.sql.Composed, prepare: bool) -> Any:
        assert not prepare, "several statements cannot be prepared"
        self.asked.append(query.as_string())
        if self.closed:
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        await asyncio.Event().wait()


async def count(workflows: Workflows, server: Server) -> Any:
    return await workflows.pending(cast("Connection", server), ROW, "healthagent", LEFT)


async def test_a_count_without_an_answer_is_given_up_before_the_round_ends() -> None:
    async with asyncio.timeout(60):
        pending = await count(Workflows(DatabaseRef("db", 5432, "shop")), Server())
    assert pending == Unseen("its workflows could not be counted in 10 ms")


async def test_all_tables_are_counted_in_one_message_under_one_bound() -> None:
    server = Server()
    await count(Workflows(DatabaseRef("db", 5432, "shop")), server)
    (query,) = server.asked
    assert query.count("statement_timeout") == 1, "the bound is for all of them together"
    for table in ROW["workflow_tables"]:
        assert f'"{table["schema"]}"."workflow_status"' in query


async def test_a_count_that_was_given_up_is_not_tried_again_in_every_round() -> None:
    workflows, server = Workflows(DatabaseRef("db", 5432, "shop")), Server()
    assert await count(workflows, server) == await count(workflows, server)
    assert len(server.asked) == 1, "it would cost each round its time"


async def test_a_count_that_lost_the_connection_is_not_tried_again_in_every_round() -> None:
    workflows, server = Workflows(DatabaseRef("db", 5432, "shop")), Server(lost=True)
    with pytest.raises(psycopg.OperationalError):
        await count(workflows, server)
    assert isinstance(await count(workflows, server), Unseen)
    assert len(server.asked) == 1, "it would cost each round its connection"
