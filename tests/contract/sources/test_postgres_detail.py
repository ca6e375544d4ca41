"""What is kept of a replica as evidence: its own rows on a real server, and no SQL text."""

from __future__ import annotations

import json

from healthagent.core.observation import Unseen
from healthagent.sources.postgres import SessionDetail
from provision.local_postgres import LocalPostgres
from tests.contract.sources.postgres_server import PATIENCE, sourcing
from tests.contract.sources.test_postgres_judged import replica
from tests.contract.sources.test_postgres_workflows import grant, workflows


async def test_it_has_the_sessions_of_the_replica_and_the_work_of_its_executors(
    postgres: LocalPostgres,
) -> None:
    with workflows(postgres) as admin, replica(postgres, "app-1") as one:
        grant(admin)
        one.launch("app-1", "1.0.0")
        one.connect("prisma").execute("SELECT 'a secret of the query'")
        async with sourcing() as source:
            found = await SessionDetail(source).look(one.target, PATIENCE)
    assert not isinstance(found, Unseen), found
    names = {row["application"] for row in found["sessions"]}
    assert names >= {"dbos_transact_app-1_1.0.0", "prisma"}
    assert found["pending"] == [{"executor": "app-1", "version": "1.0.0", "count": 2}]
    assert "a secret of the query" not in json.dumps(found)


async def test_what_may_not_be_read_says_which_grant_helps(postgres: LocalPostgres) -> None:
    with workflows(postgres), replica(postgres, "app-1") as one:
        async with sourcing() as source:
            found = await SessionDetail(source).look(one.target, PATIENCE)
    assert not isinstance(found, Unseen), found
    assert "GRANT" in found["pending"]["unseen"]


async def test_without_a_session_it_says_why(postgres: LocalPostgres) -> None:
    with replica(postgres, "app-1") as one:
        async with sourcing(password="wrong") as source:
            found = await SessionDetail(source).look(one.target, PATIENCE)
    assert isinstance(found, Unseen)
    assert "password" in found.reason
