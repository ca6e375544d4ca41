"""A discovery and a source that tell what they are told to: for tests, and for trying a surface.

They pass the same contract tests as the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

from healthagent.core.notice import Notice
from healthagent.core.observation import Fact, Unseen
from healthagent.core.ports import Sighting
from healthagent.core.target import Target


class FakeDiscovery:
    """Sights the given targets at once, then what :meth:`show` is given, in order."""

    def __init__(self, *targets: Target, name: str = "fake") -> None:
        self.name = name
        self._shown: asyncio.Queue[Sighting] = asyncio.Queue()
        self.show(targets)

    def show(
        self,
        targets: Iterable[Target],
        touched: Iterable[str] = (),
        notices: Iterable[Notice] = (),
        *,
        complete: bool = True,
        mentioned: Iterable[str] = (),
    ) -> None:
        self._shown.put_nowait(
            Sighting(
                tuple(targets), frozenset(touched), tuple(notices), complete, frozenset(mentioned)
            )
        )

    async def sightings(self) -> AsyncIterator[Sighting]:
        while True:
            yield await self._shown.get()


class FakeSource:
    """Gives the answer that was set for a target, by its id; ``Unseen`` where none was.

    ``looks`` are the ids that were looked at, in order.
    """

    def __init__(
        self, kind: type[Fact], answers: Mapping[str, Fact | Unseen] | None = None
    ) -> None:
        self.looks: list[str] = []
        self._kind = kind
        self._answers = dict(answers or {})
        self._hanging: dict[str, asyncio.Event] = {}

    @property
    def kind(self) -> type[Fact]:
        return self._kind

    def answer(self, id_: str, fact: Fact | Unseen) -> None:
        """From now on this is what a look sees; one that hangs is let go."""
        self._answers[id_] = fact
        if (hanging := self._hanging.pop(id_, None)) is not None:
            hanging.set()

    def hang(self, id_: str) -> None:
        """From now on a look waits for an answer, and sees nothing once its deadline is over."""
        self._hanging.setdefault(id_, asyncio.Event())

    async def look(self, target: Target, timeout: float) -> Fact | Unseen:
        self.looks.append(target.id)
        if (hanging := self._hanging.get(target.id)) is not None:
            try:
                async with asyncio.timeout(timeout):
                    await hanging.wait()
            except TimeoutError:
                return Unseen(f"no answer within {timeout:g} s")
        return self._answers.get(target.id, Unseen(f"no answer was set for {target.id}"))
