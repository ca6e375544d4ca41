"""Who polls for the configuration, and what each has: so that a drain knows when it has arrived."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from healthagent.core.rotation import Told

_SERVER = re.compile(r'"url":"[a-z0-9]+://([^"/]+)')

LATE = 3.0
"""Seconds beyond twice its usual pause after which one that asks no more is no router any more."""

FIRST_PAUSE = 60.0
"""Seconds that may lie between the first two polls: as long as one may be held."""


@dataclass(frozen=True, slots=True)
class _Poller:
    """``pause`` is the longer of its last two, 0 where it asked only once: somebody who looks at
    the page routes nothing."""

    told: Told
    last: float
    pause: float = 0.0
    pause_before: float = 0.0

    def asks_again(self, now: float, servers: frozenset[str]) -> _Poller:
        told = self.told if self.told.servers == servers else Told(now, servers)
        pause = now - self.last
        return _Poller(told, now, max(pause, self.pause_before), pause)


class Pollers:
    """What was sent to whom, by address. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pollers: dict[str, _Poller] = {}

    def note(self, address: str, body: bytes) -> None:
        """That the one at ``address`` was just sent this."""
        now, servers = self._clock(), frozenset(_SERVER.findall(body.decode()))
        self._let_go(now)
        known = self._pollers.get(address)
        poller = known.asks_again(now, servers) if known else _Poller(Told(now, servers), now)
        self._pollers[address] = poller

    def told(self) -> Mapping[str, Told]:
        """Those who keep asking, by address."""
        self._let_go(self._clock())
        return {a: poller.told for a, poller in self._pollers.items() if poller.pause}

    def _let_go(self, now: float) -> None:
        longest = {a: LATE + 2 * (p.pause or FIRST_PAUSE) for a, p in self._pollers.items()}
        self._pollers = {a: p for a, p in self._pollers.items() if now - p.last <= longest[a]}
