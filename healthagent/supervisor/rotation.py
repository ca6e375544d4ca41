"""Who is out of rotation on purpose: what drains write and the watcher heeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from healthagent.core.report import Report
from healthagent.core.rotation import Drain
from healthagent.core.transition import Transition


class Drains:
    """The drained replicas by target id; fulfils :class:`~healthagent.core.ports.Rotation`.

    It begins with those ``kept`` from an earlier life of the agent, and tells ``keep`` of all that
    are *lasting* whenever one of them was added or taken away. It is a surface as well, to see
    whose replica is gone meanwhile.
    """

    def __init__(
        self,
        kept: Mapping[str, Drain] | None = None,
        keep: Callable[[Mapping[str, Drain]], None] = lambda _: None,
    ) -> None:
        self._drains = dict(kept or {})
        self._met = frozenset(self._drains)
        self._keep = keep
        self._changed = asyncio.Event()

    def __getitem__(self, id_: str) -> Drain | None:
        return self._drains.get(id_)

    def add(self, id_: str, drain: Drain) -> None:
        """Take a replica out. One that is out already stays so in the name of the first, but a
        lasting drain replaces one that would end with its act."""
        held = self._drains.get(id_)
        if held is None or (drain.lasting and not held.lasting):
            self._drains[id_] = drain
            self._tell(drain)

    def remove(self, id_: str, only: Drain | None = None) -> None:
        """Undrain. With ``only`` that drain alone is taken back: not one that a person added while
        the act went on."""
        held = self._drains.get(id_)
        if held is not None and only in (None, held):
            del self._drains[id_]
            self._tell(held)

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        """Let go of lasting drains whose replica was there and is gone, once all were judged. One
        that was never seen is not gone: what a roll puts in its place may not be found yet."""
        del changes
        here = {target.target.id for target in report.targets}
        lasting = {id_ for id_, drain in self._drains.items() if drain.lasting}
        self._met = (self._met | here) & lasting
        if report.settled:
            for id_ in self._met - here:
                self.remove(id_)

    def _tell(self, drain: Drain) -> None:
        self._changed.set()
        if drain.lasting:
            self._keep({id_: held for id_, held in self._drains.items() if held.lasting})

    async def drains(self) -> AsyncIterator[Mapping[str, Drain]]:
        """All drains, at once and again after every change. For one reader: the watcher."""
        while True:
            self._changed.clear()
            yield dict(self._drains)
            await self._changed.wait()
