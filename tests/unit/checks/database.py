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
) -> Observation:
    """What a round tells of ``target`` where these backends, each with a pid of its own, and the
    agent's are connected."""
    held = tuple(replace(backend, pid=pid) for pid, backend in enumerate(backends, 100))
    database = Database(REF, 0.01, AGENT.pid, AGENT.role, limits, (AGENT, *held), pending=pending)
    facts: dict[type[Fact], Fact | Unseen] = {
        DatabaseSession: DatabaseSession(database),
        Fleet: Fleet(tuple(fleet)),
        ClientPorts: ports,
    }
    return Observation(target, facts)


def said(verdict: Verdict) -> tuple[Status, str]:
    return verdict.status, verdict.code
