"""``postgres``: does the database give a session, and in time?

The agent asks with a connection of its own, so this is its word, not the replica's.
"""

from __future__ import annotations

from healthagent.core.check import Check, Group, Witness
from healthagent.core.observation import DatabaseDown, DatabaseSession, Observation, Unseen
from healthagent.core.target import DatabaseRef, Target, is_loopback
from healthagent.core.verdict import Verdict, degraded, failed, ok, unknown

SLOW = 0.5
"""Share of the timeout from which an answer counts as slow."""

MEANING = {
    "refused": "nothing listens at {where}; is Postgres started?",
    "timeout": "{where} did not answer in time",
    "unreachable": "no way to {where}; is Postgres started, and the agent on its network?",
    "name": "the name of {where} does not resolve; does its container run, and is the agent on its "
    "network?",
    "tls": "{where} and the agent do not agree on TLS",
    "starting": "{where} is starting up",
    "recovering": "{where} replays its log after a crash",
    "stopping": "{where} is shutting down",
    "absent": "{where} has no such database",
    "closed": "{where} lets nobody into that database; is it being restored, or half dropped?",
    "exhausted": "{where} has no connection left (53300): exhausted, not down; see budget",
    "rejected": "{where} refused the session",
    "lost": "{where} ended the connection",
}


def applies(target: Target) -> bool:
    return target.database is not None


def judge(seen: Observation) -> Verdict:
    session = seen.see(DatabaseSession)
    if isinstance(session, Unseen):
        return unknown(session.code, str(session))
    outcome = session.outcome
    if isinstance(outcome, DatabaseDown):
        if _is_its_own(seen.target, outcome.ref):
            return unknown(
                "unseen",
                f"{outcome.ref.host} is the replica's own loopback, where the agent cannot ask; "
                "name the database to it in [databases.NAME], and by the label "
                "healthagent.database",
            )
        meaning = MEANING[outcome.error].format(where=outcome.ref.server)
        detail = f" ({outcome.detail})" if outcome.detail else ""
        evidence = {"sqlstate": outcome.sqlstate} if outcome.sqlstate else {}
        return failed(outcome.error, meaning + detail, **evidence)
    ms = round(outcome.elapsed * 1000, 1)
    if outcome.in_recovery:
        return degraded("standby", f"{outcome.ref} is a standby and takes no writes", ms=ms)
    if outcome.read_only:
        return degraded(
            "read_only",
            f"{outcome.ref} takes no writes: default_transaction_read_only is on; "
            "is its disk nearly full?",
            ms=ms,
        )
    if outcome.elapsed > SLOW * seen.target.timing.timeout:
        return degraded("slow", f"{outcome.ref} took {ms:g} ms to answer", ms=ms)
    return ok(f"{outcome.ref} answered", ms=ms)


def _is_its_own(target: Target, database: DatabaseRef) -> bool:
    """Whether the database is behind the loopback address of a network that is not the agent's: one
    on the host's network, seen from a container, or one that shares its network with Postgres."""
    apart = target.is_container and not is_loopback(target.address or "")
    return apart and is_loopback(database.host)


CHECK = Check(
    name="postgres",
    groups=frozenset({Group.READINESS}),
    witness=Witness.AGENT,
    needs=(DatabaseSession,),
    applies=applies,
    judge=judge,
    shared=True,
)
