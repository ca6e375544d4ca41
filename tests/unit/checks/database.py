"""A database as the agent sees it, for the tests of the checks that read its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from healthagent.core.observation import (
    Backend,
    ClientPorts,
    Database,
    DatabaseSession,
    Fact,
    Fleet,
    Observation,
    PendingWorkflows,
    Process,
    ProcessTree,
    ServerLimits,
    Unseen,
)
from healthagent.core.target import DatabaseRef, Target
from healthagent.core.verdict import Status, Verdict

REF = DatabaseRef("db", 5432, "shop")
LIMITS = ServerLimits(max_connections=40, superuser_reserved=3)
AGENT = Backend(
    pid=1,
    role="healthagent",
    database="shop",
    application="healthagent",
    client_address="172.20.0.2",
    client_port=1,
)
HIDDEN = Unseen("its ports are hidden", "run the agent with pid: host")


def observed(
    target: Target,
    fleet: Sequence[Target],
    backends: Sequence[Backend],
    *,
    limits: ServerLimits = LIMITS,
    ports: ClientPorts | Unseen = HIDDEN,
    pending: tuple[PendingWorkflows, ...] | Unseen = (),
    left: Sequence[str] = (),
    began: float | None = None,
) -> Observation:
    """What a round tells of ``target`` where these backends, each with a pid of its own, and the
    agent's are connected. Replicas have just ``left`` these addresses; the target's first process
    ``began`` so many seconds ago."""
    held = tuple(replace(backend, pid=pid) for pid, backend in enumerate(backends, 100))
    seen = (AGENT, *held)
    database = Database(
        REF, 0.002, AGENT.pid, AGENT.role, limits, seen, pending=pending, lasted=0.01
    )
    facts: dict[type[Fact], Fact | Unseen] = {
        DatabaseSession: DatabaseSession(database),
        Fleet: Fleet(tuple(fleet), dict.fromkeys(left, 0.0)),
        ClientPorts: ports,
    }
    if began is not None:
        bun = Process(1, 0, 1, "bun", ("bun", "build/index.js"), "S", age=began)
        facts[ProcessTree] = ProcessTree((bun,))
    return Observation(target, facts)


def said(verdict: Verdict) -> tuple[Status, str]:
    return verdict.status, verdict.code
