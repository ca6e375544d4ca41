"""Several sources of one kind of fact, in order of preference: the first that can see answers."""

from __future__ import annotations

import asyncio

from healthagent.core.observation import Fact, Unseen
from healthagent.core.ports import Source
from healthagent.core.target import Target


class FirstSeen:
    """Asks ``preferred``, then each of ``others``, all within one deadline.

    Where none can see, the preferred one's reason stands: its remedy is the one to follow.
    """

    def __init__(self, preferred: Source, *others: Source) -> None:
        self._preferred = preferred
        self._others = others

    @property
    def kind(self) -> type[Fact]:
        return self._preferred.kind

    async def look(self, target: Target, timeout: float) -> Fact | Unseen:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        first = await self._preferred.look(target, timeout)
        if not isinstance(first, Unseen):
            return first
        for source in self._others:
            fact = await source.look(target, max(0.0, deadline - loop.time()))
            if not isinstance(fact, Unseen):
                return fact
        return first
