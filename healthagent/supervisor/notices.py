"""What the supervisor has to say that is no replica's state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from healthagent.core.notice import Notice
from healthagent.core.ports import Sighting


class Notices:
    """A :class:`~healthagent.core.ports.Discovery` that finds no target and has notices, which so
    come to all who read reports. ``post`` replaces those of one author."""

    name = "supervisor"

    def __init__(self) -> None:
        self._posted: dict[str, tuple[Notice, ...]] = {}
        self._changed = asyncio.Event()

    def post(self, author: str, *notices: Notice) -> None:
        if self._posted.get(author, ()) != notices:
            self._posted[author] = notices
            self._changed.set()

    def add(self, notice: Notice) -> None:
        """Post one that stands until it is removed."""
        self.post(str(notice), notice)

    def remove(self, notice: Notice) -> None:
        self.post(str(notice))

    async def sightings(self) -> AsyncIterator[Sighting]:
        while True:
            self._changed.clear()
            standing = [notice for notices in self._posted.values() for notice in notices]
            yield Sighting((), notices=tuple(standing))
            await self._changed.wait()
