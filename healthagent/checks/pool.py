"""``pool``: does the replica hold what it declared, and does the fleet's sum fit the server?

What one replica does wrong is looked for first: it is said of that replica alone. What is true of
the server, the role or the database is said of every replica that it concerns.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from healthagent.checks.share import NEEDS, come_from_elsewhere, share
from healthagent.core.attribution import Ledger
from healthagent.core.budget import Limit, plans
from healthagent.core.check import Check, Group, Witness
from healthagent.core.executors import acts_as_dbos, is_dbos
from healthagent.core.observation import Backend, Observation
from healthagent.core.once import once
from healthagent.core.pooler import pooled
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict, degraded, failed, ok, unknown

BUSY = 2.0
"""Seconds without a change from which a connection that is not idle keeps others waiting."""

ABANDONED = 60.0
"""Seconds of idleness from which a connection that was passed over may be lost to its pool."""

FEWEST_ABANDONED = 3
"""Fewer may be meant: a listener of the app's own, a lock that is held."""

NEARLY = 0.9
"""Share of a limit from which little is left."""

NAMED = 3
"""How many of those who hold most are named."""

Fault = tuple[str, str]


def applies(target: Target) -> bool:
    return target.database is not None and target.pools.total is not None


def judge(seen: Observation) -> Verdict:
    found = share(seen)
    if isinstance(found, Verdict):
        return found
    account, held = found.account, found.held
    app = tuple(backend for backend in held if not is_dbos(backend))
    fault = (
        _over_declared(app, held, seen.target)
        or _leaking(app)
        or _saturated(app, seen.target)
        or _beyond(account, seen.target, held)
    )
    if fault is None:
        holds = f"holds {len(held)} of {seen.target.pools.total} connections"
        return _behind_pooler(account, seen.target, holds) or ok(holds, held=len(held))
    code, reason = fault
    judged = failed if "pool" in seen.target.enforce else degraded
    return judged(code, reason, held=len(held))


def _behind_pooler(account: Ledger, target: Target, holds: str) -> Verdict | None:
    """A pool of which no replica of the service holds anything from an address of its own may go
    through a pooler, or NAT: whose its connections are cannot be told then."""
    between = pooled(account).of(target)
    if not between:
        return None
    return unknown(
        "behind_pooler",
        f"{holds} from its own address; {come_from_elsewhere(between)}; connect the replicas to "
        "Postgres itself, with neither a pooler nor NAT in between, to have their pools judged",
    )


def _over_declared(app: Sequence[Backend], held: Sequence[Backend], target: Target) -> Fault | None:
    """Where DBOS's pool is the app's own, and bears no name, only the sum of both is told."""
    pools = target.pools
    if any(map(acts_as_dbos, app)):
        counts = [("", len(held), pools.total)]
    else:
        counts = [("prisma", len(app), pools.prisma), ("dbos", len(held) - len(app), pools.dbos)]
    for pool, count, declared in counts:
        if declared is not None and count > declared:
            declare = f"declare healthagent.pool.{pool}={count}" if pool else "declare their sizes"
            return "over_declared", (
                f"holds {count} {pool or 'prisma and dbos'} connections and declared {declared}: "
                f"a second pool, or a larger one; lower the pool's max, or {declare}"
            )
    return None


def _leaking(app: Sequence[Backend]) -> Fault | None:
    """An app may have several pools: as far as they log in or are called otherwise, what one opens
    says nothing of another's."""
    if len([each for each in app if (each.idle_for or 0.0) > ABANDONED]) < FEWEST_ABANDONED:
        return None
    pools: dict[tuple[str, str, str], list[Backend]] = defaultdict(list)
    for backend in app:
        pools[backend.role, backend.database, backend.application].append(backend)
    return next(filter(None, map(_passed_over, pools.values())), None)


def _passed_over(pool: Sequence[Backend]) -> Fault | None:
    """Idle connections that the pool passed over when it opened newer ones: how a leak grows.

    A pool hands out what is idle before it dials. One that was idle all the while was therefore not
    in it: its client was never given back, with a transaction open or not, or its pool was dropped
    with its connections open.
    """
    newest = min([backend.age for backend in pool if backend.age is not None], default=None)
    if newest is None:
        return None
    lost = [
        backend
        for backend in pool
        if backend.state.startswith("idle")  # "idle in transaction" too
        and (backend.idle_for or 0.0) > max(ABANDONED, newest + BUSY)
    ]
    if len(lost) < FEWEST_ABANDONED:
        return None
    longest = max(backend.idle_for or 0.0 for backend in lost)
    return "leaking", (
        f"{len(lost)} of its connections are idle, the longest for {longest:.0f} s, while it "
        "opened newer ones: clients that were never released, or a PrismaClient per request"
    )


def _saturated(app: Sequence[Backend], target: Target) -> Fault | None:
    """Every connection of the app's pool is taken. The database is well: it gave the session that
    told so."""
    declared = target.pools.prisma
    if not declared or len(app) < declared:
        return None
    if any(b.state in ("", "idle") or (b.idle_for or 0.0) < BUSY for b in app):
        return None
    states = Counter(backend.state for backend in app)
    doing = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return "saturated", (
        f"all {declared} connections of its pool have been taken for {BUSY:g} s or more ({doing}), "
        "so its requests wait for one; the database is well: look for slow queries, locks, or a "
        "transaction that is left open"
    )


def _beyond(account: Ledger, target: Target, held: Sequence[Backend]) -> Fault | None:
    """What the server, and the roles and databases of the replica allow, the worst first: DBOS may
    log in by another role than the app, or to another database."""
    troubled = _troubled(account)
    if not troubled:
        return None
    roles = {target.role, *(backend.role for backend in held)}
    databases = {backend.database for backend in held}
    if target.database:
        databases.add(target.database.name)
    bounds = [
        (bound, planned)
        for bound, planned in troubled
        if bound.kind == "server"
        or (bound.kind == "role" and bound.name in roles)
        or (bound.kind == "database" and bound.name in databases)
    ]
    return (
        next(filter(None, (_exhausted(bound, account) for bound, _ in bounds)), None)
        or next(filter(None, (_over_planned(*bound, account) for bound in bounds)), None)
        or next(filter(None, (_nearly_exhausted(bound, account) for bound, _ in bounds)), None)
    )


@once
def _troubled(account: Ledger) -> tuple[tuple[Limit, int], ...]:
    """The limits that are nearly reached, or planned beyond: as a rule none, for all replicas."""
    return tuple(
        (bound, planned)
        for bound, planned in plans(account)
        if planned > bound.allowed or bound.held >= NEARLY * bound.allowed
    )


def _exhausted(bound: Limit, account: Ledger) -> Fault | None:
    if bound.held < bound.allowed:
        return None
    return "exhausted", (
        f"{bound.held} connections held, {bound.allowed} allowed by {bound}"
        f"{_most(account, bound)}; end what should not hold any, or raise {_setting(bound)}"
    )


def _over_planned(bound: Limit, planned: int, account: Ledger) -> Fault | None:
    """Whether all pools may be full at once. The surge of a rollout, which is not there now, is
    the budget's to tell."""
    if planned <= bound.allowed:
        return None
    if planned - bound.others <= bound.allowed:
        return "foreign_holders", (
            f"{bound.others} connections are held by nobody that is watched"
            f"{_most(account, bound)}; with them the pools may take {planned}, {bound} allows "
            f"{bound.allowed}; "
            f"end them, or raise {_setting(bound)}"
        )
    return "over_planned", (
        f"all pools together may take {planned} connections, {bound} allows {bound.allowed}; "
        f"lower the pools or the number of replicas, or raise {_setting(bound)}"
    )


def _nearly_exhausted(bound: Limit, account: Ledger) -> Fault | None:
    if bound.held <= NEARLY * bound.allowed:
        return None
    return "nearly_exhausted", (
        f"{bound.held} connections held, {bound.allowed} allowed by {bound}"
        f"{_most(account, bound)}: the next that want one may not get it"
    )


def _setting(bound: Limit) -> str:
    return "max_connections" if bound.kind == "server" else "its CONNECTION LIMIT"


def _most(account: Ledger, bound: Limit) -> str:
    """Who of those that nobody watches holds most of what a limit bounds."""
    groups = Counter(
        f"role {backend.role} from {backend.client_address or 'a Unix socket'}"
        + (f" as {backend.application!r}" if backend.application else "")
        for backend in pooled(account).foreign
        if bound.kind == "server"
        or (bound.kind == "role" and backend.role == bound.name)
        or (bound.kind == "database" and backend.database == bound.name)
    )
    if not groups:
        return ""
    return f" ({', '.join(f'{count} by {who}' for who, count in groups.most_common(NAMED))})"


CHECK = Check(
    name="pool",
    groups=frozenset({Group.READINESS}),
    witness=Witness.AGENT,
    needs=NEEDS,
    applies=applies,
    judge=judge,
)
