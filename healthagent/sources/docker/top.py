"""``ProcessTree`` from the Docker API, for an agent that does not see the host's processes.

The Engine runs ``ps`` for each request, so an answer serves for some seconds. It tells less than
/proc: no signal handlers, no pid of the container's own counting, no queues of connections, no open
files, and nothing of threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from docker import APIClient
from docker.errors import APIError

from healthagent.aside import aside
from healthagent.core import ps
from healthagent.core.observation import Process, ProcessTree, Unseen
from healthagent.core.target import Target
from healthagent.docker_api import FAULTS, connect, explained

COLUMNS = "pid,ppid,stat,cputimes,etimes,args"
"""Of procps' ps(1). ``args`` is last, since the Engine splits a line at every blank but there."""

FRESH = 5.0
"""Seconds for which an answer serves."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ps. ``cpu`` is seconds of CPU since the process began."""

    process: Process
    cpu: int


@dataclass(frozen=True, slots=True)
class _Answer:
    at: float
    root: int
    fact: ProcessTree | Unseen
    cpu: Mapping[int, int]

    def at_age(self, now: float) -> ProcessTree | Unseen:
        """What was told, with the ages that its processes have by now. The age of a young replica
        is compared with those of its connections, which are of now: to an answer of four seconds
        ago all of them would be older than it, and so of the one before."""
        if isinstance(self.fact, Unseen):
            return self.fact
        since = now - self.at
        return replace(
            self.fact,
            processes=tuple(
                each if each.age is None else replace(each, age=each.age + since)
                for each in self.fact.processes
            ),
        )


class DockerTop:
    """Asks ``GET /containers/ID/top``, at most every ``FRESH`` seconds and once at a time each.

    An answer that comes when its look is over serves the next one, for as long as any.
    """

    kind = ProcessTree

    def __init__(
        self,
        url: str,
        pid_of: Callable[[Target], int | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._pid_of = pid_of
        self._clock = clock
        self._client: APIClient | None = None
        self._answers: dict[str, _Answer] = {}
        self._running: dict[tuple[str, int], asyncio.Future[ProcessTree | Unseen]] = {}

    async def look(self, target: Target, timeout: float) -> ProcessTree | Unseen:
        if not target.is_container:
            return Unseen("it is no container, so Docker knows nothing of its processes")
        root = self._pid_of(target)
        if root is None:
            return Unseen("the pid of its first process is not known")
        known, now = self._answers.get(target.id), self._clock()
        if known is not None and known.root == root and now - known.at < FRESH:
            return known.at_age(now)
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(self._asked(target.id, root))
        except TimeoutError:
            return Unseen(f"docker top gave no answer within {timeout:g} s")

    def _asked(self, id_: str, root: int) -> asyncio.Future[ProcessTree | Unseen]:
        """The request about that life of the container that is under way, or a new one. It goes on
        without the look that began it."""
        running = self._running.get((id_, root))
        if running is None:
            running = self._running[id_, root] = asyncio.ensure_future(self._ask(id_, root))
            running.add_done_callback(lambda _: self._running.pop((id_, root)))
        return running

    async def _ask(self, id_: str, root: int) -> ProcessTree | Unseen:
        try:
            rows = parse(await aside("docker_top", lambda: self._top(id_)))
        except FAULTS as error:
            return self._keep(id_, root, self._blind(error), {})
        family = ps.family(root, [row.process for row in rows])
        if not family:  # it ended, or the answer is of another life of the container
            return ProcessTree(())
        taken = {row.process.pid: row.cpu for row in rows}
        cpu = {process.pid: taken[process.pid] for process in family}
        share = self._share(self._answers.get(id_), cpu)
        return self._keep(id_, root, ProcessTree(tuple(family), share), cpu)

    def _top(self, id_: str) -> Mapping[str, Any]:
        if self._client is None:
            self._client = connect(self._url)
        told: Mapping[str, Any] = self._client.top(id_, f"-o {COLUMNS}")
        return told

    def _blind(self, error: Exception) -> Unseen:
        if isinstance(error, APIError):
            return Unseen(f"docker top failed: {error.explanation or error}")
        notice = explained(error, self._url)
        return Unseen(notice.problem, notice.remedy)

    def _keep(
        self, id_: str, root: int, fact: ProcessTree | Unseen, cpu: Mapping[int, int]
    ) -> ProcessTree | Unseen:
        now = self._clock()
        self._answers = {
            key: answer for key, answer in self._answers.items() if now - answer.at < 10 * FRESH
        }
        self._answers[id_] = _Answer(now, root, fact, cpu)
        return fact

    def _share(self, before: _Answer | None, cpu: Mapping[int, int]) -> float | None:
        if before is None or not before.cpu.keys() & cpu.keys():
            return None
        taken = sum(seconds - before.cpu.get(pid, 0) for pid, seconds in cpu.items())
        return taken / (self._clock() - before.at)


def parse(told: Mapping[str, Any]) -> list[Row]:
    """The rows of the Engine's answer: ``Titles`` and ``Processes``. One cut short is left out."""
    width = len(COLUMNS.split(","))
    return [_row(fields) for fields in told.get("Processes") or () if len(fields) == width]


def _row(fields: Sequence[str]) -> Row:
    pid, ppid, stat, cpu, age, args = fields
    return Row(ps.process(pid, ppid, stat, args, float(age)), int(cpu))
