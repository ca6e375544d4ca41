"""Answers about the whole fleet, which take a second and more where that is big."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Known = TypeVar("Known")
Answer = TypeVar("Answer")


class Drawn(Generic[Known, Answer]):
    """An answer that is drawn in a thread, once for all who ask for it while nothing changes, and
    never twice at a time: else a few readers of a big fleet would hold up the agent's own looks.

    ``known`` is what it is drawn from, as of now; ``draw`` makes the answer of that alone.
    """

    def __init__(self, known: Callable[[], Known], draw: Callable[[Known], Answer]) -> None:
        self._known = known
        self._draw = draw
        self._of: Known | None = None
        self._task: asyncio.Task[Answer] | None = None

    async def newest(self) -> Answer:
        """Drawn from what is known now, or will be when the drawing that is under way has ended."""
        if self._task and not self._task.done() and self._of != self._known():
            await asyncio.wait({self._task})
        # Another who waited may have begun one already.
        if self._task is None or (self._task.done() and self._of != self._known()):
            self._of = self._known()
            self._task = asyncio.create_task(asyncio.to_thread(self._draw, self._of))
        return await asyncio.shield(self._task)  # a reader who leaves ends it for no other
