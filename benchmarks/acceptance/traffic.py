"""Users who look at the page and place orders, and remember what they were promised."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from types import TracebackType
from typing import Self

from benchmarks.acceptance.desk import Answer, Desk, ask

PAGES = 3
"""Looks at the page between one order and the next: orders alone would only fill the queue."""

PAUSE = 0.05
"""Seconds that a user thinks: the load is on the stack, not on this program."""


class Traffic:
    """So many users at once, each of whom waits for an answer before the next request.

    A request that gets no answer in time counts as failed, and so does any answer but the expected.
    """

    def __init__(self, desk: Desk, url: str, users: int) -> None:
        self._desk = desk
        self._url = url
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._use, args=(n,)) for n in range(users)]
        self.requests = 0
        self.failures: list[str] = []
        self.accepted: list[str] = []
        """The ids of orders that were answered 202: none of them may be lost."""
        self.served: Counter[str] = Counter()
        """Answers by replica."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _use(self, number: int) -> None:
        shop = ("north", "south")[number % 2]
        while not self._ends.is_set():
            for _ in range(PAGES):
                self._count("page", ask(f"{self._url}/{shop}"), 200)
            id_ = str(uuid.uuid4())
            answer = self._desk.order(self._url, shop, id_=id_)
            if self._count("order", answer, 202):
                with self._lock:
                    self.accepted.append(id_)
            self._ends.wait(PAUSE)

    def _count(self, what: str, answer: Answer, expected: int) -> bool:
        with self._lock:
            self.requests += 1
            if answer.status == expected:
                self.served[answer.replica] += 1
                return True
            at = time.strftime("%H:%M:%S")
            self.failures.append(f"{at} {what}: {answer.status} {answer.body[:120]}")
            return False
