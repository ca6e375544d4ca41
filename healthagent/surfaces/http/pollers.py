"""Who polls for the configuration, and what each has: so that a drain knows when it has arrived."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from healthagent.core.rotation import Told

_SERVER = re.compile(r'"url":"[a-z0-9]+://([^"/]+)')

LATE = 3.0
"""Seconds beyond twice its usual cycle after which one that asks no more is no router any more."""

FIRST_CYCLE = 60.0
"""Seconds that may lie between the first two answers: as long as a poll may be held."""

ROUTER = 60.0
"""Seconds for which one must have asked to be a router for certain, and be missed."""


@dataclass(frozen=True, slots=True)
class _Poller:
    """``cycle`` is the longer of its last two times from answer to answer, 0 where it asked only
    once: somebody who looks at the page routes nothing. ``pause`` is the part of the last one in
    which it did not ask."""

    told: Told
    last: float
    cycle: float = 0.0
    cycle_before: float = 0.0
    pause: float = 0.0

    def asks_again(self, asked: float, now: float, servers: Iterable[str]) -> _Poller:
        cycle, pause = now - self.last, max(0.0, asked - self.last)
        told = self.told.again(now, servers, max(pause, self.pause))
        return _Poller(told, now, max(cycle, self.cycle_before), cycle, pause)


class Pollers:
    """What was sent to whom, by address. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._pollers: dict[str, _Poller] = {}
        self._held: Counter[str] = Counter()
        self._router: float | None = None

    @contextmanager
    def held(self, address: str) -> Iterator[None]:
        """While a poll of the one at ``address`` is held: it asks all that time, however short its
        cycle was until then. Much news makes it short, and then there is none for a while."""
        self._held[address] += 1
        try:
            yield
        finally:
            self._held[address] -= 1
            self._held += Counter()  # those that are at zero go

    def note(self, address: str, body: bytes, asked: float) -> None:
        """That the one at ``address``, who had asked at a time by the clock, was just sent this."""
        now, servers = self.clock(), frozenset(_SERVER.findall(body.decode()))
        self._let_go(now)
        known = self._pollers.get(address)
        first = _Poller(Told(now, dict.fromkeys(servers, now)), now)
        self._put(address, known.asks_again(asked, now, servers) if known else first)

    def keep(self, address: str, asked: float) -> None:
        """That it was just sent an error: it asks on, and has what it had."""
        known = self._pollers.get(address)
        if known is not None:
            self._put(address, known.asks_again(asked, self.clock(), known.told.listed))

    def told(self) -> Mapping[str, Told]:
        """Those who keep asking, by address."""
        self._let_go(self.clock())
        return {a: poller.told for a, poller in self._pollers.items() if poller.cycle}

    def silence(self) -> float | None:
        """Seconds since a router had an answer, where there was one and nobody asks any more."""
        if self._router is None or self.told():
            return None
        return self.clock() - self._router

    def _put(self, address: str, poller: _Poller) -> None:
        self._pollers[address] = poller
        if poller.last - poller.told.since >= ROUTER:
            self._router = poller.last

    def _let_go(self, now: float) -> None:
        longest = {a: LATE + 2 * (p.cycle or FIRST_CYCLE) for a, p in self._pollers.items()}
        self._pollers = {
            a: p for a, p in self._pollers.items() if a in self._held or now - p.last <= longest[a]
        }
