"""Follows the agent's feed of transitions, so that what is said is known as soon as it is."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

SILENCE = 30.0
"""Seconds; the agent sends a comment twice as often."""


@dataclass(frozen=True, slots=True)
class Told:
    """One transition, and when it came in: seconds since the epoch. ``check`` is empty for that of
    a whole target."""

    at: float
    target: str
    check: str
    after: str
    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.target} {self.check or 'as a whole'} {self.after} {self.code}: {self.reason}"


class Feed:
    """All transitions since it was opened, which a thread of its own reads. Closing it waits for
    nothing: the thread ends with the agent's next word."""

    def __init__(self, agent_url: str) -> None:
        self._response = urllib.request.urlopen(f"{agent_url}/events", timeout=SILENCE)
        self._told: list[Told] = []
        self._ended = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="feed", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True

    @property
    def mark(self) -> int:
        """Where the feed stands now: for :meth:`since` and :meth:`wait`."""
        return len(self._told)

    @property
    def lives(self) -> bool:
        """False once the agent ended it, as it does when it ends itself."""
        return self._thread.is_alive()

    def since(self, mark: int) -> list[Told]:
        return self._told[mark:]

    def wait(self, mark: int, wanted: Callable[[Told], bool], within: float) -> Told | None:
        """The first such transition after ``mark``; ``None`` where none came in time."""
        until = time.monotonic() + within
        with self._news:
            while True:
                for told in self._told[mark:]:
                    if wanted(told):
                        return told
                mark, left = len(self._told), until - time.monotonic()
                if left <= 0 or not self._news.wait(left):
                    return next(filter(wanted, self._told[mark:]), None)

    def _read(self) -> None:
        with self._response, suppress(OSError, ValueError):
            for line in self._response:
                if self._ended:
                    return
                if line.startswith(b"data: "):
                    told = json.loads(line[6:])
                    if told["event"] == "transition":
                        self._take(told)

    def _take(self, told: dict[str, Any]) -> None:
        with self._news:
            self._told.append(
                Told(
                    time.time(),
                    told["target"],
                    told["check"] or "",
                    told["after"],
                    told["code"] or "",
                    told["reason"] or "",
                )
            )
            self._news.notify_all()
