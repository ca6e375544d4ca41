"""``ProcessTree`` from the Docker API, for an agent that does not see the host's processes.

The Engine runs ``ps`` for each request, so an answer serves for some seconds. It tells less than
/proc: no signal handlers, no pid of the container's own counting, no queues of connections.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from docker import APIClient
from docker.errors import APIError

from healthagent.core.observation import Process, ProcessTree, Unseen
from healthagent.core.target import Target
from healthagent.docker_api import FAULTS, connect, explained

COLUMNS = "pid,ppid,stat,cputimes,etimes,args"
"""Of procps' ps(1). ``args`` is last, since the Engine splits a line at every blank but there."""

FRESH = 5.0
"""Seconds for which an answer serves."""

_DEFUNCT = re.compile(r"\[(.*)\] <defunct>")


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


class DockerTop:
    """Asks ``GET /containers/ID/top``, at most every ``FRESH`` seconds and once at a time each."""

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
        self._running: dict[str, asyncio.Future[Any]] = {}

    async def look(self, target: Target, timeout: float) -> ProcessTree | Unseen:
        if not target.is_container:
            return Unseen("it is no container, so Docker knows nothing of its processes")
        root = self._pid_of(target)
        if root is None:
            return Unseen("the pid of its first process is not known")
        known = self._answers.get(target.id)
        if known is not None and known.root == root and self._clock() - known.at < FRESH:
            return known.fact
        try:
            async with asyncio.timeout(timeout):
                rows = parse(await asyncio.shield(self._asked(target.id)))
        except TimeoutError:
            return Unseen(f"docker top gave no answer within {timeout:g} s")
        except FAULTS as error:
            return self._keep(target.id, root, self._blind(error), {})
        family = descendants(rows, root)
        cpu = {row.process.pid: row.cpu for row in family}
        tree = ProcessTree(tuple(row.process for row in family), self._share(known, cpu))
        return self._keep(target.id, root, tree, cpu)

    def _asked(self, id_: str) -> asyncio.Future[Any]:
        """The request that no look took the answer of yet, or a new one, in a daemon thread:
        asyncio.to_thread() has threads that the end of the program would wait for."""
        if id_ in self._running:
            return self._running[id_]
        outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
        outcome.set_running_or_notify_cancel()

        def run() -> None:
            try:
                outcome.set_result(self._top(id_))
            except Exception as error:
                outcome.set_exception(error)

        threading.Thread(target=run, name="docker_top", daemon=True).start()
        running = self._running[id_] = asyncio.wrap_future(outcome)
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return running

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
        self._running.pop(id_, None)
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
    defunct = _DEFUNCT.fullmatch(args)
    words = () if defunct else tuple(args.split())
    return Row(
        Process(
            pid=int(pid),
            ppid=int(ppid),
            ns_pid=None,
            comm=defunct[1] if defunct else PurePath(words[0]).name[:15] if words else "",
            cmdline=words,
            state=stat[:1],
            age=float(age),
        ),
        int(cpu),
    )


def descendants(rows: Iterable[Row], root: int) -> list[Row]:
    """The first process and all below it, parents first: what ``docker exec`` started is not."""
    rows = list(rows)
    found = [row for row in rows if row.process.pid == root]
    for parent in found:
        found.extend(row for row in rows if row.process.ppid == parent.process.pid)
    return found
