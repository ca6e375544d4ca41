"""``/history``: what was done and what changed, over restarts of the agent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web

from healthagent.core.options import duration
from healthagent.core.ports import Entry, History
from healthagent.surfaces.entry_text import document
from healthagent.surfaces.http.number import whole
from healthagent.surfaces.http.problem import Problem

MOST = 500
"""Entries where the asker names no number."""

LIMIT = 10_000


class NoHistory:
    """For a surface that was given none."""

    async def entries(self, name: str, since: float, most: int) -> Sequence[Entry] | None:
        del name, since, most
        return ()

    async def evidence(self, act: str) -> Mapping[str, Any] | None:
        del act
        return None


async def entries(history: History, query: Mapping[str, str]) -> dict[str, Any]:
    """Raises :class:`Problem` 400 for a query that cannot be read, 503 where the disk hangs."""
    since = 0.0
    if "since" in query:
        try:
            since = time.time() - duration(query["since"])
        except ValueError:
            detail = f"since={query['since']!r}: write a duration such as 90s, 10m or 2h"
            raise Problem(HTTPStatus.BAD_REQUEST, detail) from None
    most = whole(query.get("most", str(MOST)))
    if most is None or not 1 <= most <= LIMIT:
        detail = f"most={query['most']!r}: write a whole number from 1 to {LIMIT}"
        raise Problem(HTTPStatus.BAD_REQUEST, detail)
    found = await history.entries(query.get("name", ""), since, most)
    if found is None:
        detail = "the history's disk does not answer; the agent's log has it all"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)
    return {"entries": [document(entry) for entry in found]}


async def evidence(history: History, request: web.Request) -> dict[str, Any]:
    """Raises :class:`Problem` 404 where nothing is kept of that act."""
    act = request.match_info["act"]
    found = await history.evidence(act)
    if found is None:
        detail = f"no evidence is kept of an act {act!r}; GET /history names those that have some"
        raise Problem(HTTPStatus.NOT_FOUND, detail)
    return dict(found)
