"""A replica's way out of rotation and back: the parts that every act is made of.

Each waits for what was seen rather than for time: a replica is out once the router is known to have
it, quiet once nothing is in flight, and back once it was judged ready in its new life.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass

from healthagent.core.action import Outcome
from healthagent.core.observation import Unseen
from healthagent.core.report import CheckReport, TargetReport
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.core.verdict import Status
from healthagent.supervisor import plan as planning
from healthagent.supervisor.act import Act, Ended
from healthagent.supervisor.ports import Router, Traffic
from healthagent.supervisor.rotation import Drains
from healthagent.supervisor.watched import Watched, how

ROUTER_WITHIN = 30.0
"""Seconds for the router to take a change. Traefik asks every 5 s where nobody told it otherwise,
and takes one change every 2 s."""

QUIET = 2
"""Looks in a row that must find nothing in flight: a request may be on its way still."""

OF_THE_SERVICE = frozenset({"mixed_versions", "orphaned"})
"""What ``dbos`` says only of a replica whose own executor is as it should be."""

ATTEMPTS = 3
"""How often at most a replica is taken out to find that the others have become too few."""

BACK_WITHIN = 10.0
"""Seconds beyond its start-up grace in which a replica must be ready again."""


@dataclass(frozen=True, slots=True)
class Former:
    """A replica's life before it was stopped, with which the next one is compared."""

    target: Target
    started_at: float
    had_executor: bool

    @classmethod
    def of(cls, report: TargetReport) -> Former:
        dbos = report.check("dbos")
        return cls(report.target, report.started_at, dbos is not None and _is_registered(dbos))

    def is_over(self, report: TargetReport) -> bool:
        """Whether the replica is as well as it was, in another life. That one may have begun at an
        earlier time, since clocks are set back too."""
        if report.started_at in (0.0, self.started_at) or not report.fit:
            return False
        dbos = report.check("dbos")
        return not self.had_executor or dbos is None or _is_registered(dbos)


def _is_registered(dbos: CheckReport) -> bool:
    """Whether an executor lives under the id that it should have. In a roll to another version its
    service runs two, and workflows of the old one may wait: neither speaks against it."""
    return dbos.status is Status.OK or dbos.code in OF_THE_SERVICE


@dataclass(frozen=True, slots=True)
class Left:
    """How a replica left: what was seen of the router and of requests in flight, in words.
    ``quiet`` is false where some still are, or still come."""

    router: str
    flight: str
    quiet: bool = True

    def __str__(self) -> str:
        return f"{self.router}, and {self.flight}"


class Passage:
    """``patience`` is how many seconds at most requests in flight are waited for."""

    def __init__(
        self,
        router: Router,
        traffic: Traffic,
        drains: Drains,
        watched: Watched,
        patience: float,
        clock: Callable[[], float],
    ) -> None:
        self.drains = drains
        self.watched = watched
        self.patience = patience
        self.clock = clock
        self._router = router
        self._traffic = traffic

    @contextmanager
    def kept_out(self, act: Act, id_: str) -> Iterator[None]:
        """Out of rotation for as long as the block goes on, however it ends."""
        drain = Drain(act.by, act.verb, self.clock())
        self.drains.add(id_, drain)
        try:
            yield
        finally:
            self.drains.remove(id_, only=drain)

    @asynccontextmanager
    async def aside(self, act: Act, target: Target) -> AsyncIterator[TargetReport]:
        """Out of rotation for as long as the block goes on, which begins with the others enough
        without it. To come out takes a while in which another may fail: then it goes back, and
        waits. Raises :class:`Ended` where the others are not enough in the end."""
        why = ""
        for _ in range(ATTEMPTS):
            report = await self.spared(act, target)
            with self.kept_out(act, target.id):
                await self.out(act, report)
                service, report = self.watched.find(target)
                why = planning.spared(service, target)
                if not why:
                    yield report
                    return
            act.say(f"put back into rotation: {why}", target)
        raise Ended(Outcome.FAILED, f"{why}; it was out {ATTEMPTS} times, and put back each time")

    def succeed(self, drain: Drain | None, old: str, new: str) -> None:
        """A replica that somebody keeps out for good stays out under its new id. ``drain`` is what
        held before it was replaced, since that of a container that is gone goes with it."""
        if drain is not None and drain.lasting:
            self.drains.add(new, drain)
            self.drains.remove(old)

    async def out(self, act: Act, report: TargetReport) -> Left:
        """Wait until the router sends it nothing and nothing is in flight, or for as long as is
        given; what came of it. Raises :class:`Ended` where the router goes on sending to one that
        lives: what it sends to a dead one is lost whether that is left as it is or not."""
        target = report.target
        seen = await self._router.settles(target, routed=False, timeout=ROUTER_WITHIN)
        live = (self.watched.seen(target.id) or report).live
        router = "nothing is routed to it"
        if seen is True:
            act.say("out of the router", target)
        elif seen is False:
            router = f"the router still sends {target.name} requests after {ROUTER_WITHIN:g} s"
            if live:
                why = f"{router}, so it was left running; look at Traefik's log"
                raise Ended(Outcome.FAILED, why)
            act.say(f"{router}; look at Traefik's log", target)
        else:
            router = "whether something is still routed to it could not be seen"
            act.say(str(seen), target)
        if live:
            return await self._quiet(act, target, router)
        act.say("it does not live, so what is in flight there is not waited for", target)
        flight = "what is in flight was not waited for, since it does not live"
        return Left(router, flight, quiet=seen is not False)

    async def _quiet(self, act: Act, target: Target, router: str) -> Left:
        count: int | Unseen = 0
        quiet = 0
        try:
            async with (
                asyncio.timeout(self.patience),
                aclosing(self._traffic.in_flight(target, self.patience)) as looks,  # type: ignore[type-var]
            ):
                async for found in looks:
                    if isinstance(found, Unseen):
                        act.say(f"what is in flight cannot be seen: {found}", target)
                        return Left(router, "what is in flight could not be seen")
                    quiet = quiet + 1 if found == 0 else 0
                    if quiet == QUIET:
                        act.say("nothing is in flight", target)
                        return Left(router, "nothing is in flight")
                    if found and found != count:
                        act.say(f"{found} in flight", target)
                    count = found
        except TimeoutError:
            act.say(f"{count} still in flight after {self.patience:g} s", target)
        return Left(router, "requests are still in flight", quiet=False)

    async def spared(self, act: Act, target: Target) -> TargetReport:
        """Wait until the others are enough without it: for as long as one may take to start. Raises
        :class:`Ended` where they are not by then."""
        loop = asyncio.get_running_loop()
        until = loop.time() + target.timing.grace + BACK_WITHIN
        said = False
        while True:
            service, report = self.watched.find(target)
            why = planning.spared(service, target)
            if not why:
                return report
            if not said:
                act.say(f"waiting: {why}", target)
                said = True
            if loop.time() > until:
                raise Ended(Outcome.FAILED, why)
            await self.watched.next(until - loop.time())

    async def back(self, act: Act, id_: str, former: Former) -> None:
        """Wait until it is ready in its new life, its executor registered as before. Raises
        :class:`Ended` where it is not within its time, which its own labels say."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            report = self.watched.seen(id_)
            if report is not None and former.is_over(report):
                act.say("ready again", report.target)
                return
            target = report.target if report is not None else former.target
            within = target.timing.grace + BACK_WITHIN
            left = begun + within - loop.time()
            if left <= 0:
                state = how(report) if report is not None else "it is not watched: see its labels"
                why = f"{target.name} is not back after {within:g} s: {state}"
                raise Ended(Outcome.FAILED, why)
            await self.watched.next(left)

    async def again(self, id_: str) -> str:
        """Wait until the router has it again, unless somebody keeps it out; how it ended."""
        drain = self.drains[id_]
        if drain is not None:
            return f"ready, and stays {drain}"
        target = self.watched.by_id(id_).target
        seen = await self._router.settles(target, routed=True, timeout=ROUTER_WITHIN)
        if seen is False:
            raise Ended(
                Outcome.FAILED,
                f"{target.name} is ready, but the router has it not after {ROUTER_WITHIN:g} s; "
                "look at Traefik's log",
            )
        return "back in rotation" if seen is True else f"ready again; {seen}"
