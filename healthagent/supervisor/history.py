"""The history: what was done and what changed, for whoever asks later, and for the agent itself
when it starts again.

A thread of its own writes, so that a disk that is slow, or hangs, delays nothing. Where the file
cannot be used the history is kept in memory, and one notice says why. Every so often, and as the
agent ends, it tries to write that to the file after all: nobody may think of the agent where there
is room again, and one that is killed later is not to forget who was drained and undrained since.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from healthagent.core.action import Step
from healthagent.core.notice import Notice
from healthagent.core.ports import Entry
from healthagent.core.rotation import Drain
from healthagent.supervisor.memory import died
from healthagent.supervisor.store import NewerSchema, Store

DEFAULT_DIRECTORY = Path("/var/lib/healthagent")
FILE = "history.sqlite3"

ANSWER = 3.0
"""Seconds that the file has to be opened, and for an answer."""

LAST_WORDS = 1.0
"""Seconds that closing waits for what is still to be written."""

MOST_WAITING = 10_000
"""Writes that may wait for a disk that hangs; later ones are lost."""

PRUNE_EVERY = 100
"""Writes."""

AGAIN = 60.0
"""Seconds from one try to the next to go back to a file that could not be used."""

A_DAY = 86_400.0

NOT_TO_BE_READ = frozenset({"CORRUPT", "NOTADB", "BUSY", "LOCKED"})
"""Names of SQLite's errors by which a file is damaged, or another agent's."""

UNDONE = "drains that people asked for are undone, and restarts before do not count"
DRAIN_AGAIN = "drain again whom you want out"

OF_ONE_JOB = (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError)
"""SQLite's errors that tell nothing of the file: a value that it does not take."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier life of the agent left: lasting drains by target id, the steps of the last
    day, and since when it saw a replica dead, by target id."""

    drains: Mapping[str, Drain] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    died: Mapping[str, float] = field(default_factory=dict)


def located(state: Path | None) -> Path | None:
    """The file to use, from the setting: a directory or a file. Without one the default directory
    where it is there for the agent, else ``None``: memory. What cannot be looked at is taken for a
    file, so that who opens it says why."""
    if state is None:
        usable = _is_directory(DEFAULT_DIRECTORY) and os.access(DEFAULT_DIRECTORY, os.W_OK)
        return DEFAULT_DIRECTORY / FILE if usable else None
    return state / FILE if _is_directory(state) else state


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it may not be looked at, or its disk is gone
        return False


class History:
    """Keeps entries, evidence and drains; fulfils :class:`~healthagent.core.ports.History`.

    ``path`` is the file, ``None`` for memory. ``degraded`` is called in the event loop that
    opened it, with each notice that the file could not be read at the start, or is used no more;
    ``recovered`` with one that holds no longer.
    """

    def __init__(
        self,
        path: Path | None,
        degraded: Callable[[Notice], None] = lambda _: None,
        recovered: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._degraded = degraded
        self._recovered = recovered
        self._whole = True  # of a store in memory: that it holds all that the file does
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)

    async def open(self) -> Earlier:
        """Begin. A file that is not to be had within some seconds is left to its thread: what it
        then still says is kept, but comes too late to go by, and a notice says so."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        since = time.time() - A_DAY
        try:
            earlier = await self._ask(
                lambda store: Earlier(
                    store.drains(), tuple(store.steps(since)), died(store.changes())
                )
            )
        except Exception as error:  # a row that no version wrote must not keep the agent down
            earlier, why = None, f"what it holds is not understood: {error!r}"
        else:
            why = f"it gave no answer within {ANSWER:g} s"
        if earlier is None:
            self._degraded(_unread(self._path, why))
            self.keep_drains({})  # or those that are told to be undone came back in the next life
        return earlier or Earlier()

    def add(self, entry: Entry) -> None:
        """Keep an entry. Never waits."""
        self._tell(lambda store: store.add(entry))

    def add_evidence(self, act: str, document: Mapping[str, Any]) -> None:
        """Keep what was found before the stop of an act. Never waits."""
        text = json.dumps(document, default=str)
        self._tell(lambda store: store.add_evidence(act, text))

    def keep_drains(self, drains: Mapping[str, Drain]) -> None:
        """Keep these drains in place of those before. Never waits."""
        self._tell(lambda store: store.set_drains(drains))

    async def settled(self) -> bool:
        """Whether all that was added so far is written, within some seconds."""
        return await self._ask(lambda _: True) or False

    async def entries(self, name: str, since: float, most: int) -> Sequence[Entry] | None:
        return await self._ask(lambda store: store.entries(name, since, most))

    async def evidence(self, act: str) -> Mapping[str, Any] | None:
        text = await self._ask(lambda store: store.evidence(act))
        return None if text is None else dict(json.loads(text))

    async def aclose(self) -> None:
        """Wait a moment for what is still to be written, then leave it."""
        try:
            self._jobs.put_nowait(None)
        except queue.Full:
            return
        await asyncio.to_thread(self._thread.join, LAST_WORDS)

    def _tell(self, work: Callable[[Store], object]) -> None:
        try:
            self._jobs.put_nowait(_Job(work))
        except queue.Full:
            return  # the disk hangs: the log has all that is lost here

    async def _ask(self, work: Callable[[Store], T]) -> T | None:
        """``None`` where no answer came in time."""
        answer: Future[T] = Future()
        try:
            self._jobs.put_nowait(_Job(work, answer))
            async with asyncio.timeout(ANSWER):
                return await asyncio.wrap_future(answer)
        except (queue.Full, TimeoutError):
            return None

    # In the thread

    def _work(self) -> None:
        store, written, going_on = self._opened(), 0, True
        while going_on:
            batch = self._batch(self._again if self._may_return(store) else None)
            jobs = [job for job in batch if job is not None]
            going_on = len(jobs) == len(batch)
            written += len(jobs)
            prune = written >= PRUNE_EVERY
            written = 0 if prune else written
            store = self._done(store, jobs, prune)
            if self._may_return(store) and (time.monotonic() >= self._again or not going_on):
                store = self._returned(store)
        store.close()

    def _batch(self, until: float | None) -> Sequence[_Job | None]:
        """What there is to do, as soon as there is something; nothing from a time on."""
        batch: list[_Job | None] = []
        with suppress(queue.Empty):
            left = None if until is None else max(0.0, until - time.monotonic())
            batch.append(self._jobs.get(timeout=left))
            while True:
                batch.append(self._jobs.get_nowait())
        return batch

    def _opened(self) -> Store:
        try:
            return Store(self._path)
        except (sqlite3.Error, OSError) as error:
            found = _read(error, self._path)
            self._whole = found is not None
            self._complain(error, unread=found is None)
            return found or Store(None)

    def _done(self, store: Store, jobs: Sequence[_Job], prune: bool) -> Store:
        """Do the jobs, all in one transaction, and answer once it holds. Returns the store that
        they were done in: one in memory, where the file failed."""
        try:
            outcomes = _all(store, jobs, prune)
        except sqlite3.Error as error:
            store = self._in_memory(store)
            self._complain(error)
            outcomes = _all(store, jobs, prune)
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.tell(outcome)
        return store

    def _in_memory(self, failed: Store) -> Store:
        """A store in memory with all that can still be read of one that failed."""
        found = Store(None)
        try:
            found.take_over(failed)
        except sqlite3.Error:
            found, self._whole = Store(None), False
        with suppress(sqlite3.Error):
            failed.close()
        return found

    def _may_return(self, store: Store) -> bool:
        """Whether it is kept in memory, and the file holds nothing that would be lost."""
        return self._whole and store.path != self._path

    def _returned(self, store: Store) -> Store:
        """The file with all that was kept in memory, if it can be used again; else that."""
        self._again = time.monotonic() + AGAIN
        try:
            file = Store(self._path)
        except (sqlite3.Error, OSError):
            return store
        try:
            file.take_over(store)
        except sqlite3.Error:  # then nothing of it was written
            file.close()
            return store
        store.close()
        self._post(self._recovered, self._unused)
        return file

    def _complain(self, error: Exception, *, unread: bool = False) -> None:
        problem = f"cannot be used ({error}), so that the history is kept in memory alone"
        remedy = _remedy(error)
        if self._whole:
            problem += f" until it can be written there, which is tried every {AGAIN:g} s"
        if not self._whole or _named(error) != "FULL":
            remedy += ", then restart the agent"
        if unread:
            problem, remedy = f"{problem}, {UNDONE}", f"{DRAIN_AGAIN}; {remedy}"
        self._again = time.monotonic() + AGAIN
        self._unused = _notice(self._path, problem, remedy)
        self._post(self._degraded, self._unused)

    def _post(self, to: Callable[[Notice], None], notice: Notice) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(to, notice)


@dataclass(frozen=True, slots=True)
class _Job:
    """Something to do with the store, and who waits for what it gives."""

    work: Callable[[Store], object]
    answer: Future[Any] | None = None

    def tell(self, outcome: object) -> None:
        if self.answer is None or not self.answer.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


def _all(store: Store, jobs: Sequence[_Job], prune: bool) -> list[object]:
    with store.transaction():
        outcomes = [_outcome(store, job) for job in jobs]
        if prune:
            store.prune()
    return outcomes


def _outcome(store: Store, job: _Job) -> object:
    """What a job gives, or the error that it alone failed with: the others are done all the same.
    Raises ``sqlite3.Error`` for what no job could do."""
    try:
        return job.work(store)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and not isinstance(error, OF_ONE_JOB):
            raise
        if job.answer is None:
            _log.exception("the history lacks something that could not be written")
        return error


def _unread(path: Path | None, why: str) -> Notice:
    return _notice(
        path,
        f"could not be read at the start ({why}), so that {UNDONE}",
        f"{DRAIN_AGAIN}; look at the disk, or move the file away, and restart the agent",
    )


def _notice(path: Path | None, problem: str, remedy: str) -> Notice:
    return Notice("history", problem, remedy, key="supervisor.state", value=str(path))


def _read(error: Exception, path: Path | None) -> Store | None:
    """A store in memory with all that is in a file which cannot be used; ``None`` where the file is
    not to be read, or cannot be."""
    found = Store(None)
    if path is None or _is_missing(path):
        return found
    if isinstance(error, NewerSchema) or _named(error) in NOT_TO_BE_READ:
        return None
    try:
        found.take_over_file(path)
    except sqlite3.Error:
        return None
    return found


def _is_missing(path: Path) -> bool:
    """Whether there is no such file for sure; one that may not be looked at may be there."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _remedy(error: Exception) -> str:
    """By SQLite's own names of what went wrong, https://sqlite.org/rescode.html."""
    if isinstance(error, NewerSchema):
        return "start the version of healthagent that wrote it, or name another file"
    match _named(error):
        case "FULL":
            return "make room on its disk"
        case "BUSY" | "LOCKED":
            return "give each agent a file of its own"
        case "CORRUPT" | "NOTADB":
            return "move it away"
        case _:
            return f"name a directory that user id {os.geteuid()} may write to"


def _named(error: Exception) -> str:
    """``FULL`` of ``SQLITE_FULL``, ``READONLY`` of ``SQLITE_READONLY_DIRECTORY``."""
    parts: list[str] = getattr(error, "sqlite_errorname", "").split("_")
    return "".join(parts[1:2])
