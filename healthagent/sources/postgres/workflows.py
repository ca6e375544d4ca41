"""DBOS's pending workflows, counted by who began them: now and then, and never in anybody's way.

The count reads a table of the app's. It waits for no lock to speak of and is soon given up, so that
neither a migration of that table nor its size can make the database seem slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from healthagent.core.observation import Elsewhere, PendingWorkflows, Unseen
from healthagent.core.target import DatabaseRef
from healthagent.sources.postgres.connection import Connection
from healthagent.sources.postgres.query import Pending

EVERY = 10.0
"""Seconds from one count to the next."""

LONGEST = 0.2
"""Seconds that a count of all tables may take, or half of what the round has left where that is
less."""

SERVERS_SHARE = 0.75
"""Share of that after which the server gives up by itself, so that the connection is kept."""

LOCK_MS = 20

# DBOS Transact for TypeScript 5.3 has a partial index on the rows in this status.
COUNT = """
SELECT executor_id, application_version, count(*)::int AS count
FROM {table} WHERE status = 'PENDING' GROUP BY 1, 2
"""


def _query(tables: Sequence[DictRow], longest: float) -> sql.Composed:
    """The counts of all tables, in one message and so in one transaction."""
    names = (sql.Identifier(table["schema"], "workflow_status") for table in tables)
    bounds = (
        f"SET LOCAL statement_timeout = {max(1, round(SERVERS_SHARE * longest * 1000))}; "
        f"SET LOCAL lock_timeout = {LOCK_MS};"
    )
    counts = sql.SQL("UNION ALL").join(sql.SQL(COUNT).format(table=name) for name in names)
    return sql.Composed([sql.SQL(bounds), counts])


class Workflows:
    """Counts one database's pending workflows when that is due, and keeps the last count."""

    def __init__(self, ref: DatabaseRef) -> None:
        self._ref = ref
        self._counted_at: float | None = None
        self._pending: Pending = Unseen("workflows were not looked at yet")

    async def pending(
        self, connection: Connection, row: DictRow, user: str, left: float
    ) -> Pending:
        """The count, at most some seconds old. ``row`` is what the round told; ``left`` the seconds
        until its deadline. A count that is given up may leave the connection busy. Raises where it
        was lost."""
        now = monotonic()
        if self._counted_at is None or now - self._counted_at >= EVERY:
            self._counted_at = now  # a count that fails is not tried again in every round
            self._pending = Unseen("the count of its workflows was cut short")
            self._pending = await self._count(connection, row, user, min(LONGEST, left / 2))
        return self._pending

    async def _count(
        self, connection: Connection, row: DictRow, user: str, longest: float
    ) -> Pending:
        tables = row["workflow_tables"]
        if not tables:
            return Elsewhere(
                f"{self._ref} has no table workflow_status",
                "where systemDatabaseUrl names another database, its workflows are not seen",
            )
        hidden = [table["schema"] for table in tables if not table["readable"]]
        if hidden:
            schema = sql.Identifier(hidden[0]).as_string()
            return Unseen(
                f"the agent's role may not read {schema}.workflow_status",
                f"GRANT USAGE ON SCHEMA {schema} TO {user}; "
                f"GRANT SELECT ON {schema}.workflow_status TO {user}",
            )
        try:
            async with asyncio.timeout(longest):
                counted = await connection.execute(_query(tables, longest), prepare=False)
                await counted.set_result(-1)
                counts = await counted.fetchall()
        except TimeoutError:
            return Unseen(f"its workflows could not be counted in {longest * 1000:.0f} ms")
        except UnicodeError as error:
            return Unseen(f"its workflows could not be counted ({error})")
        except psycopg.Error as error:
            if connection.closed:
                raise
            return Unseen(f"its workflows could not be counted ({error.diag.message_primary})")
        return tuple(
            PendingWorkflows(
                count["executor_id"] or "", count["application_version"] or "", count["count"]
            )
            for count in counts
        )
