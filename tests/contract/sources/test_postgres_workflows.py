"""What a round tells of DBOS's pending workflows, and that it is in nobody's way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from healthagent.core.observation import Elsewhere, PendingWorkflows, Unseen
from provision.local_postgres import LocalPostgres
from tests.contract.sources.postgres_server import ROLE, database, sourcing, superuser, told

TABLE = "(workflow_uuid text, status text, executor_id text, application_version text)"
ROWS = """
('a', 'PENDING', 'app-1', '1.0.0'), ('b', 'PENDING', 'app-1', '1.0.0'),
('c', 'PENDING', 'app_2', NULL), ('d', 'SUCCESS', 'app-1', '1.0.0'), ('e', 'ENQUEUED', NULL, NULL)
"""


@contextlib.contextmanager
def workflows(postgres: LocalPostgres, schema: str = "dbos") -> Iterator[psycopg.Connection]:
    """DBOS's table in a schema of that name, which the agent may not read; gone at the end."""
    with superuser(postgres) as admin:
        admin.execute(f'CREATE SCHEMA "{schema}"')
        try:
            admin.execute(f'CREATE TABLE "{schema}".workflow_status {TABLE}')
            admin.execute(f'INSERT INTO "{schema}".workflow_status VALUES {ROWS}')
            yield admin
        finally:
            admin.execute(f'DROP SCHEMA "{schema}" CASCADE')


def grant(admin: psycopg.Connection, schema: str = "dbos") -> None:
    admin.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO {ROLE}')
    admin.execute(f'GRANT SELECT ON "{schema}".workflow_status TO {ROLE}')


@pytest.mark.parametrize("schema", ["dbos", 'Odd "name"'.replace('"', "'")])
async def test_pending_workflows_are_counted_by_executor_and_version_in_any_schema(
    postgres: LocalPostgres, schema: str
) -> None:
    with workflows(postgres, schema) as admin:
        grant(admin, schema)
        async with sourcing() as source:
            pending = (await told(source, database(postgres))).pending
    assert not isinstance(pending, Unseen), pending
    assert set(pending) == {PendingWorkflows("app-1", "1.0.0", 2), PendingWorkflows("app_2", "", 1)}


async def test_a_table_of_the_apps_own_that_is_called_the_same_is_not_dboss(
    postgres: LocalPostgres,
) -> None:
    with workflows(postgres) as admin:
        grant(admin)
        admin.execute("CREATE TABLE public.workflow_status (id int, status text)")
        try:
            async with sourcing() as source:
                pending = (await told(source, database(postgres))).pending
        finally:
            admin.execute("DROP TABLE public.workflow_status")
    assert not isinstance(pending, Unseen), pending
    assert sum(each.count for each in pending) == 3


async def test_without_the_right_to_read_them_it_says_which_grant_helps(
    postgres: LocalPostgres,
) -> None:
    with workflows(postgres) as admin:
        async with sourcing() as source:
            pending = (await told(source, database(postgres))).pending
        assert isinstance(pending, Unseen), pending
        for statement in pending.remedy.split("; "):
            admin.execute(statement.encode())
        async with sourcing() as source:
            pending = (await told(source, database(postgres))).pending
    assert not isinstance(pending, Unseen), "the grants that it names are those that help"


async def test_a_database_without_dbos_says_so(postgres: LocalPostgres) -> None:
    async with sourcing() as source:
        pending = (await told(source, database(postgres))).pending
    assert isinstance(pending, Elsewhere)
    assert "has no table workflow_status" in pending.reason


async def test_a_table_that_somebody_locks_delays_no_round(postgres: LocalPostgres) -> None:
    """As a migration of DBOS's own does."""
    with workflows(postgres) as admin:
        grant(admin)
        with admin.transaction():
            admin.execute("LOCK TABLE dbos.workflow_status IN ACCESS EXCLUSIVE MODE")
            async with sourcing() as source:
                seen = await told(source, database(postgres))
                assert isinstance(seen.pending, Unseen)
                assert "lock timeout" in seen.pending.reason
                again = await told(source, database(postgres))
                assert again.agent_pid == seen.agent_pid, "the connection is kept"


async def test_tables_that_are_slow_together_are_left_out_of_the_round(
    postgres: LocalPostgres,
) -> None:
    """Each of them alone would be counted in time."""
    with contextlib.ExitStack() as stack:
        for number in range(6):
            admin = stack.enter_context(workflows(postgres, f"dbos{number}"))
            grant(admin, f"dbos{number}")
            table = f"dbos{number}.workflow_status"
            admin.execute(f"CREATE POLICY slow ON {table} USING (pg_sleep(0.01) IS NOT NULL)")
            admin.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        async with sourcing() as source:
            seen = await told(source, database(postgres))
            assert isinstance(seen.pending, Unseen), f"they took longer than allowed: {seen}"
            again = await told(source, database(postgres))
    assert "statement timeout" in seen.pending.reason
    assert again.agent_pid == seen.agent_pid, "the connection is kept"


async def test_they_are_counted_now_and_then_and_the_count_is_kept(
    postgres: LocalPostgres,
) -> None:
    with workflows(postgres) as admin:
        grant(admin)
        async with sourcing() as source:
            first = await told(source, database(postgres))
            admin.execute("DELETE FROM dbos.workflow_status")
            second = await told(source, database(postgres))
    assert second.pending is first.pending, "a round is not slower for being often"
