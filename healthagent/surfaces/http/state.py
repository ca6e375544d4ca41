"""What the HTTP surface knows between two reports: all that its routes answer from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson

from healthagent.core.action import Step
from healthagent.core.ports import History
from healthagent.core.report import Notice, Report
from healthagent.core.transition import Transition
from healthagent.surfaces.http.events import Feed
from healthagent.surfaces.http.history import NoHistory
from healthagent.surfaces.http.metrics import Metrics
from healthagent.surfaces.http.polled import Polled
from healthagent.surfaces.http.pollers import Pollers
from healthagent.surfaces.notices import Noticeboard
from healthagent.surfaces.traefik import Routing

STUCK_AFTER = 10.0
"""Seconds without a report from which the agent counts as stuck; one is due each second."""


class State:
    """The latest report, and what is kept of earlier ones. ``clock`` is monotonic, in seconds."""

    def __init__(
        self, clock: Callable[[], float], life: str, history: History | None = None
    ) -> None:
        self.history: History = history or NoHistory()
        self.report = Report(0.0, settled=False)
        self.feed = Feed(life)
        self.metrics = Metrics()
        self.traefik = Polled()
        self.pollers = Pollers(clock)
        self._routing = Routing()
        self._clock = clock
        self._reported = clock()
        self._settled = asyncio.Event()
        self._notices = Noticeboard()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        self.report = report
        self._reported = self._clock()
        self._routing = self._routing.after(report)
        self.traefik.put(orjson.dumps(self._routing.configuration))
        self._notices.post(self._routing.notices)
        self.metrics.publish(report, changes, len(self.notices))
        self.feed.publish(*changes)
        if report.settled:
            self._settled.set()

    def record(self, step: Step) -> None:
        self.metrics.record(step)
        self.feed.publish(step)

    def close(self) -> None:
        """End every stream, and answer every poll that is held."""
        self.feed.close()
        self.traefik.release()

    @property
    def notices(self) -> tuple[Notice, ...]:
        return (*self.report.notices, *self._routing.notices)

    @property
    def stale_for(self) -> float | None:
        """Seconds since the last report where the agent counts as stuck, else ``None``."""
        age = self._clock() - self._reported
        return age if age > STUCK_AFTER else None

    async def settled(self, timeout: float) -> bool:
        """Whether every replica has been judged, waiting up to ``timeout`` seconds for it."""
        try:
            async with asyncio.timeout(timeout):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True
