"""What the Engine is still to be asked for: each container once, however many events told of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator


class Wanted:
    """Ids, for several threads that ask. One that is wanted again while it waits is asked for once,
    and while it is asked for, once more after that: so no more is waited for than there are
    containers, and of those over which the Engine hangs each holds up one thread."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._waiting: dict[str, None] = {}
        self._asked: set[str] = set()
        self._closed = False

    def put(self, id_: str) -> None:
        with self._news:
            self._waiting[id_] = None
            self._news.notify()

    def each(self) -> Iterator[str]:
        """What to ask for, until closed. One is done with when the next is taken."""
        while (id_ := self._take()) is not None:
            try:
                yield id_
            finally:
                self._done(id_)

    def close(self) -> None:
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _take(self) -> str | None:
        with self._news:
            while not self._closed:
                id_ = next((each for each in self._waiting if each not in self._asked), None)
                if id_ is not None:
                    del self._waiting[id_]
                    self._asked.add(id_)
                    return id_
                self._news.wait()
        return None

    def _done(self, id_: str) -> None:
        with self._news:
            self._asked.discard(id_)
            self._news.notify()
