"""Whether the event loop was held up: by the agent's own work, by who took its processor, or by a
stop of the whole process. Whoever was held up did not look in time, and knows nothing: see
decisions/0017."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import takewhile
from math import inf
from time import monotonic

BEAT = 0.1
"""Seconds from one measurement to the next, and the shortest that is told: shorter ones are what a
busy machine has all the time."""

KEPT = 1000
"""Of the last ones: those of a minute and more, where nothing else happens."""


class Lag:
    """Measures while :meth:`measure` runs."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._due = inf

    def longest_since(self, begun: float) -> float:
        """Seconds for which the loop stood still at the most, in one go, since ``begun``, which is
        a time of the monotonic clock."""
        since = takewhile(lambda kept: kept[0] >= begun, reversed(self._kept))
        return max(monotonic() - self._due, *(seconds for _, seconds in since), 0.0)

    async def measure(self) -> None:
        """Until cancelled."""
        while True:
            self._due = monotonic() + BEAT
            await asyncio.sleep(BEAT)
            now = monotonic()
            if now - self._due > BEAT:
                self._kept.append((now, now - self._due))
