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
    Unseen,
)
from healthagent.core.verdict import Verdict, unknown

NEEDS: tuple[type[Fact], ...] = (DatabaseSession, Fleet, ClientPorts)
"""The facts that it takes to tell."""


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
    return unknown(held.code, str(held)) if isinstance(held, Unseen) else Share(account, held)
