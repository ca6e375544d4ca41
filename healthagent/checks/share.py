"""A replica's share of its database's connections: where ``pool`` and ``dbos`` begin."""

from __future__ import annotations

from typing import NamedTuple

from healthagent.core.attribution import Ledger, ledger
from healthagent.core.observation import (
    Backend,
    ClientPorts,
    Database,
    DatabaseSession,
    Fact,
    Fleet,
    Observation,
    ProcessTree,
    Unseen,
)
from healthagent.core.verdict import Verdict, unknown

NEEDS: tuple[type[Fact], ...] = (DatabaseSession, Fleet, ClientPorts, ProcessTree)
"""The facts that it takes to tell."""

YOUNG = 60.0
"""Seconds after a start for which Postgres may still show connections of the one that had the
address before. Ages are compared no longer: where Postgres' clock is set, all of its change."""

APART = 5.0
"""Seconds, at most, between the looks at the replica's processes and at its connections."""


class Share(NamedTuple):
    """What the replica holds, and the account of who holds what on that server."""

    account: Ledger
    held: tuple[Backend, ...]


def share(seen: Observation) -> Share | Verdict:
    """The replica's share, or the *unknown* that its check says where that cannot be told."""
    session, fleet = seen.see(DatabaseSession), seen.see(Fleet)
    if isinstance(session, Unseen):
        return unknown("no_session", str(session))
    if isinstance(fleet, Unseen):
        return unknown("unseen", str(fleet))
    if not isinstance(session.outcome, Database):
        return unknown("no_session", "the database gave the agent no session; see postgres")
    account = ledger(session.outcome, fleet)
    held = account.held_by(seen.target, seen.see(ClientPorts))
    if isinstance(held, Unseen):
        return unknown(held.code, str(held))
    return Share(account, _of_this_life(held, seen.see(ProcessTree)))


def _of_this_life(
    held: tuple[Backend, ...], processes: ProcessTree | Unseen
) -> tuple[Backend, ...]:
    """Connections that are older than the replica are of the one that had its address before:
    Postgres has not noticed yet that it is gone."""
    root = None if isinstance(processes, Unseen) else processes.root
    if root is None or root.age is None or root.age > YOUNG:
        return held
    oldest = root.age + APART
    return tuple(backend for backend in held if backend.age is None or backend.age <= oldest)
