"""The rows of one replica, for evidence: its sessions, and the workflows of its executors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from healthagent.core.executors import named
from healthagent.core.observation import Backend, Database, Unseen
from healthagent.core.target import Target
from healthagent.sources.postgres.source import PostgresSource

MOST_ROWS = 100


class SessionDetail:
    """What pg_stat_activity and DBOS's tables have of one replica. No SQL text is among it."""

    def __init__(self, source: PostgresSource) -> None:
        self._source = source

    async def look(self, target: Target, timeout: float) -> Mapping[str, Any] | Unseen:
        """``sessions`` are those from the replica's addresses, ``pending`` the workflows that its
        executors have not ended."""
        session = await self._source.look(target, timeout)
        if isinstance(session, Unseen):
            return session
        found = session.outcome
        if not isinstance(found, Database):
            return Unseen(f"the database gave no session: {found.error} {found.detail}".rstrip())
        sessions = [b for b in found.clients if b.client_address in target.addresses]
        return {
            "sessions": [asdict(backend) for backend in sessions[:MOST_ROWS]],
            "pending": _pending(found, target, sessions),
        }


def _pending(database: Database, target: Target, sessions: list[Backend]) -> Any:
    if isinstance(database.pending, Unseen):
        return {"unseen": str(database.pending)}
    return [
        asdict(workflows)
        for workflows in database.pending
        if workflows.executor == target.executor
        or any(named(session.application, workflows.executor) for session in sessions)
    ]
