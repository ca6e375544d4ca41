"""The watcher: discover, look, judge, fold, publish.

Every target is watched by a task of its own, so that no replica's check waits for another's. A
round looks at all kinds of fact that the target's checks need, side by side, each under the
target's deadline; a check is judged as soon as its own facts are there. Where discovery heard that
a target began or ceased to run, its round starts anew at once; whatever else it heard only ends the
pause between two rounds, so that no stream of events can keep a round from its end. What the agent
saw while it was itself held up is held against nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from operator import itemgetter

from healthagent.core.attribution import ledger
from healthagent.core.budget import Budget, budget, newest_rounds
from healthagent.core.check import Check
from healthagent.core.notice import Notice
from healthagent.core.observation import (
    ClientPorts,
    ContainerState,
    Database,
    DatabaseSession,
    Fact,
    Fleet,
    Observation,
    Unseen,
)
from healthagent.core.ports import Discovery, Rotation, Sighting, Source, Surface
from healthagent.core.report import (
    Report,
    ServiceReport,
    Subject,
    assess,
    blindness,
    is_judged,
    natural,
)
from healthagent.core.rotation import Drain
from healthagent.core.target import LEAST_STALE, Target
from healthagent.core.timeline import Timeline
from healthagent.core.transition import Transition, transitions
from healthagent.core.verdict import Status, Verdict, unknown
from healthagent.lag import Lag

TICK = 1.0
"""Seconds after which a report is published even if nothing changed, so that age can be seen."""

CATCH_UP = 2.0
"""Seconds for two looks after the agent stood still for so long that all it knew is stale: one that
was under way comes to its deadline. Else every check would read stale for just as long."""

SOON_AGAIN = 1.0
"""Seconds from a first look to the next, where it left open what to go by."""

SOONEST = 0.1
"""Seconds from one look to the next where something was heard of the replica meanwhile."""

REMEDY = "see what takes its processor, or give it more of one"

SLOWEST = 4.0
"""How many times the interval may lie between two looks where the agent has too little time for
them: it then needs a quarter of it, and nothing that it knows is stale by the next one."""

SLACK = 0.1
"""Seconds beyond its deadline that a source has to say itself why it saw nothing."""


@dataclass(slots=True)
class _Replica:
    """What the watcher keeps about one target. ``seen`` are the facts of its newest looks, and
    ``looked_at`` when each was had, in the event loop's seconds. ``slowed`` is how many times its
    interval is to lie between two looks, where that is more than once."""

    target: Target
    timelines: dict[str, Timeline]
    grace_until: float
    seen: dict[type[Fact], Fact | Unseen] = field(default_factory=dict)
    looked_at: dict[type[Fact], float] = field(default_factory=dict)
    started_at: float | None = None
    slowed: float = 0.5
    mentioned: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def newest(self, kind: type[Fact]) -> Fact | Unseen:
        return self.seen.get(kind, Unseen("not looked at yet"))


class Watcher:
    """Owns the life of every observation, from discovery to the surfaces.

    ``sources`` give facts by kind; a kind without a source is unseen. ``clock`` tells seconds since
    the epoch, and ``steady`` those that passed, whatever the clock is set to. ``rotation`` tells
    whom somebody keeps out of traffic; without it nobody is.
    :meth:`run` goes on until it is cancelled.
    """

    def __init__(
        self,
        discoveries: Sequence[Discovery],
        sources: Iterable[Source],
        checks: Sequence[Check],
        surfaces: Sequence[Surface],
        clock: Callable[[], float] = time.time,
        rotation: Rotation | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._discoveries = discoveries
        self._sources: Mapping[type[Fact], Source] = {source.kind: source for source in sources}
        self._checks = checks
        self._surfaces = surfaces
        self._clock = clock
        self._steady = steady
        self._steadily = steady()
        self._rotation = rotation
        self._drains: Mapping[str, Drain] = {}
        self._replicas: dict[str, _Replica] = {}
        self._sightings: dict[str, Sighting] = {}
        self._fleet = Fleet(())
        self._changed = asyncio.Event()
        self._lag = Lag()
        self._began = clock()
        self._report = Report(at=self._began, settled=False)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for discovery in self._discoveries:
                group.create_task(self._discover(discovery, group))
            if self._rotation is not None:
                group.create_task(self._heed(self._rotation))
            group.create_task(self._lag.measure())
            group.create_task(self._publish())

    async def _heed(self, rotation: Rotation) -> None:
        async for self._drains in rotation.drains():
            self._changed.set()

    async def _discover(self, discovery: Discovery, group: asyncio.TaskGroup) -> None:
        async for sighting in discovery.sightings():
            before = self._sightings.get(discovery.name)
            complete = sighting.complete or (before is not None and before.complete)
            now = replace(sighting, complete=complete)
            self._sightings[discovery.name] = now
            if now.touched or before is None or _differ(before, now):
                self._reconcile(now.touched, group)
            for id_ in sighting.mentioned & self._replicas.keys():
                self._replicas[id_].mentioned.set()

    def _reconcile(self, touched: frozenset[str], group: asyncio.TaskGroup) -> None:
        """Bring the watched replicas in line with what was sighted last."""
        targets = {
            target.id: target
            for sighting in self._sightings.values()
            for target in sighting.targets
        }
        in_order = tuple(sorted(targets.values(), key=lambda t: natural(t.name)))
        self._fleet = self._fleet.followed_by(in_order, self._clock())
        for id_ in self._replicas.keys() - targets.keys():
            self._stop(self._replicas.pop(id_))
        for target in targets.values():
            known = self._replicas.get(target.id)
            if known is None or known.target != target or target.id in touched:
                replica = self._redeclared(known, target)
                self._replicas[target.id] = replica
                self._stop(replica)
                replica.task = group.create_task(self._watch(replica))
        self._changed.set()

    def _redeclared(self, known: _Replica | None, target: Target) -> _Replica:
        """The replica under its present declaration; timelines of checks that stay are kept."""
        replica = known or _Replica(target, {}, self._clock() + target.timing.grace)
        replica.target = target
        replica.timelines = {
            check.name: replica.timelines.get(check.name, Timeline())
            for check in self._checks
            if check.applies(target)
        }
        return replica

    @staticmethod
    def _stop(replica: _Replica) -> None:
        if replica.task is not None:
            replica.task.cancel()

    async def _watch(self, replica: _Replica) -> None:
        """Rounds at the target's interval. A round that took longer is not made up for."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            replica.mentioned.clear()
            await self._round(replica)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(begun + _pause(replica)):
                    await replica.mentioned.wait()
                    await asyncio.sleep(begun + SOONEST - loop.time())

    def _slow_down(self, replica: _Replica, begun: float) -> None:
        """Look more rarely while the agent is held up in one look after another, and step by step
        more often once it is not: see decisions/0017. One stand-still alone slows nothing."""
        factor = 2.0 if self._held_up(replica.target, begun) else 0.8
        replica.slowed = min(max(factor * replica.slowed, 0.5), SLOWEST)

    def _held_up(self, target: Target, begun: float) -> float:
        """Seconds for which the agent stood still in a look since the monotonic time ``begun``,
        where that is so long that the look told nothing; else 0."""
        held = self._lag.longest_since(begun)
        return held if held > target.timing.timeout / 2 else 0.0

    async def _round(self, replica: _Replica) -> None:
        if replica.target.is_container:
            self._incarnate(replica, await self._look(replica, ContainerState))
        target, timelines = replica.target, replica.timelines
        checks = [check for check in self._checks if check.name in timelines]
        kinds = dict.fromkeys(kind for check in checks for kind in check.needs)
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            looks = {kind: group.create_task(self._look(replica, kind)) for kind in kinds}
            for check in checks:
                group.create_task(self._judge(target, timelines, check, looks, begun))
        self._slow_down(replica, begun)

    def _incarnate(self, replica: _Replica, state: Fact | Unseen) -> None:
        """A container that was started anew begins anew: its grace, and all that it must show. One
        that was never started has its grace since it was found."""
        if not isinstance(state, ContainerState) or not state.started_at:
            return
        if state.started_at == replica.started_at:
            return
        if replica.started_at is not None:
            kept = {check.name for check in self._checks if check.outlives_restart}
            replica.timelines = {
                name: timeline if name in kept else Timeline()
                for name, timeline in replica.timelines.items()
            }
        replica.started_at = state.started_at
        begun = min(state.started_at, self._clock())  # later, where a clock was set back since
        replica.grace_until = begun + replica.target.timing.grace

    async def _look(self, replica: _Replica, kind: type[Fact]) -> Fact | Unseen:
        """One kind of fact, within the target's deadline."""
        if kind is Fleet:
            return self._fleet
        source = self._sources.get(kind)
        if source is None:
            return Unseen(f"nothing here can see {kind.called}")
        timeout = replica.target.timing.timeout
        try:
            async with asyncio.timeout(timeout + SLACK):
                fact = await source.look(replica.target, timeout)
        except TimeoutError:
            fact = Unseen(f"{kind.called} could not be looked at within {timeout:g} s")
        except Exception as error:
            fact = Unseen(f"healthagent's own source failed: {error!r}", "please report it")
        replica.seen[kind] = fact
        replica.looked_at[kind] = asyncio.get_running_loop().time()
        return fact

    async def _judge(
        self,
        target: Target,
        timelines: dict[str, Timeline],
        check: Check,
        looks: Mapping[type[Fact], asyncio.Task[Fact | Unseen]],
        begun: float,
    ) -> None:
        """Judge by the declaration that the round began with, at the monotonic time ``begun``.

        A round that is about to be cancelled, since its target was declared anew, may still come to
        this: it then folds into timelines that nobody keeps.
        """
        facts = {kind: await looks[kind] for kind in check.needs}
        verdict = _verdict(check, Observation(target, facts))
        if _may_be_late(verdict) and (held := self._held_up(target, begun)):
            why = f"the agent itself was held up for {held:.1f} s; {REMEDY}"
            verdict = unknown("held_up", why)
        before, now = timelines[check.name], self._clock()
        after = before.fold(verdict, now, target.timing)
        timelines[check.name] = after
        if before.standing is not after.standing and _news(before, after):
            self._changed.set()

    async def _publish(self) -> None:
        """Hand out a report whenever something changed, and at every tick. Between two of them
        there is as much time as the first one took, so that no storm of changes, however big the
        fleet, takes more than half of the agent's time from its looks."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(TICK):
                    await self._changed.wait()
            except TimeoutError:
                pass
            if self._clock() - self._report.at > LEAST_STALE:
                self._hand_out()  # the one before: the agent is not stuck
                await asyncio.sleep(CATCH_UP)
            begun = loop.time()
            self._changed.clear()
            if self._fleet.left:  # until they are forgotten
                self._fleet = self._fleet.followed_by(self._fleet.targets, self._clock())
            before, self._report = self._report, self._assess()
            self._hand_out(transitions(before, self._report))
            await asyncio.sleep(loop.time() - begun)

    def _hand_out(self, changes: tuple[Transition, ...] = ()) -> None:
        for surface in self._surfaces:
            surface.publish(self._report, changes)

    def _follow(self, now: float) -> None:
        """Where the clock was set since the last report, forth or back, or the whole machine slept,
        no grace is shorter or longer for it. What starts from now on did not run before the
        agent."""
        before, self._steadily = self._steadily, self._steady()
        set_by = (now - self._report.at) - (self._steadily - before)
        if abs(set_by) <= LEAST_STALE:
            return
        self._began = min(self._began, now)
        for replica in self._replicas.values():
            longest = now + replica.target.timing.grace
            replica.grace_until = min(replica.grace_until + max(0.0, set_by), longest)

    def _assess(self) -> Report:
        now = self._clock()
        self._follow(now)
        subjects = [
            Subject(
                replica.target,
                replica.timelines,
                replica.grace_until,
                _container(replica),
                self._drains.get(replica.target.id),
                ran_before=replica.grace_until < self._began,
            )
            for replica in self._replicas.values()
        ]
        settled = self._report.settled or self._is_settled(subjects, now)
        services = assess(subjects, self._checks, now, settled=settled)
        return Report(
            at=now,
            settled=settled,
            services=services,
            budgets=self._budgets(),
            notices=self._notices(services),
        )

    def _is_settled(self, subjects: Sequence[Subject], now: float) -> bool:
        looked = all(
            discovery.name in self._sightings and self._sightings[discovery.name].complete
            for discovery in self._discoveries
        )
        return looked and all(is_judged(subject, self._checks, now) for subject in subjects)

    def _notices(self, services: Sequence[ServiceReport]) -> tuple[Notice, ...]:
        sighted = (notice for each in self._sightings.values() for notice in each.notices)
        return (*sighted, *blindness(services))

    def _budgets(self) -> tuple[Budget, ...]:
        """One budget per server whose newest round told its numbers, in the servers' order."""
        looks = [
            (replica.looked_at[DatabaseSession], session.outcome)
            for replica in self._replicas.values()
            if isinstance(session := replica.newest(DatabaseSession), DatabaseSession)
        ]
        outcomes = [outcome for _, outcome in sorted(looks, key=itemgetter(0))]
        return tuple(self._budget(each) for each in newest_rounds(outcomes))

    def _budget(self, database: Database) -> Budget:
        account = ledger(database, self._fleet)
        ports = {
            id_: seen if isinstance(seen, ClientPorts | Unseen) else Unseen("not looked at")
            for id_, replica in self._replicas.items()
            for seen in (replica.newest(ClientPorts),)
        }
        return budget(account, account.owners(ports))


def _differ(before: Sighting, now: Sighting) -> bool:
    """Whether there is something else to watch, or to tell."""
    return (before.targets, before.notices, before.complete) != (
        now.targets, now.notices, now.complete,
    )  # fmt: skip


def _verdict(check: Check, seen: Observation) -> Verdict:
    """The check's verdict. A fault of the agent's own code is not held against the replica."""
    try:
        return check.judge(seen)
    except Exception as error:
        return unknown("fault", f"healthagent's own check failed: {error!r}; please report it")


def _pause(replica: _Replica) -> float:
    """Seconds from one look to the next. The first one that fails is not believed before the next,
    and until then the agent says nothing of the others either."""
    interval = replica.target.timing.interval * max(1.0, replica.slowed)
    decided = all(timeline.decided for timeline in replica.timelines.values())
    return interval if decided else min(interval, SOON_AGAIN)


def _may_be_late(verdict: Verdict) -> bool:
    """Whether it would have come out better, had the agent looked in time."""
    return verdict.status in (Status.FAILED, Status.DEGRADED) and not verdict.conclusive


def _news(before: Timeline, after: Timeline) -> bool:
    """Whether the standing state changed in a way that a report shows."""
    old, new = before.standing, after.standing
    return old is None or new is None or (old.status, old.code) != (new.status, new.code)


def _container(replica: _Replica) -> ContainerState | None:
    state = replica.newest(ContainerState)
    return state if isinstance(state, ContainerState) else None
