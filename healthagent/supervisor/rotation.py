"""Who is out of rotation on purpose: what drains write and the watcher heeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from healthagent.core.rotation import Drain


class Drains:
    """The drained replicas by target id; fulfils :class:`~healthagent.core.ports.Rotation`."""

    def __init__(self) -> None:
        self._drains: dict[str, Drain] = {}
        self._changed = asyncio.Event()

    def __getitem__(self, id_: str) -> Drain | None:
        return self._drains.get(id_)

    def add(self, id_: str, drain: Drain) -> None:
        """Take a replica out. One that is out already stays so in the name of the first."""
        self._drains.setdefault(id_, drain)
        self._changed.set()

    def remove(self, id_: str) -> None:
        self._drains.pop(id_, None)
        self._changed.set()

    async def drains(self) -> AsyncIterator[Mapping[str, Drain]]:
        """All drains, at once and again after every change. For one reader: the watcher."""
        while True:
            self._changed.clear()
            yield dict(self._drains)
            await self._changed.wait()
