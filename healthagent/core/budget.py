"""How many Postgres connections are planned, held and allowed.

The sum is ``replicas x (prisma + dbos) + agent + others``, and for the time of a rollout the surge:
the replicas that stand beside those they replace. The server allows ``max_connections -
superuser_reserved_connections - reserved_connections`` to ordinary roles; a role and a database may
have a CONNECTION LIMIT each, which counts in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import starmap
from operator import attrgetter
from typing import Literal, NamedTuple

from healthagent.core.attribution import Held, Ledger
from healthagent.core.executors import is_dbos
from healthagent.core.observation import Address, Backend, Database, DatabaseDown, Unseen
from healthagent.core.once import once
from healthagent.core.pooler import pooled
from healthagent.core.target import Target, authority

REFUSED = {"absent", "closed", "exhausted"}
"""How a server that is not down refuses one session, and may give another."""


class ReplicaBudget(NamedTuple):
    """One replica's share. ``declared`` is ``None`` where it declares no pool; ``held`` is
    ``None`` where its backends cannot be told from others'. ``role`` is ``None`` where it is not
    known. ``surge`` is how many replicas more a rollout of its service adds for a while.

    ``dbos`` is the part of its share that is DBOS's, where that logs in by another role than the
    app, or to another database, as it does by default; 0 where it does not."""

    name: str
    service: str
    declared: int | None
    held: int | None
    role: str | None = None
    database: str | None = None
    surge: int = 1
    dbos: int = 0
    dbos_role: str | None = None
    dbos_database: str | None = None

    @property
    def share(self) -> int:
        """What it is planned to take: where it declares nothing, what it holds now."""
        return self.declared if self.declared is not None else self.held or 0


@dataclass(frozen=True, slots=True)
class Part:
    """The connections of the whole server, of one role, or to one database: how many are held, and
    how many of those by the agent and by others whom nobody watches."""

    kind: Literal["server", "role", "database"]
    name: str
    held: int
    agent: int
    others: int

    def binds(self, replica: ReplicaBudget) -> bool:
        """Whether what a replica takes counts here, or some of it."""
        return self.kind == "server" or self.name in self._named(replica)

    def of(self, replica: ReplicaBudget) -> int:
        """How much of a replica's share counts here."""
        if self.kind == "server":
            return replica.share
        app, dbos = self._named(replica)
        counts = (app, replica.share - replica.dbos), (dbos, replica.dbos)
        return sum(count for name, count in counts if name == self.name)

    def _named(self, replica: ReplicaBudget) -> tuple[str | None, str | None]:
        """The role, or the database, of a replica's app and of its DBOS."""
        if self.kind == "role":
            return replica.role, replica.dbos_role
        return replica.database, replica.dbos_database


@dataclass(frozen=True, slots=True)
class Limit(Part):
    """A bound on connections: the server's, or a CONNECTION LIMIT of a role or a database."""

    allowed: int

    def __str__(self) -> str:
        if self.kind == "server":
            return "the server"
        return f"the CONNECTION LIMIT of {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Budget:
    """One Postgres server's connections.

    ``planned`` is the sum if every pool is full, the agent's own and the ``others`` that are held
    now by nobody watched included; ``surge`` is what a rollout of one service at a time adds.
    ``undeclared`` names replicas that count only with what they hold now. ``parts`` are the roles,
    then the databases, that replicas use or somebody is connected to; where one has a CONNECTION
    LIMIT it is a :class:`Limit`. ``also`` are other addresses of the same server.
    """

    server: str
    allowed: int
    held: int
    agent: int
    others: int
    replicas: tuple[ReplicaBudget, ...]
    parts: tuple[Part, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The CONNECTION LIMITs that bind a replica."""
        return tuple(
            part
            for part in self.parts
            if isinstance(part, Limit) and any(part.binds(replica) for replica in self.replicas)
        )

    @property
    def bounds(self) -> tuple[Limit, ...]:
        """All that must hold: the server's own limit first."""
        whole = Limit("server", self.server, self.held, self.agent, self.others, self.allowed)
        return (whole, *self.limits)

    @property
    def declared(self) -> int:
        return sum(replica.declared or 0 for replica in self.replicas)

    @property
    def planned(self) -> int:
        return self.planned_within(self.bounds[0])

    @property
    def surge(self) -> int:
        return self.surge_within(self.bounds[0])

    @property
    def fits(self) -> bool:
        """Whether all pools may be full at once, and in the middle of a rollout."""
        return all(self.overrun(limit) <= 0 for limit in self.bounds)

    @property
    def undeclared(self) -> tuple[str, ...]:
        return tuple(replica.name for replica in self.replicas if replica.declared is None)

    def declared_within(self, part: Part) -> int:
        """The declared pools of those that count in a part."""
        return sum(part.of(r) for r in self.replicas if r.declared is not None)

    def planned_within(self, part: Part) -> int:
        """What is planned of those that count in a part, the surge left out."""
        return sum(map(part.of, self.replicas)) + part.agent + part.others

    def surge_within(self, part: Part) -> int:
        """What a rollout adds to that: of the service that adds the most, since one goes at a
        time."""
        return max((r.surge * part.of(r) for r in self.replicas), default=0)

    def overrun(self, limit: Limit) -> int:
        """How many connections too many a limit is planned to bear; what is free where negative."""
        return self.planned_within(limit) + self.surge_within(limit) - limit.allowed

    def scaled(self, service: str, count: int) -> Budget:
        """The same budget if ``service`` had ``count`` replicas like the ones it has.

        Raises ``KeyError`` where no replica of that service uses this server.
        """
        ours, rest = self._of(service)
        like, kept = max(ours, key=lambda replica: replica.share), ours[:count]
        added = (
            like._replace(name=f"{service} (planned {n})", held=0, declared=like.share)
            for n in range(len(kept) + 1, count + 1)
        )
        return replace(self, replicas=(*rest, *kept, *added))

    def lacking(self, service: str) -> tuple[Limit, int] | None:
        """The limit that one replica more of ``service`` would pass if all pools were full, and by
        how many connections; ``None`` where none is passed."""
        ours = [replica for replica in self.replicas if replica.service == service]
        passed = (
            (limit, self.planned_within(limit) + max(map(limit.of, ours)) - limit.allowed)
            for limit in self.bounds
            if any(limit.binds(replica) for replica in ours)
        )
        return max((each for each in passed if each[1] > 0), key=lambda each: each[1], default=None)

    def largest(self, service: str) -> int | None:
        """The most replicas of ``service`` with which all fits; ``None`` where they declare no
        pool, so that no number would be the largest.

        Raises ``KeyError`` where the service does not use this server.
        """
        ours, _ = self._of(service)
        like = max(ours, key=lambda replica: replica.declared or 0)
        if not like.declared:
            return None
        without = self.scaled(service, 0)
        fitting = (
            (
                limit.allowed
                - without.planned_within(limit)
                - max(without.surge_within(limit), like.surge * share)
            )
            // share
            for limit in self.bounds
            if (share := limit.of(like))
        )
        return max(0, min(fitting))

    def _of(self, service: str) -> tuple[list[ReplicaBudget], list[ReplicaBudget]]:
        """The replicas of a service, and the others."""
        ours = [replica for replica in self.replicas if replica.service == service]
        if not ours:
            raise KeyError(service)
        return ours, [replica for replica in self.replicas if replica.service != service]


def budget(ledger: Ledger, held: Mapping[str, Held]) -> Budget:
    """The budget of one server. ``held`` has what each of the targets that share it holds."""
    database, foreign = ledger.database, strangers(ledger, held)
    limits = database.limits
    replicas = _with_siblings(
        [_replica(target, held[target.id], ledger) for target in ledger.sharing]
    )
    name, *also = starmap(authority, sorted(database.addresses))
    by_database = Counter(ref.name for ref in {t.database for t in ledger.sharing if t.database})
    by_role = Counter({database.agent_role: by_database.total()})
    return Budget(
        server=name,
        allowed=limits.allowed,
        held=len(database.backends),
        agent=max(1, by_database.total()),
        others=len(foreign),
        replicas=replicas,
        parts=(
            *_parts("role", database, replicas, foreign, by_role, limits.role_limits),
            *_parts("database", database, replicas, foreign, by_database, limits.database_limits),
        ),
        also=tuple(also),
    )


def newest_rounds(outcomes: Iterable[Database | DatabaseDown]) -> tuple[Database, ...]:
    """The newest round of each server that gives one, in the servers' order.

    ``outcomes`` are those of the looks at all databases, the oldest first. A round that several
    looks share is as old as the first of them; where a server is down by now, what it told before
    is no more.
    """
    down: set[Address] = set()
    told: set[Address] = set()
    found: list[Database] = []
    for outcome in reversed(dict.fromkeys(outcomes)):
        address = (outcome.ref.host, outcome.ref.port)
        if isinstance(outcome, DatabaseDown):
            if outcome.error not in REFUSED:
                down.add(address)
        elif address not in down and told.isdisjoint(outcome.addresses):
            told |= outcome.addresses
            found.append(outcome)
    return tuple(sorted(found, key=lambda each: min(each.addresses)))


@once
def plans(ledger: Ledger) -> tuple[tuple[Limit, int], ...]:
    """Each limit with what is planned within it, as far as addresses alone tell: worked out once
    for all who share the ledger."""
    whole = budget(ledger, ledger.owners({}))
    return tuple((limit, whole.planned_within(limit)) for limit in whole.bounds)


def strangers(ledger: Ledger, held: Mapping[str, Held]) -> tuple[Backend, ...]:
    """The backends that are known to be nobody's that is watched, and not the agent's.

    One that may be a replica's, but cannot be told from others', is not among them: it is in that
    replica's declared share already. Of those that may come through a pooler that is as many as are
    declared. Nor is one among them that a replica has just left behind.
    """
    known = pooled(ledger).planned | {
        backend.pid
        for holding in held.values()
        if not isinstance(holding, Unseen)
        for backend in holding
    }
    unclear = ledger.left | {
        address
        for target in ledger.sharing
        if isinstance(held[target.id], Unseen)
        for address in target.addresses
    }
    return tuple(
        backend
        for backend in ledger.database.clients
        if backend.visible and backend.pid not in known and backend.client_address not in unclear
    )


def _replica(target: Target, held: Held, ledger: Ledger) -> ReplicaBudget:
    seen = () if isinstance(held, Unseen) else held
    logins = {(is_dbos(each), each.role, each.database) for each in seen}
    app = {role for of_dbos, role, _ in logins if not of_dbos}
    dbos = {(role, database) for of_dbos, role, database in logins if of_dbos}
    known = ReplicaBudget(
        name=target.name,
        service=target.service,
        declared=target.pools.total,
        held=None if isinstance(held, Unseen) or _is_pooled(target, held, ledger) else len(held),
        role=target.role or _only(app or {role for role, _ in dbos}),
        database=target.database.name if target.database else None,
        surge=target.surge,
    )
    count = sum(map(is_dbos, seen)) if target.pools.total is None else target.pools.dbos or 0
    if not count or dbos == {(known.role, known.database)}:
        return known
    return known._replace(
        dbos=count,
        dbos_role=_only({role for role, _ in dbos}),
        dbos_database=_only({database for _, database in dbos}),
    )


def _only(names: Set[str]) -> str | None:
    """The one name that there is, if there is one alone."""
    return next(iter(names)) if len(names) == 1 else None


def _is_pooled(target: Target, held: Sequence[Backend], ledger: Ledger) -> bool:
    """Whether a target that holds nothing by itself may do so by way of a pooler."""
    return not held and bool(pooled(ledger).of(target))


def _with_siblings(replicas: Sequence[ReplicaBudget]) -> tuple[ReplicaBudget, ...]:
    """Replicas of a service log in alike: one that holds nothing yet does so as its siblings."""
    roles = {each.service: each.role for each in replicas if each.role}
    logins = {
        each.service: (each.dbos_role, each.dbos_database)
        for each in replicas
        if each.dbos_role and each.dbos_database
    }
    return tuple(
        _with_login(
            each if each.role else each._replace(role=roles.get(each.service)),
            *logins.get(each.service, (None, None)),
        )
        for each in replicas
    )


def _with_login(
    replica: ReplicaBudget, dbos_role: str | None, dbos_database: str | None
) -> ReplicaBudget:
    """The replica with its DBOS told apart, where that logs in otherwise than the app."""
    if not replica.dbos:
        return replica
    role, database = replica.dbos_role or dbos_role, replica.dbos_database or dbos_database
    if (role, database) in ((None, None), (replica.role, replica.database)):
        return replica._replace(dbos=0, dbos_role=None, dbos_database=None)
    return replica._replace(dbos_role=role, dbos_database=database)


def _parts(
    kind: Literal["role", "database"],
    database: Database,
    replicas: Sequence[ReplicaBudget],
    foreign: Sequence[Backend],
    agent: Counter[str],
    limits: Mapping[str, int],
) -> Iterator[Part]:
    """What each role, or each database, holds. ``agent`` counts the agent's connections by that."""
    of, dbos_of = attrgetter(kind), attrgetter(f"dbos_{kind}")
    held, others = Counter(map(of, database.backends)), Counter(map(of, foreign))
    used = {*map(of, replicas), *map(dbos_of, replicas)}
    for name in sorted(filter(None, held.keys() | used)):
        counts = held[name], agent[name], others[name]
        limit = limits.get(name)
        yield Part(kind, name, *counts) if limit is None else Limit(kind, name, *counts, limit)
