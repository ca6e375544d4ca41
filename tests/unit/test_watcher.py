"""The watcher, from what is discovered and seen to what is published."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType

import pytest

from healthagent.checks import CHECKS
from healthagent.core.check import Check, Group, Witness
from healthagent.core.exits import End, Exits
from healthagent.core.notice import Notice
from healthagent.core.observation import (
    Backend,
    ClientPorts,
    ContainerState,
    Database,
    DatabaseDown,
    DatabaseSession,
    Fact,
    Fleet,
    Livez,
    Observation,
    Process,
    ProcessTree,
    Readyz,
    ServerLimits,
    Unseen,
)
from healthagent.core.ports import Discovery, Rotation, Source
from healthagent.core.report import Phase, Report, TargetReport
from healthagent.core.rotation import Drain
from healthagent.core.target import DatabaseRef, Pools, Target, Timing
from healthagent.core.transition import Transition
from healthagent.core.verdict import Status, Verdict, ok
from healthagent.lag import BEAT
from healthagent.sources.fake import FakeDiscovery, FakeSource
from healthagent.sources.http import HttpSource
from healthagent.supervisor import Drains
from healthagent.surfaces.traefik import Routing
from healthagent.watcher import SLOWEST, SOONEST, TICK, Watcher

QUICK = Timing(interval=0.01, timeout=0.05, rise=1, fall=2, grace=0.001)
SOON = 30.0
BUN = Process(7, 1, 1, "bun", ("bun", "app.js"), "S", catches_sigterm=True)


def replica(number: int) -> Target:
    """A container that declares a process and a readiness endpoint, and nothing else."""
    return Target(
        id=str(number) * 64, name=f"app-{number}", service="app", timing=QUICK,
        address=f"10.0.0.{number}", addresses=(f"10.0.0.{number}",), port=3000, livez=None,
    )  # fmt: skip


RUNNING = ContainerState(status="running", pid=7, started_at=1.0)
HEALTHY: dict[type[Fact], Fact | Unseen] = {
    ContainerState: RUNNING,
    ProcessTree: ProcessTree((BUN,)),
    Exits: Exits(at=1.0),
    Readyz: Readyz("/readyz", 200, 0.001),
}


class Audience:
    """A surface that remembers, so that a test can wait for what it hopes to be told."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.changes: list[Transition] = []
        self._told = asyncio.Event()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        self.reports.append(report)
        self.changes += changes
        self._told.set()

    async def until(self, holds: Callable[[Report], bool]) -> Report:
        """The first report from now on that satisfies the condition."""
        try:
            async with asyncio.timeout(SOON):
                while not (self.reports and holds(self.reports[-1])):
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            last = self.reports[-1] if self.reports else None
            raise AssertionError(f"never told; the last report was {last}") from None
        return self.reports[-1]


@dataclass
class World:
    """Everything that a watcher sees and that sees a watcher."""

    discovery: FakeDiscovery
    sources: dict[type[Fact], FakeSource]
    audience: Audience = field(default_factory=Audience)

    def see(self, target: Target, *facts: Fact) -> None:
        for fact in facts:
            self.sources[type(fact)].answer(target.id, fact)

    async def all_ready(self, count: int) -> Report:
        return await self.audience.until(
            lambda r: len(r.targets) == count and all(t.ready for t in r.targets)
        )


@asynccontextmanager
async def watching(
    *targets: Target,
    more: Sequence[Source] = (),
    checks: Sequence[Check] = CHECKS,
    beside: Sequence[Discovery] = (),
    rotation: Rotation | None = None,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
    seen: Mapping[type[Fact], Fact | Unseen] = MappingProxyType({}),
    audience: Audience | None = None,
) -> AsyncIterator[World]:
    """A running watcher over replicas that are all healthy to begin with, but for what is
    ``seen`` of them instead."""
    sources = {
        kind: FakeSource(kind, {target.id: fact for target in targets})
        for kind, fact in {**HEALTHY, **seen}.items()
    }
    world = World(FakeDiscovery(*targets), sources, audience or Audience())
    watcher = Watcher(
        (world.discovery, *beside),
        (*sources.values(), *more),
        checks,
        (world.audience,),
        clock,
        rotation,
        steady,
    )
    running = asyncio.create_task(watcher.run())
    try:
        yield world
    finally:
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled(), f"the watcher ended by itself: {running.exception()!r}"


def one(report: Report, target: Target) -> TargetReport:
    return next(found for found in report.targets if found.target.id == target.id)


def judged(report: Report, target: Target, check: str) -> str:
    """The code that a check of a replica has; none before the replica is watched."""
    checks = (c for t in report.targets if t.target.id == target.id for c in t.checks)
    return next((found.code for found in checks if found.name == check), "")


ONE, TWO, THREE = replica(1), replica(2), replica(3)


async def test_healthy_replicas_become_ready() -> None:
    async with watching(ONE, TWO) as world:
        report = await world.all_ready(2)
        assert [target.phase for target in report.targets] == [Phase.READY, Phase.READY]
        assert report.settled


async def test_a_replica_that_says_503_leaves_and_comes_back_and_its_neighbour_stays() -> None:
    async with watching(ONE, TWO) as world:
        await world.all_ready(2)
        world.see(ONE, Readyz("/readyz", 503, 0.001, body="draining"))
        sick = await world.audience.until(lambda r: not one(r, ONE).ready)
        assert "draining" in one(sick, ONE).reason
        assert one(sick, TWO).ready
        world.see(ONE, Readyz("/readyz", 200, 0.001))
        await world.all_ready(2)


async def test_a_source_that_hangs_for_one_replica_holds_up_no_other() -> None:
    patient = replace(ONE, timing=replace(QUICK, timeout=30.0, interval=30.0))
    async with watching(patient, TWO) as world:
        world.sources[Readyz].hang(ONE.id)
        await world.audience.until(lambda r: len(r.targets) == 2 and one(r, TWO).ready)
        assert not one(world.audience.reports[-1], ONE).ready


class Endpoint:
    """An HTTP port of loopback that takes every connection, and answers each or none at all.

    ``answered`` and ``given_up`` count the clients that had an answer, and those that left without.
    """

    def __init__(self, answers: bool) -> None:
        self.port = 0
        self.answered = self.given_up = 0
        self._answers = answers
        self._news = asyncio.Condition()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Target]:
        """The target that it is the ``/readyz`` of."""
        async with await asyncio.start_server(self._take, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield replace(TWO if self._answers else ONE, address="127.0.0.1", port=self.port)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON), self._news:
            await self._news.wait_for(holds)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self._answers:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.answered += 1
        else:
            await reader.read()
            self.given_up += 1
        writer.close()
        async with self._news:
            self._news.notify_all()


class Endless:
    """A source that sees nothing of one replica for ever, whatever its deadline."""

    kind = Readyz

    async def look(self, target: Target, timeout: float) -> Fact | Unseen:
        if target.id == ONE.id:
            await asyncio.Event().wait()
        return HEALTHY[Readyz]


async def test_a_request_that_gets_no_answer_is_cut_off_at_its_deadline_look_after_look() -> None:
    deaf = Endpoint(answers=False)
    async with deaf.open() as target, watching(target, more=[HttpSource(Readyz)]) as world:
        report = await world.audience.until(lambda r: judged(r, target, "http") == "timeout")
        assert not one(report, target).ready
        looks = deaf.given_up
        await deaf.until(lambda: deaf.given_up >= looks + 2)


async def test_a_replica_that_does_not_answer_keeps_no_other_waiting() -> None:
    """Its deadline is longer than the test: whoever waited for it would wait for ever."""
    deaf, hearing = Endpoint(answers=False), Endpoint(answers=True)
    async with deaf.open() as silent, hearing.open() as well:
        patient = replace(silent, timing=replace(QUICK, timeout=10 * SOON))
        async with watching(patient, well, more=[HttpSource(Readyz)]) as world:
            await world.audience.until(lambda r: len(r.targets) == 2 and one(r, well).ready)
            await hearing.until(lambda: hearing.answered >= 20)
            assert deaf.given_up == 0
            assert judged(world.audience.reports[-1], patient, "http") == "pending"


async def test_a_source_that_passes_its_deadline_is_cut_off_and_its_replica_alone_unknown() -> None:
    async with watching(ONE, TWO, more=[Endless()]) as world:
        report = await world.audience.until(
            lambda r: judged(r, ONE, "http") == "unseen" and one(r, TWO).ready
        )
        (http,) = (check for check in one(report, ONE).checks if check.name == "http")
        assert http.status is Status.UNKNOWN
        within = f"within {QUICK.timeout:g} s"
        assert http.reason == f"its readiness endpoint could not be looked at {within}"


async def test_a_check_is_judged_as_soon_as_its_own_facts_are_there() -> None:
    patient = replace(ONE, timing=replace(QUICK, timeout=30.0))
    async with watching(patient) as world:
        world.sources[Readyz].hang(ONE.id)
        report = await world.audience.until(
            lambda r: (
                any(c.name == "process" and c.status is Status.OK for c in r.targets[0].checks)
                if r.targets
                else False
            )
        )
        assert not one(report, ONE).ready


async def test_a_container_that_died_is_looked_at_at_once_whatever_its_interval() -> None:
    slow = replace(ONE, timing=replace(QUICK, interval=3600.0))
    async with watching(slow, TWO) as world:
        await world.all_ready(2)
        world.see(ONE, ContainerState(status="exited", exit_code=137, started_at=1.0))
        world.discovery.show((slow, TWO), touched=(ONE.id,))
        dead = await world.audience.until(lambda r: one(r, ONE).phase is Phase.NOT_LIVE)
        assert "137" in one(dead, ONE).reason


async def test_what_is_heard_of_one_that_runs_on_is_looked_into_whatever_its_interval() -> None:
    slow = replace(ONE, timing=replace(QUICK, interval=3600.0, fall=1))
    async with watching(slow, TWO) as world:
        await world.all_ready(2)
        world.see(ONE, Readyz("/readyz", 503, 0.001))
        world.discovery.show((slow, TWO), mentioned=(ONE.id,))
        await world.audience.until(lambda r: judged(r, ONE, "http") == "status")


async def test_no_stream_of_what_is_heard_keeps_a_look_from_its_end() -> None:
    """A child that is killed for memory again and again, while the app itself hangs."""
    async with watching(ONE) as world:
        await world.all_ready(1)
        world.sources[Readyz].hang(ONE.id)

        async def mentions() -> None:
            while True:
                world.discovery.show((ONE,), mentioned=(ONE.id,))
                await asyncio.sleep(QUICK.timeout / 10)

        stream = asyncio.create_task(mentions())
        await world.audience.until(
            lambda r: "unseen" in [c.newest.code for c in one(r, ONE).checks if c.name == "http"]
        )
        stream.cancel()


async def test_a_stream_of_what_is_heard_makes_no_stream_of_looks_nor_of_reports() -> None:
    class Timed(FakeSource):
        async def look(self, target: Target, timeout: float) -> Fact | Unseen:
            begun.append(time.monotonic())
            return await super().look(target, timeout)

    begun: list[float] = []
    calm = replace(ONE, livez="/livez", timing=replace(QUICK, interval=3600.0))
    source = Timed(Livez, {ONE.id: Livez("/livez", 200, 0.001)})
    async with watching(calm, more=[source]) as world:
        await world.all_ready(1)
        told, since = len(world.audience.reports), time.monotonic()
        async with asyncio.timeout(SOON):
            while len(begun) < 5:
                world.discovery.show((calm,), mentioned=(ONE.id,))
                await asyncio.sleep(SOONEST / 100)
        assert all(later - sooner > 0.9 * SOONEST for sooner, later in pairwise(begun))
        ticks = (time.monotonic() - since) / TICK
        assert len(world.audience.reports) - told <= ticks + 2


async def test_a_first_look_that_fails_is_soon_followed_whatever_the_interval() -> None:
    """Until then the agent has no picture that it would tell Traefik, of the others either."""
    slow = replace(ONE, timing=replace(QUICK, interval=3600.0))
    async with watching(slow, TWO, seen={Readyz: Readyz("/readyz", 503, 0.001)}) as world:
        report = await world.audience.until(lambda r: r.settled)
        assert judged(report, ONE, "http") == "status"


async def test_a_start_in_the_future_of_a_clock_that_was_set_back_is_one_of_now() -> None:
    started = replace(RUNNING, started_at=time.time() + 3600)
    refused = Readyz("/readyz", None, 0.0, "refused")
    async with watching(ONE, seen={ContainerState: started, Readyz: refused}) as world:
        await world.audience.until(lambda r: one(r, ONE).phase is Phase.NOT_READY)


@pytest.mark.parametrize("set_by", [-3600.0, 3600.0], ids=["back", "forth"])
async def test_a_clock_that_is_set_makes_no_grace_longer_or_shorter(set_by: float) -> None:
    clock, passed, grace = 10_000.0, 0.0, 30.0
    starting = replace(ONE, timing=replace(QUICK, grace=grace))
    seen: dict[type[Fact], Fact | Unseen] = {
        ContainerState: replace(RUNNING, started_at=clock),
        Readyz: Readyz("/readyz", None, 0.0, "refused"),
    }
    async with watching(
        starting, seen=seen, clock=lambda: clock + passed, steady=lambda: passed
    ) as world:
        await world.audience.until(lambda r: one(r, ONE).phase is Phase.STARTING)
        clock += set_by
        report = await world.audience.until(lambda r: r.at == clock)
        assert one(report, ONE).phase is Phase.STARTING
        assert not one(report, ONE).trusted
        passed += grace
        await world.audience.until(lambda r: one(r, ONE).phase is Phase.NOT_READY)


@pytest.mark.parametrize("late", [True, False], ids=["held up", "in time"])
async def test_what_an_agent_saw_while_it_was_held_up_is_held_against_nobody(late: bool) -> None:
    class Held(FakeSource):
        async def look(self, target: Target, timeout: float) -> Fact | Unseen:
            if late:
                time.sleep(3 * BEAT)  # noqa: ASYNC251 - as where somebody else has the processor
            return await super().look(target, timeout)

    deaf = Livez("/livez", None, QUICK.timeout, "timeout")
    talking = replace(ONE, livez="/livez", timing=replace(QUICK, fall=1))
    async with watching(talking, more=[Held(Livez, {ONE.id: deaf})]) as world:
        expected = "held_up" if late else "deadlocked"
        await world.audience.until(lambda r: judged(r, ONE, "event_loop") == expected)
        seen = {judged(report, ONE, "event_loop") for report in world.audience.reports}
        assert not (late and "deadlocked" in seen)


async def test_an_agent_with_too_little_time_looks_more_rarely_until_it_has_enough() -> None:
    """It would have none for any replica else: all looks would come to their deadline."""

    class Laborious(FakeSource):
        def __init__(self, fact: Livez) -> None:
            super().__init__(Livez, {ONE.id: fact})
            self.costs = 3 * BEAT
            self.begun: list[float] = []
            self._looked = asyncio.Event()

        async def look(self, target: Target, timeout: float) -> Fact | Unseen:
            self.begun.append(time.monotonic())
            self._looked.set()
            time.sleep(self.costs)  # noqa: ASYNC251 - it is at work for as long
            return await super().look(target, timeout)

        async def until(self, holds: Callable[[float], bool]) -> None:
            """Two looks with so many seconds from the one to the other."""
            async with asyncio.timeout(SOON):
                while not any(holds(b - a) for a, b in pairwise(self.begun[-2:])):
                    self._looked.clear()
                    await self._looked.wait()

    often = replace(ONE, livez="/livez", timing=replace(QUICK, interval=2 * BEAT))
    source = Laborious(Livez("/livez", 200, 0.001))
    async with watching(often, more=[source]):
        await source.until(lambda apart: apart >= SLOWEST * often.timing.interval)
        source.costs = 0.0
        await source.until(lambda apart: apart < 2 * often.timing.interval)


async def test_an_agent_that_stood_still_looks_again_before_it_calls_anything_stale() -> None:
    clock = Clock()
    calm = replace(ONE, timing=replace(QUICK, interval=1.0))
    async with watching(calm, clock=clock) as world:
        known = await world.all_ready(1)
        clock.now += 3600
        world.discovery.show((calm,), touched=(calm.id,))  # there would be something to tell
        await world.audience.until(lambda r: r.at == clock.now)
        told = sum(each is known for each in world.audience.reports)
        assert told == 2, "an agent that is not stuck says what it knew"
        assert "stale" not in {change.code for change in world.audience.changes}


async def test_a_storm_of_changes_leaves_half_of_the_time_for_looks() -> None:
    class Slow(Audience):
        """One to whom it takes long to tell anything, as where there are a thousand replicas."""

        def __init__(self) -> None:
            super().__init__()
            self.took: list[tuple[float, float]] = []

        def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
            begun = time.monotonic()
            time.sleep(2 * BEAT)
            super().publish(report, changes)
            self.took.append((begun, time.monotonic()))

    async with watching(ONE, audience=(slow := Slow())) as world:
        while len(slow.took) < 4:
            world.discovery.show((ONE,), touched=(ONE.id,))
            await asyncio.sleep(0)
    pairs = pairwise(slow.took)
    assert all(begun - ended >= ended - before for (before, ended), (begun, _) in pairs)


async def test_a_restarted_container_must_show_anew_that_it_is_ready() -> None:
    calm = replace(ONE, timing=replace(QUICK, grace=3600.0))
    async with watching(calm) as world:
        await world.all_ready(1)
        world.see(ONE, replace(RUNNING, started_at=4e9), Readyz("/readyz", None, 0.0, "refused"))
        world.discovery.show((calm,), touched=(ONE.id,))
        report = await world.audience.until(lambda r: one(r, ONE).phase is Phase.STARTING)
        assert not one(report, ONE).ready
        world.see(ONE, Readyz("/readyz", 200, 0.001))
        await world.all_ready(1)


async def test_a_replica_with_livez_alone_is_given_its_grace_and_no_traffic_before_it_answers() -> (
    None
):
    calm = replace(ONE, livez="/livez", readyz=None, timing=replace(QUICK, grace=3600.0))
    deaf = Livez("/livez", None, 0.0, "refused")
    livez = FakeSource(Livez, {ONE.id: deaf})
    starting: dict[type[Fact], Fact | Unseen] = {ContainerState: replace(RUNNING, started_at=4e9)}
    async with watching(calm, more=[livez], seen=starting) as world:
        report = await world.audience.until(
            lambda r: judged(r, ONE, "event_loop") == "not_listening"
        )
        assert one(report, ONE).phase is Phase.STARTING, "it boots: nobody may restart it"
        assert not one(report, ONE).ready
        livez.answer(ONE.id, Livez("/livez", 200, 0.001))
        await world.all_ready(1)


async def test_a_container_that_waits_for_its_start_is_starting_and_gets_no_traffic() -> None:
    calm = replace(ONE, timing=replace(QUICK, grace=3600.0))
    async with watching(calm, TWO) as world:
        world.see(ONE, ContainerState("created"))
        report = await world.audience.until(
            lambda r: r.settled and one(r, ONE).phase is Phase.STARTING
        )
        assert "was made and not started yet" in one(report, ONE).reason
        assert not one(report, ONE).ready
        world.see(ONE, RUNNING)
        await world.all_ready(2)
        told = {change.after for change in world.audience.changes if change.target == calm}
        assert Phase.NOT_LIVE not in told


async def test_a_crash_loop_stands_from_one_run_to_the_next() -> None:
    ends = tuple(End(at=9.0 + n, exit_code=1, asked=False, ran_for=0.5) for n in range(3))
    async with watching(ONE) as world:
        await world.all_ready(1)
        world.see(ONE, Exits(11.5, ends), replace(RUNNING, started_at=11.4))
        await world.audience.until(lambda r: not one(r, ONE).live)
        heard = len(world.audience.reports)
        world.see(ONE, Exits(12.5, ends), replace(RUNNING, started_at=12.4))
        await world.audience.until(lambda _: len(world.audience.reports) > heard + 3)
        lives = [one(report, ONE).live for report in world.audience.reports[heard:]]
        assert not any(lives), "a new run alone is no recovery"


async def test_a_round_that_its_target_overtook_harms_nobody() -> None:
    """It declares an endpoint no more: http goes while it is being judged."""
    patient = replace(ONE, timing=replace(QUICK, timeout=30.0, interval=30.0))
    async with watching(patient, TWO) as world:
        world.sources[Readyz].hang(ONE.id)
        await world.audience.until(lambda r: len(r.targets) == 2 and one(r, TWO).ready)
        world.see(ONE, Readyz("/readyz", 200, 0.001))
        world.discovery.show((replace(patient, readyz=None), TWO))
        report = await world.audience.until(
            lambda r: "http" not in {check.name for check in one(r, ONE).checks}
        )
        assert one(report, TWO).ready


async def test_what_cannot_be_seen_leaves_routing_as_it_was() -> None:
    async with watching(ONE) as world:
        await world.all_ready(1)
        for source in world.sources.values():
            source.answer(ONE.id, Unseen("the socket is gone"))
        looks = world.sources[Readyz].looks
        seen = len(looks)
        await world.audience.until(lambda _: len(looks) > seen + 2 * QUICK.fall)
        assert one(world.audience.reports[-1], ONE).ready
        assert not [change for change in world.audience.changes if change.after == "failed"]


BEGAN = 1_000_000.0
"""When the agent of a test began that sets its clock."""

NO_WAY = Readyz("/readyz", None, 0.05, "unreachable")
TOO_LATE = Readyz("/readyz", None, 0.05, "unconnected")


class Clock:
    """Tells the time that it is set to."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> float:
        return self.now


def routed(target: Target) -> Target:
    return replace(target, routing={"traefik.http.routers.app.rule": "Host(`app.example`)"})


def served(report: Report) -> list[str]:
    """The servers that Traefik gets by this report."""
    http = Routing().after(report).configuration["http"]
    return [server["url"] for server in http["services"]["app"]["loadBalancer"]["servers"]]


async def looked(world: World, target: Target, times: int = 2) -> None:
    """Once so many more looks at its readiness were judged and reported."""
    looks = world.sources[Readyz].looks
    seen = looks.count(target.id)
    await world.audience.until(lambda _: looks.count(target.id) > seen + times)


async def test_an_agent_whose_first_look_comes_too_late_waits_for_the_next() -> None:
    late: dict[type[Fact], Fact | Unseen] = {Readyz: TOO_LATE}
    async with watching(routed(ONE), routed(TWO), seen=late, clock=Clock()) as world:
        await looked(world, ONE)
        assert not world.audience.reports[-1].settled, "Traefik would get no server"
        world.see(ONE, Readyz("/readyz", 200, 0.001))
        world.see(TWO, Readyz("/readyz", 200, 0.001))
        report = await world.audience.until(lambda r: r.settled)
        assert len(served(report)) == 2


@pytest.mark.parametrize("blind", [NO_WAY, Unseen("Too many open files")], ids=["way", "files"])
async def test_an_agent_that_begins_blind_takes_nobody_out(blind: Fact | Unseen) -> None:
    clock = Clock()
    async with watching(routed(ONE), routed(TWO), seen={Readyz: blind}, clock=clock) as world:
        await looked(world, ONE)
        assert not world.audience.reports[-1].settled
        clock.now += QUICK.stale_after
        report = await world.audience.until(lambda r: r.settled)
        assert len(served(report)) == 2, (
            "they ran before the agent, and nothing known speaks against them"
        )
        assert [notice.about for notice in report.notices] == ["app"], "it is loud"
        world.see(ONE, Readyz("/readyz", 503, 0.001))
        world.see(TWO, Readyz("/readyz", 503, 0.001))
        report = await world.audience.until(lambda r: not any(t.ready for t in r.targets))
        assert report.notices == (), "what is seen counts"


async def test_what_a_blind_agent_finds_newly_started_gets_no_traffic() -> None:
    clock = Clock()
    young = replace(RUNNING, started_at=BEGAN)
    fresh: dict[type[Fact], Fact | Unseen] = {Readyz: NO_WAY, ContainerState: young}
    async with watching(routed(ONE), seen=fresh, clock=clock) as world:
        await looked(world, ONE)
        clock.now += QUICK.stale_after
        report = await world.audience.until(lambda r: r.settled)
        assert served(report) == [], "it may never have passed"


async def test_what_is_restarted_under_a_blind_agent_must_pass_first() -> None:
    clock = Clock()
    async with watching(routed(ONE), seen={Readyz: NO_WAY}, clock=clock) as world:
        await looked(world, ONE)
        clock.now += QUICK.stale_after
        await world.audience.until(lambda r: r.settled and len(served(r)) == 1)
        world.see(ONE, replace(RUNNING, started_at=clock.now))
        report = await world.audience.until(lambda r: not one(r, ONE).ready)
        assert served(report) == []


async def test_a_target_that_went_is_gone_and_the_others_stay() -> None:
    async with watching(ONE, TWO) as world:
        await world.all_ready(2)
        world.discovery.show((TWO,))
        report = await world.audience.until(lambda r: len(r.targets) == 1)
        assert one(report, TWO).ready


async def test_a_drained_replica_leaves_at_once_and_comes_back_at_once() -> None:
    drains = Drains()
    async with watching(ONE, TWO, rotation=drains) as world:
        await world.all_ready(2)
        drains.add(ONE.id, Drain("ops", "", 1.0))
        await world.audience.until(lambda r: one(r, ONE).phase is Phase.DRAINED)
        drains.remove(ONE.id)
        await world.all_ready(2)


async def test_targets_of_several_discoveries_stand_side_by_side() -> None:
    other = FakeDiscovery(THREE, name="other")
    async with watching(ONE, beside=(other,)) as world:
        report = await world.audience.until(lambda r: len(r.targets) == 2)
        assert [target.target.name for target in report.targets] == ["app-1", "app-3"]


async def test_it_is_not_settled_before_every_discovery_really_looked() -> None:
    blind = FakeDiscovery(name="blind")
    blind.show((), complete=False)
    first = await blind.sightings().__anext__()
    assert first.complete, "the fake's first sighting is drained, so that the blind one is next"
    async with watching(ONE, beside=(blind,)) as world:
        report = await world.all_ready(1)
        assert not report.settled
        blind.show(())
        await world.audience.until(lambda r: r.settled)
        blind.show((), complete=False)
        assert (await world.audience.until(lambda _: True)).settled, "once settled, always settled"


async def test_notices_of_discoveries_are_published_until_they_are_gone() -> None:
    notice = Notice("app-1", "cannot be read", "write a duration", "healthagent.interval", "soon")
    async with watching(ONE) as world:
        world.discovery.show((ONE,), notices=(notice,))
        await world.audience.until(lambda r: r.notices == (notice,))
        world.discovery.show((ONE,))
        await world.audience.until(lambda r: r.notices == ())


async def test_a_fault_of_the_agents_own_is_unknown_and_harms_nobody() -> None:
    def broken(_: Observation) -> Verdict:
        raise ZeroDivisionError("a bug")

    bad = Check(
        "bad", frozenset({Group.LIVENESS}), Witness.REPLICA, (Fleet,), lambda _: True, broken
    )
    async with watching(ONE, checks=(*CHECKS, bad)) as world:
        report = await world.all_ready(1)
        check = next(check for check in one(report, ONE).checks if check.name == "bad")
        assert (check.status, check.code) == (Status.UNKNOWN, "fault")


async def test_the_budget_counts_every_replica_and_the_agents_own_connection() -> None:
    ref = DatabaseRef("postgres", 5432, "app")
    ours = [replace(t, database=ref, pools=Pools(prisma=5, dbos=3)) for t in (ONE, TWO)]
    backends = (
        Backend(1, "healthagent", "app", "healthagent", "10.0.0.99", 1),
        Backend(2, "app", "app", "", "10.0.0.1", 2),
        Backend(3, "app", "app", "", "10.0.0.1", 3),
        Backend(4, "other", "app", "", "10.0.0.50", 4),
    )
    database = Database(ref, 0.001, 1, "healthagent", ServerLimits(100, 3), backends)
    session = FakeSource(DatabaseSession, {t.id: DatabaseSession(database) for t in ours})
    ports = FakeSource(ClientPorts)
    check = Check(
        "sums", frozenset({Group.READINESS}), Witness.AGENT, (DatabaseSession, ClientPorts),
        lambda _: True, lambda _: ok(),
    )  # fmt: skip
    async with watching(*ours, more=(session, ports), checks=(check,)) as world:
        report = await world.audience.until(lambda r: len(r.budgets) == 1)
        (budget,) = report.budgets
        assert (budget.allowed, budget.held, budget.agent, budget.others) == (97, 4, 1, 1)
        assert {r.name: r.held for r in budget.replicas} == {"app-1": 2, "app-2": 0}
        assert budget.planned == 2 * 8 + 1 + 1


async def test_the_budget_is_of_the_newest_look_and_gone_when_that_finds_the_server_down() -> None:
    ref = DatabaseRef("postgres", 5432, "app")
    often = replace(ONE, database=ref)
    seldom = replace(TWO, database=ref, timing=replace(QUICK, interval=3600.0))

    def told(*pids: int) -> DatabaseSession:
        backends = tuple(Backend(pid, "app", "app", "", "10.0.0.1", pid) for pid in pids)
        return DatabaseSession(
            Database(ref, 0.001, 1, "healthagent", ServerLimits(100, 3), backends)
        )

    session = FakeSource(DatabaseSession, {target.id: told(2) for target in (often, seldom)})
    check = Check(
        "sums", frozenset({Group.READINESS}), Witness.AGENT, (DatabaseSession,),
        lambda _: True, lambda _: ok(),
    )  # fmt: skip
    async with watching(often, seldom, more=(session,), checks=(check,)) as world:
        await world.audience.until(lambda r: len(r.targets) == 2 and r.settled)
        session.answer(often.id, told(2, 3, 4))
        await world.audience.until(lambda r: [each.held for each in r.budgets] == [3])
        session.answer(often.id, DatabaseSession(DatabaseDown(ref, "refused", "", 0.001)))
        await world.audience.until(lambda r: r.budgets == ())
