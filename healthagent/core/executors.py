"""Which DBOS executors are alive, told from what they leave in Postgres.

DBOS keeps no table of executors. What stands for one is the application_name of its system pool,
``dbos_transact_<executor id>_<application version>``, cut by Postgres at 63 bytes, with nothing for
a version that DBOS computed. Both parts may hold underscores, so that a name alone does not say
where the id ends. Seen with DBOS Transact for TypeScript 5.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache

from healthagent.core.attribution import NOT_LOOKED_AT, Ledger
from healthagent.core.observation import Backend, Elsewhere, PendingWorkflows, Unseen
from healthagent.core.once import once
from healthagent.core.target import Target

PREFIX = "dbos_transact_"

Name = tuple[str, str]
"""A database, and an application_name of connections to it. Executors in different databases work
on different workflows, so that theirs are never compared."""

LONGEST_NAME = 63
"""Bytes of an application_name that Postgres keeps (NAMEDATALEN - 1)."""

FRESH = 5.0
"""Seconds of silence until which an executor counts as alive; idle ones poll every second."""


def is_dbos(backend: Backend) -> bool:
    """Whether a connection bears such a name as an executor gives its own."""
    return backend.application.startswith(PREFIX)


def acts_as_dbos(backend: Backend) -> bool:
    """Whether a connection is one of an executor, whatever its name: it listens, or asks, as those
    do."""
    return backend.listens_dbos or backend.asked_dbos is not None


def named(application: str, executor: str) -> bool:
    """Whether an application_name may stand for that executor id, as far as Postgres kept it."""
    return application.startswith(_beginning(executor))


def is_cut(executor: str) -> bool:
    """Whether Postgres cuts the name within the id, so that others may look the same."""
    return len(f"{PREFIX}{executor}_".encode()) > LONGEST_NAME


def silence(backends: Iterable[Backend]) -> float:
    """Seconds since an executor said something on any of these connections; 0 where that cannot be
    seen. Where Postgres is at work on what it said last, the silence is not the executor's."""
    said = [0.0 if each.state == "active" else each.idle_for for each in backends]
    return min([ago for ago in said if ago is not None], default=0.0)


def without_clients(own: Sequence[Backend]) -> tuple[Backend, ...]:
    """The connections of the executor of one replica, without those of a DBOSClient beside it.

    That names its connections as an executor does, by the id and version that were known when it
    was made (``local``, and none, before ``DBOS.launch()``); but it never listens, and runs no
    workflow. Where nobody listens (``useListenNotify: false``) they cannot be told apart.
    """
    listening = {(each.database, each.application) for each in own if each.listens_dbos}
    if not listening:
        return tuple(own)
    return tuple([each for each in own if (each.database, each.application) in listening])


@dataclass(frozen=True, eq=False)
class Executors:
    """All executors of one server at one time; what is true of all is worked out once."""

    ledger: Ledger

    @cached_property
    def by_name(self) -> Mapping[Name, Sequence[Backend]]:
        """The backends of each name that is an executor's."""
        found: dict[Name, list[Backend]] = defaultdict(list)
        for backend in self._named:
            if backend.pid not in self._clients:
                found[backend.database, backend.application].append(backend)
        return dict(found)

    @cached_property
    def _named(self) -> Sequence[Backend]:
        return [each for each in self.ledger.living if is_dbos(each)]

    @cached_property
    def living(self) -> Set[Name]:
        """The names that somebody still uses. Of one that vanished without a farewell Postgres
        shows the connections until TCP gives them up, after two hours by default."""
        return {name for name, each in self.by_name.items() if silence(each) <= FRESH}

    @cached_property
    def expected(self) -> Set[str]:
        """The ids that watched replicas of the round's database should have."""
        return {
            target.executor
            for target in self.ledger.sharing
            if target.executor is not None
            and target.database
            and target.database.name == self.ledger.database.ref.name
        }

    @cached_property
    def direct(self) -> Mapping[str, Set[str]]:
        """The services of which an executor connects from its replica's own address, so that there
        is no pooler between them and Postgres; and the databases that they connect to."""
        found: dict[str, set[str]] = defaultdict(set)
        for target in self.ledger.sharing:
            for backend in self._own(target):
                found[target.service].add(backend.database)
        return dict(found)

    def outside(self, target: Target) -> tuple[Backend, ...]:
        """Connections from no replica's address to a database where the target's executor may be:
        to that of its siblings' executors, else to the one that has DBOS's tables. Where the
        replica's own has none they are in another, which cannot be told."""
        homes = self.direct.get(target.service) or self._home
        return tuple(
            backend
            for backend in self.ledger.outsiders
            if homes is None or backend.database in homes
        )

    def pooled(self, target: Target, held: Sequence[Backend]) -> tuple[Backend, ...]:
        """Connections from no replica's address that ``target``, which itself holds ``held``, may
        have by way of a pooler.

        A pooler, such as PgBouncer, logs in by the role of its client. It shows the client's
        application_name too, but in its transaction mode only until another client has its turn:
        three idle executors behind PgBouncer 1.18 were all named in one look of three. So any
        executor of that role may be meant; and, of a replica that holds no connection at all, any
        connection.
        """
        if target.service in self.direct:
            return ()
        return tuple(
            backend
            for backend in self.outside(target)
            if (not target.role or backend.role == target.role) and (not held or is_dbos(backend))
        )

    def versions(self, service: str, database: str) -> Set[str]:
        """The versions that run in a database under an id which a replica of the service should
        have or, where none is declared, under a name from its address that can be read in one way
        alone."""
        return self._versions.get((service, database), frozenset())

    @cached_property
    def orphans(self) -> tuple[PendingWorkflows, ...]:
        """Pending workflows that no living executor will go on with.

        Where a pool bears no name, its executor may be the owner: nothing is called an orphan then.
        """
        pending = self.ledger.database.pending
        if isinstance(pending, Unseen) or self._has_nameless:
            return ()
        return tuple(workflows for workflows in pending if not self._has_owner(workflows))

    @cached_property
    def _clients(self) -> Set[int]:
        """The pids of the connections that replicas have beside those of their executors: only
        where several names come from one address."""
        names: dict[str | None, set[Name]] = defaultdict(set)
        for each in self._named:
            names[each.client_address].add((each.database, each.application))
        several = {address for address, called in names.items() if len(called) > 1}
        return {
            each.pid
            for target in self.ledger.sharing
            if not several.isdisjoint(target.addresses)
            for own in (self._own(target),)
            for each in set(own) - set(without_clients(own))
        }

    def _own(self, target: Target) -> tuple[Backend, ...]:
        """The backends of executors that connect from the replica's own address, if it has one."""
        held = self.ledger.held_by(target, NOT_LOOKED_AT)
        if isinstance(held, Unseen):
            return ()
        return tuple(filter(is_dbos, held))

    def _has_owner(self, pending: PendingWorkflows) -> bool:
        """A computed version is missing from the name, so that any name of the id alone may be
        the owner's."""
        here = self.ledger.database.ref.name
        exact = _cut(f"{PREFIX}{pending.executor}_{pending.version}")
        return not self.living.isdisjoint({(here, exact), (here, _beginning(pending.executor))})

    @cached_property
    def _has_nameless(self) -> bool:
        return any(
            acts_as_dbos(backend) and not is_dbos(backend)
            for backend in self.ledger.living
            if backend.database == self.ledger.database.ref.name
        )

    @cached_property
    def _home(self) -> Set[str] | None:
        """The database that has DBOS's tables, where that is the replica's own."""
        database = self.ledger.database
        return None if isinstance(database.pending, Elsewhere) else {database.ref.name}

    @cached_property
    def _versions(self) -> Mapping[tuple[str, str], Set[str]]:
        services: dict[str, set[str]] = defaultdict(set)
        for target in self.ledger.sharing:
            if target.executor is not None:
                services[target.executor].add(target.service)
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for database, application in self.living:
            for executor, version in _readings(application):
                for service in services.get(executor, ()):
                    found[service, database].add(version)
        for target in self.ledger.sharing:
            if target.executor is None:
                for database, version in self._undeclared(target):
                    found[target.service, database].add(version)
        return found

    def _undeclared(self, target: Target) -> Iterator[tuple[str, str]]:
        """The databases and versions of a replica of which no id is declared."""
        for backend in self._own(target):
            readings = tuple(_readings(backend.application))
            if len(readings) == 1:
                yield backend.database, readings[0][1]


@once
def executors(ledger: Ledger) -> Executors:
    """The executors of a ledger: the same ones for all who share it."""
    return Executors(ledger)


@lru_cache(maxsize=4096)
def _beginning(executor: str) -> str:
    """What the names of an executor's connections begin with, as far as Postgres keeps it."""
    return _cut(f"{PREFIX}{executor}_")


def _cut(name: str) -> str:
    """A name as Postgres keeps it: whole characters, 63 bytes at most."""
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def _readings(application: str) -> Iterator[tuple[str, str]]:
    """Every id and version that a name may be made of, since either may hold underscores: none
    where the name was cut."""
    if len(application.encode()) >= LONGEST_NAME:
        return
    words = application.removeprefix(PREFIX).split("_")
    for end in range(1, len(words)):
        yield "_".join(words[:end]), "_".join(words[end:])
