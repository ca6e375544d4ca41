"""``dbos``: does exactly one live DBOS executor, under the expected id, stand for this replica?

What an executor leaves in Postgres is the name of its connections, one of them that LISTENs, and
steady polling: see :mod:`healthagent.core.executors`.
"""

from __future__ import annotations

from collections import defaultdict

from healthagent.checks.share import NEEDS, come_from_elsewhere, share
from healthagent.core.check import Check, Group, Witness
from healthagent.core.executors import (
    FRESH,
    PREFIX,
    Executors,
    Name,
    acts_as_dbos,
    executors,
    is_cut,
    is_dbos,
    named,
    silence,
    without_clients,
)
from healthagent.core.observation import Backend, Observation, PendingWorkflows, Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict, degraded, failed, ok, unknown

COVERED = 10.0
"""Seconds without a sight of an executor's queries from which it may have ended. An idle one makes
them every second, and what comes next covers them: looks a second apart saw one within 2.2 s."""

LOCAL = "local"
"""The executor id of a process to which none was given."""

NAMED = 3
"""How many executors of orphaned workflows are named."""

SET_ID = "set executorID in DBOS.setConfig(), or DBOS__VMID"


def applies(target: Target) -> bool:
    declared = target.pools.dbos is not None or target.executor is not None
    return target.database is not None and declared


def judge(seen: Observation) -> Verdict:
    found = share(seen)
    if isinstance(found, Verdict):
        return found
    held, target = found.held, seen.target
    everyone = executors(found.account.without(found.former))
    mine = without_clients([each for each in held if is_dbos(each)])
    if mine:
        return judge_executor(mine, target, everyone)
    if any(map(acts_as_dbos, held)):
        return _nameless(held)
    return _elsewhere(target, held, everyone) or _absent(target, everyone)


def judge_executor(mine: tuple[Backend, ...], target: Target, everyone: Executors) -> Verdict:
    """The verdict on a replica whose executor's connections are known, the worst fault first."""
    if fault := _stale(mine):
        return fault
    names = sorted({(backend.database, backend.application) for backend in mine})
    for name in names:
        if fault := _identity(name, mine, target, everyone):
            return fault
    return (
        _unanswered(mine)
        or _mixed(names, target, everyone)
        or _orphaned(target, everyone)
        or ok(f"executor {names[0][1]} is registered{_unlooked(everyone)}", backends=len(mine))
    )


def _nameless(held: tuple[Backend, ...]) -> Verdict:
    """The app gave DBOS a pool of its own, which DBOS does not name. Some of its connections are
    told by what was asked on them; since that may be any, one that is fresh speaks for all."""
    asked = min((each.asked_dbos for each in held if each.asked_dbos is not None), default=0.0)
    name = f"set application_name to {PREFIX}<executor id>_<version> on systemDatabasePool"
    if fault := _stale(held):
        return fault
    if any(backend.listens_dbos for backend in held) or asked <= COVERED:
        return degraded(
            "unnamed",
            f"a DBOS executor is connected, but its pool is the app's own and bears no id; {name}",
        )
    return unknown(
        "covered",
        f"nothing that a DBOS executor asks was seen for {asked:.0f} s on the connections of its "
        "pool, which is the app's own and bears no id: the app's own queries may cover it, or it "
        f"may have ended; {name}, or leave out useListenNotify: false",
    )


def _elsewhere(target: Target, held: tuple[Backend, ...], everyone: Executors) -> Verdict | None:
    """No executor connects from the replica's address. Behind a pooler, such as PgBouncer, all
    connections come from the pooler's: the name alone tells then, while it is seen. A container
    that does not run has no address, and none anywhere: what bears its name was left by another."""
    if not target.addresses:
        return None
    mine = _named_outside(target, everyone)
    if mine and silence(mine) <= FRESH:
        return judge_executor(mine, target, everyone)
    between = mine or everyone.pooled(target, held)
    if not between:
        return None
    came = (
        f"no executor is connected from the replica's own address; {come_from_elsewhere(between)}"
    )
    if target.executor is None:
        return unknown("behind_pooler", f"{came}; declare healthagent.dbos.executor to tell whose")
    seen = f"its id is on none used for {silence(mine):.0f} s" if mine else "none bears its id now"
    return unknown(
        "behind_pooler",
        f"{came}, and {seen}; let DBOS connect to Postgres itself, or in the pooler's session "
        "mode: a connection that clients share bears the last one's name, and cannot LISTEN",
    )


def _named_outside(target: Target, everyone: Executors) -> tuple[Backend, ...]:
    """Connections under the replica's declared id from an address that is no replica's, to a
    database where its executor may be."""
    return tuple(
        backend
        for backend in everyone.outside(target)
        if target.executor is not None and named(backend.application, target.executor)
    )


def _absent(target: Target, everyone: Executors) -> Verdict:
    waiting = sum(each.count for each in everyone.orphans if each.executor == target.executor)
    wait = f"; {waiting} PENDING workflows wait for its return" if waiting else ""
    evidence = {"orphans": waiting} if waiting else {}
    return failed(
        "not_registered",
        f"no DBOS executor of this replica is connected{wait}; "
        "look at the app's log for DBOS.launch()",
        **evidence,
    )


def _stale(mine: tuple[Backend, ...]) -> Verdict | None:
    """On the connection that listens nothing is said. Where that is the only one, the process has
    closed the others: it lives, and since when they are gone is not known."""
    silent = silence(mine)
    if silent <= FRESH:
        return None
    if all(backend.listens_dbos for backend in mine):
        return degraded(
            "listens_only",
            "the executor listens, and has no connection on which it takes workflows, or loses "
            "each as soon as it is made; look at the app's log, and whether Postgres takes writes",
        )
    return failed(
        "stale",
        f"the executor has not spoken to Postgres for {silent:.0f} s; "
        "its process is stuck or cut off",
        idle_s=round(silent, 1),
    )


def _unanswered(mine: tuple[Backend, ...]) -> Verdict | None:
    """The executor waits for Postgres, and asks nothing else meanwhile: its workflows stand still,
    for a fault that is not its own."""
    waits = min([each.idle_for for each in mine if each.idle_for is not None], default=0.0)
    if waits <= FRESH:
        return None
    return degraded(
        "unanswered",
        f"Postgres has been at work for {waits:.0f} s on what the executor asked last, and it asks "
        "nothing else meanwhile; look for locks on DBOS's tables, and for what slows Postgres down",
        waits_s=round(waits, 1),
    )


def _identity(
    name: Name, mine: tuple[Backend, ...], target: Target, everyone: Executors
) -> Verdict | None:
    processes = _processes(name, mine, target, everyone)
    _, called = name
    fault = (
        _local(called, processes, target) or _shared(called, processes) or _misnamed(called, target)
    )
    if fault is None:
        return None
    code, reason = fault
    judged = failed if "dbos" in target.enforce else degraded
    return judged(code, reason, application=called)


def _processes(name: Name, mine: tuple[Backend, ...], target: Target, everyone: Executors) -> int:
    """How many processes bear the name, as far as can be told.

    What comes from the replica itself is one: where it runs a second, ``process`` says so. Under
    another address each has one connection that listens (none with ``useListenNotify: false``).
    An address counts while it is used: of a process that is gone without a farewell, Postgres
    shows the connections, silent, until TCP gives them up: after two hours by default.
    """
    if target.executor is not None and is_cut(target.executor):
        return 1  # other ids may be cut to the same
    own = {backend.pid for backend in mine if backend.client_address in target.addresses}
    others: dict[str | None, list[Backend]] = defaultdict(list)
    for backend in everyone.by_name.get(name, ()):
        if backend.pid not in own:
            others[backend.client_address].append(backend)
    listening = [
        sum(backend.listens_dbos for backend in backends)
        for backends in others.values()
        if silence(backends) <= FRESH
    ]
    return bool(own) + sum(max(1, count) for count in listening)


def _local(name: str, processes: int, target: Target) -> tuple[str, str] | None:
    meant = target.executor is not None and named(name, target.executor)
    if meant or not named(name, LOCAL):
        return None
    if processes > 1:
        return "local_shared", (
            f"{processes} processes run as executor 'local', the id of all that are given none: "
            "each takes the others' PENDING workflows and runs them a second time, while the "
            f"first still does; {SET_ID}, to an id of each replica's own"
        )
    return "local_id", (
        "the executor id is 'local', the id of all processes that are given none: a second one "
        f"will take its workflows and run them twice; {SET_ID}"
    )


def _shared(name: str, processes: int) -> tuple[str, str] | None:
    if processes < 2:
        return None
    return "shared_id", (
        f"{processes} processes share the executor {name!r} and will run each other's "
        "workflows twice; give each replica an id of its own"
    )


def _misnamed(name: str, target: Target) -> tuple[str, str] | None:
    if target.executor is None or named(name, target.executor):
        return None
    return "unexpected_id", (
        f"the executor calls itself {name!r}, expected id {target.executor!r}; {SET_ID}, "
        "or correct the label healthagent.dbos.executor"
    )


def _mixed(names: list[Name], target: Target, everyone: Executors) -> Verdict | None:
    for database, _ in names:
        versions = everyone.versions(target.service, database)
        if len(versions) > 1:
            listed = ", ".join(repr(v) if v else "a computed one" for v in sorted(versions))
            return degraded("mixed_versions", f"executors of one service run versions {listed}")
    return None


def _orphaned(target: Target, everyone: Executors) -> Verdict | None:
    """Workflows that nobody goes on with. They are told of the replica whose id it is; where no
    watched replica has that id, of all, since any of them may be started under it."""
    orphans = [
        each
        for each in everyone.orphans
        if each.executor == target.executor or each.executor not in everyone.expected
    ]
    if not orphans:
        return None
    count = sum(each.count for each in orphans)
    return degraded(
        "orphaned",
        f"{count} PENDING workflows have no living executor: {_listed(orphans)}; "
        "start a process under that id and version, and it recovers them",
        orphans=count,
        executor=orphans[0].executor,
        version=orphans[0].version,
    )


def _listed(orphans: list[PendingWorkflows]) -> str:
    most = sorted(orphans, key=lambda each: -each.count)
    said = [f"{each.count} of {each.executor!r} version {each.version!r}" for each in most[:NAMED]]
    return ", ".join(said) + (f" and {len(most) - NAMED} more" if len(most) > NAMED else "")


def _unlooked(everyone: Executors) -> str:
    pending = everyone.ledger.database.pending
    return f" (orphaned workflows: {pending})" if isinstance(pending, Unseen) else ""


CHECK = Check(
    name="dbos",
    groups=frozenset({Group.STARTUP, Group.READINESS}),
    witness=Witness.AGENT,
    needs=NEEDS,
    applies=applies,
    judge=judge,
)
