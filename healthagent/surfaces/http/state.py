"""What the HTTP surface knows between two reports: all that its routes answer from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson

from healthagent.core.action import Step
from healthagent.core.notice import Notice
from healthagent.core.ports import History
from healthagent.core.report import Report
from healthagent.core.transition import Transition
from healthagent.surfaces.http.events import Feed
from healthagent.surfaces.http.history import NoHistory
from healthagent.surfaces.http.metrics import Metrics
from healthagent.surfaces.http.polled import Polled
from healthagent.surfaces.http.pollers import Pollers
from healthagent.surfaces.notices import Noticeboard
from healthagent.surfaces.traefik import Routing
from healthagent.surfaces.transition_text import rfc3339

STUCK_AFTER = 10.0
"""Seconds without a report from which the agent counts as stuck; one is due each second."""

MISSED = 10
"""Reports in a row without a router until that is told: after the agent itself stood still, one
needs a moment to ask again."""


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
        self._fault: Notice | None = None
        self._alone: Notice | None = None
        self._missed = 0
        self._clock = clock
        self._reported = clock()
        self._settled = asyncio.Event()
        self._notices = Noticeboard()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        self.report = report
        self._reported = self._clock()
        self._route(report)
        self._miss(report)
        self._notices.post(self.of_routing)
        self.metrics.publish(report, changes, len(self.notices))
        self.feed.publish(*changes)
        if report.settled:
            self._settled.set()

    def _route(self, report: Report) -> None:
        """Render the routing, whole or not at all. A fault of the agent's own ends nothing, and its
        text stays untold: it may quote a label."""
        try:
            routing = self._routing.after(report)
            body = orjson.dumps(routing.configuration)
        except Exception as error:
            self._fault = Notice(
                "the routing for Traefik",
                f"healthagent's own rendering failed: {type(error).__name__}",
                "Traefik keeps the configuration that it has; please report it",
            )
        else:
            self._routing, self._fault = routing, None
            self.traefik.put(body)

    def _miss(self, report: Report) -> None:
        """Tell of a router that asks no more: all may be well here, and nobody reach it."""
        silence = self.pollers.silence()
        self._missed = 0 if silence is None else self._missed + 1
        if silence is None or self._missed < MISSED:
            self._alone = None
        elif self._alone is None:
            since = f"{rfc3339(report.at - silence)[11:19]} UTC"
            self._alone = Notice(
                "/traefik",
                f"nobody has polled it since {since}, though Traefik did: it is gone, or cannot "
                "reach the agent, and routes by what it last had",
                "see that it runs, and what its log says of the HTTP provider",
            )

    def record(self, step: Step) -> None:
        self.metrics.record(step)
        self.feed.publish(step)

    def close(self) -> None:
        """End every stream, and answer every poll that is held."""
        self.feed.close()
        self.traefik.release()

    @property
    def notices(self) -> tuple[Notice, ...]:
        return (*self.report.notices, *self.of_routing)

    @property
    def of_routing(self) -> tuple[Notice, ...]:
        """Those about what Traefik is given, and whether it asks for it."""
        routing = self._routing.notices if self._fault is None else (self._fault,)
        return routing if self._alone is None else (*routing, self._alone)

    @property
    def routes(self) -> bool:
        """Whether there is a configuration for the latest report."""
        return self._fault is None

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
