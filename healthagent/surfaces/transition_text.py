"""How a transition is told: one sentence for people, one JSON shape for whatever reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from healthagent.core.transition import Transition


@lru_cache(maxsize=8192)
def rfc3339(at: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, to the millisecond: ``2026-01-02T03:04:05.678Z``.

    It sorts as text, and is what Docker, Postgres and OpenTelemetry collectors parse. A big fleet's
    document has tens of thousands of times, most of them more than once.
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document(transition: Transition) -> dict[str, Any]:
    """``check`` is ``null`` where the whole target changed; then ``before`` and ``after`` are
    phases, else they are statuses of the check. ``container_id`` is ``null`` for a local process.
    """
    target = transition.target
    return {
        "time": rfc3339(transition.at),
        "event": "transition",
        "target": target.name,
        "service": target.service,
        "container_id": target.id if target.is_container else None,
        "check": transition.check or None,
        "before": str(transition.before),
        "after": str(transition.after),
        "worse": transition.worse,
        "code": transition.code,
        "reason": transition.reason,
        "evidence": dict(transition.evidence),
    }


def sentence(transition: Transition) -> str:
    """``app-1 http: ok -> failed: GET /readyz answered 503``."""
    about = f"{transition.target.name} {transition.check}".rstrip()
    why = f": {transition.reason}" if transition.reason else ""
    return f"{about}: {transition.before} -> {transition.after}{why}"
