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
from weakref import WeakSet

T = TypeVar("T")

LAST_MOMENT = 0.5
"""Seconds that the end of the program waits for all threads together."""

_begun: WeakSet[threading.Thread] = WeakSet()


def begin(name: str, work: Callable[[], object]) -> threading.Thread:
    """A daemon thread that does ``work``."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    _begun.add(thread)
    thread.start()
    return thread


def aside(name: str, work: Callable[[], T]) -> asyncio.Future[T]:
    """What ``work`` comes to, in a thread of its own. To cancel the future ends no work."""
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    begin(name, run)
    return asyncio.wrap_future(outcome)


@atexit.register
def _await_all() -> None:
    until = time.monotonic() + LAST_MOMENT
    for thread in list(_begun):
        thread.join(max(0.0, until - time.monotonic()))
