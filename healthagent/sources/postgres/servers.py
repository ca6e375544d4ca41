"""Which addresses lead to one and the same server: two names of a host, or a pooler before it."""

from __future__ import annotations

from healthagent.core.observation import Address
from healthagent.core.target import DatabaseRef


class Servers:
    """The server that was last met at each database's address, by what it says of itself."""

    def __init__(self) -> None:
        self._met: dict[DatabaseRef, str] = {}

    def met(self, ref: DatabaseRef, server: str) -> frozenset[Address]:
        """Note who answered, and tell all addresses at which the same server did."""
        self._met[ref] = server
        return frozenset((each.host, each.port) for each, at in self._met.items() if at == server)

    def forget(self, ref: DatabaseRef) -> None:
        self._met.pop(ref, None)
