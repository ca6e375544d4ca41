"""``/budget``: planned, held and allowed connections, per replica, service and server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from healthagent.core.budget import Budget, Limit


def document(budgets: Sequence[Budget]) -> dict[str, Any]:
    """Counts of connections. ``fits`` is whether all pools may be full at once, the ``surge`` of a
    rollout included, within the server and its CONNECTION LIMITs (``limits``); ``null`` stands
    where nothing is declared or nothing can be told."""
    return {
        "fits": all(budget.fits for budget in budgets),
        "servers": [_server(budget) for budget in budgets],
    }


def _server(budget: Budget) -> dict[str, Any]:
    names = dict.fromkeys(replica.service for replica in budget.replicas)
    return {
        "server": budget.server,
        "allowed": budget.allowed,
        "planned": budget.planned,
        "declared": budget.declared,
        "held": budget.held,
        "agent": budget.agent,
        "others": budget.others,
        "surge": budget.surge,
        "fits": budget.fits,
        "undeclared": list(budget.undeclared),
        "limits": [_limit(budget, limit) for limit in budget.limits],
        "services": [_service(budget, name) for name in names],
        "replicas": [asdict(replica) for replica in budget.replicas],
    }


def _service(budget: Budget, name: str) -> dict[str, Any]:
    ours = [replica for replica in budget.replicas if replica.service == name]
    return {
        "name": name,
        "replicas": len(ours),
        "declared": _sum(replica.declared for replica in ours),
        "held": _sum(replica.held for replica in ours),
        "largest": _largest(budget, name),
    }


def _limit(budget: Budget, limit: Limit) -> dict[str, Any]:
    return asdict(limit) | {
        "planned": budget.planned_within(limit),
        "surge": budget.surge_within(limit),
        "fits": budget.overrun(limit) <= 0,
    }


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _largest(budget: Budget, service: str) -> int | None:
    """The most replicas that the server allows, or ``None`` where they declare no pool."""
    try:
        return budget.largest(service)
    except ValueError:
        return None
