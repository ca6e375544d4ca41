"""``/budget``: connections declared, planned, held and allowed.

Per replica, service, role, database and server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from healthagent.core.budget import Budget, Limit, Part


def document(budgets: Sequence[Budget]) -> dict[str, Any]:
    """Counts of connections. ``fits`` is whether all pools may be full at once, the ``surge`` of a
    rollout included, within the server and its CONNECTION LIMITs (``limits``, which are those of
    ``roles`` and ``databases`` that bind a replica). ``null`` stands where nothing is declared or
    nothing can be told, and for ``allowed`` where there is no CONNECTION LIMIT."""
    return {
        "fits": all(budget.fits for budget in budgets),
        "servers": [_server(budget) for budget in budgets],
    }


def _server(budget: Budget) -> dict[str, Any]:
    names = dict.fromkeys(replica.service for replica in budget.replicas)
    return {
        "server": budget.server,
        "also": list(budget.also),
        "allowed": budget.allowed,
        "planned": budget.planned,
        "declared": budget.declared,
        "held": budget.held,
        "agent": budget.agent,
        "others": budget.others,
        "surge": budget.surge,
        "fits": budget.fits,
        "undeclared": list(budget.undeclared),
        "limits": [_part(budget, limit) for limit in budget.limits],
        "roles": [_part(budget, part) for part in budget.parts if part.kind == "role"],
        "databases": [_part(budget, part) for part in budget.parts if part.kind == "database"],
        "services": [_service(budget, name) for name in names],
        "replicas": [replica._asdict() for replica in budget.replicas],
    }


def _service(budget: Budget, name: str) -> dict[str, Any]:
    ours = [replica for replica in budget.replicas if replica.service == name]
    return {
        "name": name,
        "replicas": len(ours),
        "declared": _sum(replica.declared for replica in ours),
        "held": _sum(replica.held for replica in ours),
        "largest": budget.largest(name),
    }


def _part(budget: Budget, part: Part) -> dict[str, Any]:
    limit = part if isinstance(part, Limit) else None
    return asdict(part) | {
        "allowed": limit and limit.allowed,
        "declared": budget.declared_within(part),
        "planned": budget.planned_within(part),
        "surge": budget.surge_within(part),
        "fits": limit is None or budget.overrun(limit) <= 0,
    }


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
