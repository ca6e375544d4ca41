"""Which connections a DBOS executor was seen to use that did not name them.

Postgres keeps the last query of a connection alone, and what tells an executor is soon covered by
the COMMIT after it. So what one round saw is kept for those to come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from time import monotonic

from healthagent.core.observation import Backend


class Asked:
    """When each connection was last seen to ask what an executor alone asks."""

    def __init__(self) -> None:
        self._at: dict[int, float] = {}

    def remembered(self, backends: Iterable[Backend]) -> tuple[Backend, ...]:
        """The backends of a round, with what was seen of them in this one or in one before."""
        before, now = self._at, monotonic()
        self._at = {}
        return tuple(self._remembered(backend, before, now) for backend in backends)

    def _remembered(self, backend: Backend, before: dict[int, float], now: float) -> Backend:
        if backend.asked_dbos is not None:
            self._at[backend.pid] = now - backend.asked_dbos
            return backend
        at = before.get(backend.pid)
        if at is None or (backend.age is not None and backend.age < now - at):
            return backend  # Postgres gave the pid to a new connection
        self._at[backend.pid] = at
        return replace(backend, asked_dbos=now - at)
