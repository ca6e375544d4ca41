"""Whose a Postgres backend is: the replica that holds it, told from outside."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property

from healthagent.core.observation import Backend, ClientPorts, Database, Fleet, Unseen
from healthagent.core.once import once
from healthagent.core.target import Target, is_loopback

Ports = Mapping[str, ClientPorts | Unseen]
"""The client ports of targets by id: needed only for those that share an address."""

Held = tuple[Backend, ...] | Unseen
"""The backends that a target holds, or why they cannot be told from others'."""

NOT_LOOKED_AT = Unseen("its ports were not looked at")

HIDDEN = Unseen(
    "the agent's role may not see other roles' connections",
    "GRANT pg_monitor TO the agent's role",
    "not_granted",
)


@dataclass(frozen=True, eq=False)
class Ledger:
    """Who holds what of one server at one time.

    It is made once for a round of the database and serves every replica that shares it: what is
    true of all is worked out once, and a replica's own part costs no more with more replicas.
    What comes from an address that a replica ``left`` a moment ago was that replica's, and is
    nobody's now.
    """

    database: Database
    sharing: tuple[Target, ...]
    left: Set[str] = frozenset()

    def without(self, pids: Set[int]) -> Ledger:
        """The same account if these backends were not there: itself where there are none."""
        if not pids:
            return self
        remaining = tuple(each for each in self.database.backends if each.pid not in pids)
        return replace(self, database=replace(self.database, backends=remaining))

    @cached_property
    def living(self) -> tuple[Backend, ...]:
        """The backends of all clients, but for those that replicas have just left behind."""
        return tuple(each for each in self.database.clients if each.client_address not in self.left)

    def held_by(self, target: Target, ports: ClientPorts | Unseen) -> Held:
        """What ``target`` holds, the agent's own connections left out.

        A container has an address of its own, and none, hence no connection, while it does not
        run; local processes share one and are told apart by the ports of their connections.
        """
        if self._is_hidden:
            return HIDDEN
        apart = self._apart.get(target.id)
        if apart is not None:
            return apart
        if not target.addresses:
            return () if target.is_container else Unseen("the replica has no address")
        if isinstance(ports, Unseen):
            return Unseen(
                f"others share the address {target.addresses[0]}, and {ports.reason}", ports.remedy
            )
        here = self.seen_from(target)
        return tuple(backend for backend in here if backend.client_port in ports.ports)

    def shares_address(self, target: Target) -> bool:
        """True where others may be seen under the same address: another watched replica or, under
        a loopback address, any process of the host."""
        return not self._shared.isdisjoint(target.addresses)

    def owners(self, ports: Ports) -> Mapping[str, Held]:
        """What each target holds, by its id."""
        return {
            target.id: self.held_by(target, ports.get(target.id, NOT_LOOKED_AT))
            for target in self.sharing
        }

    def seen_from(self, target: Target) -> tuple[Backend, ...]:
        """The backends that come from one of a target's addresses."""
        return tuple(
            backend
            for address in dict.fromkeys(target.addresses)
            for backend in self._by_address.get(address, ())
        )

    @cached_property
    def _apart(self) -> Mapping[str, tuple[Backend, ...]]:
        """What those hold that share no address with anybody, by their ids."""
        return {
            target.id: self.seen_from(target)
            for target in self.sharing
            if target.addresses and not self.shares_address(target)
        }

    @cached_property
    def outsiders(self) -> tuple[Backend, ...]:
        """Backends from no address of a watched replica: a job, a person, a pooler in between."""
        return tuple(
            backend
            for address, backends in self._by_address.items()
            if address not in self._seen_under and address not in self.left
            for backend in backends
            if backend.visible
        )

    @cached_property
    def _by_address(self) -> Mapping[str | None, tuple[Backend, ...]]:
        found: dict[str | None, list[Backend]] = defaultdict(list)
        for backend in self.database.clients:
            found[backend.client_address].append(backend)
        return {address: tuple(backends) for address, backends in found.items()}

    @cached_property
    def _seen_under(self) -> Counter[str]:
        """How many replicas are seen under each address."""
        return Counter(address for target in self.sharing for address in set(target.addresses))

    @cached_property
    def _shared(self) -> Set[str]:
        return {a for a, count in self._seen_under.items() if count > 1 or is_loopback(a)}

    @cached_property
    def _is_hidden(self) -> bool:
        return any(not backend.visible for backend in self.database.clients)


@once
def ledger(database: Database, fleet: Fleet) -> Ledger:
    """The ledger of a round: the same one for all who ask with the same round and fleet."""
    return Ledger(database, fleet.sharing(database), fleet.left.keys())
