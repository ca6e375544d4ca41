"""What is in flight at a replica: counted from here where that may be seen, else beside it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.errors import ActionError

EVERY = 0.25
"""Seconds from one look to the next."""

PROGRAM = "healthagent.sources.procfs.connections"


class Beside(Protocol):
    """Runs a program of the agent's own in the network namespace of another container."""

    def lines(self, id_: str, command: Sequence[str]) -> AsyncIterator[str]:
        """What it prints, until it ends; it is ended with the iteration. Raises
        :class:`~healthagent.errors.ActionError`."""
        ...


class ReplicaTraffic:
    """Fulfils :class:`~healthagent.supervisor.ports.Traffic`.

    ``count`` looks once from where the agent is; ``beside`` looks where that sees nothing.
    """

    def __init__(self, count: Callable[[Target], int | Unseen], beside: Beside) -> None:
        self._count = count
        self._beside = beside

    async def in_flight(self, target: Target, within: float) -> AsyncIterator[int | Unseen]:
        while not isinstance(found := self._count(target), Unseen):
            yield found
            await asyncio.sleep(EVERY)
        if target.port is None or not target.is_container:
            yield found
            return
        command = (sys.executable, "-I", "-m", PROGRAM, str(target.port), f"{within:g}")
        try:
            async with aclosing(self._beside.lines(target.id, command)) as lines:  # type: ignore[type-var]
                async for line in lines:
                    yield int(line)
            yield Unseen("the program that counts beside it has ended", "see the Engine's log")
        except ActionError as error:
            yield Unseen(str(error))
