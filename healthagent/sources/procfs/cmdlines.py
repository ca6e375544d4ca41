"""What processes were started with, read where it can hold up nothing.

/proc/PID/cmdline is the process' own memory, so that reading it takes the lock of its address space
(get_mm_cmdline() in fs/proc/base.c). One that waits for a file system that is gone may hold that
lock, and who reads then waits as it does: in state D, where no signal ends it. That is when it
matters most to go on looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from healthagent.aside import aside
from healthagent.sources.procfs import files, parse
from healthagent.sources.procfs.waits import Key

AGAIN = 5.0
"""Seconds after which arguments are read again: a program may be followed by one of the same name,
as a child is that was read between fork() and exec()."""

MOST = 64
"""Readings that are under way at a time. Whoever has no turn has one at a later look."""

Cmdline = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    comm: str
    cmdline: Cmdline
    at: float


@dataclass(frozen=True, slots=True)
class _Reading:
    began: float
    done: asyncio.Future[bytes]


class Cmdlines:
    """Reads each process' arguments once, and now and then again, in a thread of which there is one
    for each process at most. ``clock`` is monotonic, in seconds."""

    def __init__(self, proc: str, clock: Callable[[], float]) -> None:
        self._proc = proc
        self._clock = clock
        self._known: dict[str, dict[Key, _Known]] = {}
        self._readings: dict[Key, _Reading] = {}

    async def of(
        self, target: str, comms: Mapping[Key, str], timeout: float
    ) -> Mapping[Key, Cmdline]:
        """The arguments of a target's processes, whose names are ``comms``. What is known serves at
        once; what is not is waited for, ``timeout`` seconds at the most. One that could not be read
        by then is left out."""
        now, known = self._clock(), self._fitting(target, comms)
        self._known[target] = known
        for key, comm in comms.items():
            if key not in known or now - known[key].at >= AGAIN:
                self._begin(target, key, comm)
        awaited = [
            reading.done
            for key, reading in self._readings.items()
            if key in comms and key not in known and now - reading.began <= timeout
        ]
        if awaited:
            await asyncio.wait(awaited, timeout=timeout)
        return {key: found.cmdline for key, found in self._fitting(target, comms).items()}

    def _fitting(self, target: str, comms: Mapping[Key, str]) -> dict[Key, _Known]:
        known = self._known.get(target, {})
        return {
            key: known[key]
            for key, comm in comms.items()
            if key in known and known[key].comm == comm
        }

    def forget(self, target: str) -> None:
        self._known.pop(target, None)

    def _begin(self, target: str, key: Key, comm: str) -> None:
        if key in self._readings or len(self._readings) >= MOST:
            return
        done = aside("cmdline", partial(files.read, f"{self._proc}/{key[0]}/cmdline"))
        self._readings[key] = _Reading(self._clock(), done)
        done.add_done_callback(partial(self._keep, target, key, comm))

    def _keep(self, target: str, key: Key, comm: str, done: asyncio.Future[bytes]) -> None:
        """An empty answer is not kept: in the middle of exec() a process has no arguments yet."""
        del self._readings[key]
        if done.cancelled() or done.exception() or target not in self._known:
            return
        if cmdline := parse.cmdline(done.result()):
            self._known[target][key] = _Known(comm, cmdline, self._clock())
