"""A replica's share of its database's connections: where ``pool`` and ``dbos`` begin."""

from __future__ import annotations

from collections.abc import Sequence
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

COARSE = 1.0
"""Seconds by which a process may be older than it is said to be: Docker tells whole ones."""


class Share(NamedTuple):
    """What the replica holds, and the account of who holds what on that server. ``former`` are the
    connections, by their pids, of the one that had its address before."""

    account: Ledger
    held: tuple[Backend, ...]
    former: frozenset[int]


def share(seen: Observation) -> Share | Verdict:
    """The replica's share, or the *unknown* that its check says where that cannot be told.

    While a replica is young, connections that are older than it are of the one that had its address
    before: Postgres has not noticed yet that it is gone.
    """
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
    former = _former(held, _age(seen.see(ProcessTree)), session.outcome.lasted)
    mine = tuple(each for each in held if each.pid not in former) if former else held
    return Share(account, mine, former)


def come_from_elsewhere(backends: Sequence[Backend]) -> str:
    """What is said of connections that may be a replica's own by way of a pooler."""
    return (
        f"{len(backends)} connections that may be its own come from "
        f"{backends[0].client_address or 'a Unix socket'}, which is no replica's, as a pooler's do"
    )


def _former(held: tuple[Backend, ...], life: float | None, lasted: float) -> frozenset[int]:
    """The connections that are older than a young replica, which began ``life`` seconds ago. The
    server told the ages of its connections at some moment of the round, ``lasted`` seconds long.
    """
    if life is None or life > YOUNG:
        return frozenset()
    oldest = life + COARSE + lasted
    return frozenset(backend.pid for backend in held if (backend.age or 0.0) > oldest)


def _age(processes: ProcessTree | Unseen) -> float | None:
    """Seconds since the replica's first process began, where that is seen."""
    root = None if isinstance(processes, Unseen) else processes.root
    return root.age if root else None
