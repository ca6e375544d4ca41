"""What replicas may have by way of a pooler, or through NAT, told from outside.

Postgres shows the pooler's address then, which is no replica's, and the role of its client. Whose
such a connection is cannot be told; but as long as the declared pools have room for it, it may be
one that is planned for already.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from healthagent.core.attribution import Ledger
from healthagent.core.executors import is_dbos
from healthagent.core.observation import Backend
from healthagent.core.once import once
from healthagent.core.target import Target

Login = tuple[str, str]
"""A role, and the database that it is connected to."""


@dataclass(frozen=True, eq=False)
class Pooled:
    """Connections from no replica's address that may be replicas' own, of one server at one time.

    The pools of DBOS and of the app itself are told apart, since one may go through a pooler
    where the other does not.
    """

    ledger: Ledger

    def of(self, target: Target) -> tuple[Backend, ...]:
        """Those that ``target`` may have: of its role, to its database, in a pool that it declares,
        and of which no replica of its service has a connection from an address of its own."""
        login = _login(target)
        outside = self._outside.get(login) if login is not None else None
        if not outside:
            return ()
        pools = self._covered(target)
        return tuple(each for each in outside if is_dbos(each) in pools)

    @cached_property
    def planned(self) -> Set[int]:
        """The pids of those for which the declared pools have room: no more than are declared."""
        room: Counter[Login] = Counter()
        found: dict[Login, dict[int, None]] = defaultdict(dict)
        for target in self.ledger.sharing:
            login = _login(target)
            if login is not None:
                room[login] += sum(self._covered(target).values())
                found[login].update((backend.pid, None) for backend in self.of(target))
        return {pid for login, pids in found.items() for pid in list(pids)[: room[login]]}

    @cached_property
    def foreign(self) -> tuple[Backend, ...]:
        """All others from no replica's address."""
        return tuple(each for each in self.ledger.outsiders if each.pid not in self.planned)

    def _covered(self, target: Target) -> Mapping[bool, int]:
        """How many connections each pool of a target declares that may go through a pooler, by
        whether it is DBOS's. A container that does not run has none."""
        declared = {True: target.pools.dbos, False: target.pools.prisma}
        return {
            dbos: count
            for dbos, count in declared.items()
            if count and target.addresses and (target.service, dbos) not in self._direct
        }

    @cached_property
    def _direct(self) -> Set[tuple[str, bool]]:
        """The services, and which pool of theirs, that are seen to connect by themselves."""
        return {
            (target.service, is_dbos(backend))
            for target in self.ledger.sharing
            for backend in self.ledger.seen_from(target)
        }

    @cached_property
    def _outside(self) -> Mapping[Login, tuple[Backend, ...]]:
        """The outsiders of each login: first those from where the most come, as from a pooler."""
        outsiders = self.ledger.outsiders
        many = Counter(backend.client_address for backend in outsiders)
        found: dict[Login, list[Backend]] = defaultdict(list)
        for backend in sorted(outsiders, key=lambda each: -many[each.client_address]):
            found[backend.role, backend.database].append(backend)
        return {login: tuple(backends) for login, backends in found.items()}


@once
def pooled(ledger: Ledger) -> Pooled:
    """What is pooled of a ledger: the same for all who share it."""
    return Pooled(ledger)


def _login(target: Target) -> Login | None:
    """What a target's connections log in by, where that is known."""
    return (target.role, target.database.name) if target.role and target.database else None
