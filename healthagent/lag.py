"""How long the event loop was held up: by the agent's own work, by who took its processor, or by a
stop of the whole process. Whoever was held up did not look in time, and knows nothing: see
decisions/0017."""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic

BEAT = 0.1
"""Seconds from one measurement to the next: shorter ones would cost more than they tell."""


class Lag:
    """Counts while :meth:`measure` runs."""

    def __init__(self) -> None:
        self._counted = 0.0
        self._due = inf

    @property
    def total(self) -> float:
        """Seconds, since the beginning, by which the loop came too late."""
        return self._counted + max(0.0, monotonic() - self._due)

    async def measure(self) -> None:
        """Until cancelled."""
        while True:
            self._due = monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self._counted = self.total
