"""Work that may hang, done where it can hold up nothing.

Threads are daemons, since the end of the program would wait for others. But the interpreter may
crash under one that runs while it is taken down, and the agent's exit code would tell of that. So
the end waits a moment for them: whatever does not hang comes to its own end by then.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LAST_MOMENT = 0.5
"""Seconds that the end of the program waits for all threads together."""


class _Thread(threading.Thread):
    """One of those below."""


def begin(name: str, work: Callable[[], object]) -> threading.Thread:
    """A daemon thread that does ``work``."""
    thread = _Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def aside(name: str, work: Callable[[], T]) -> asyncio.Future[T]:
    """What ``work`` comes to, in a thread of its own. To cancel the future ends no work."""
    return asyncio.wrap_future(beside(name, work))


def beside(name: str, work: Callable[[], T]) -> concurrent.futures.Future[T]:
    """The same for a thread that waits, as long as it wants to."""
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    begin(name, run)
    return outcome


@atexit.register
def _await_all() -> None:
    until = time.monotonic() + LAST_MOMENT
    while (left := until - time.monotonic()) > 0 and (at_work := _at_work()):
        at_work[0].join(left)


def _at_work() -> list[threading.Thread]:
    """Those that have begun: one that is about to was begun by another, which waits for that."""
    return [each for each in threading.enumerate() if isinstance(each, _Thread) and each.is_alive()]
