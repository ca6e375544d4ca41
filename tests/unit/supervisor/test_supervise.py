"""The loop: what is decided is done once, said once, and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from healthagent.core.action import Outcome, Plan, Step
from healthagent.core.report import Report
from healthagent.core.target import Target
from healthagent.core.verdict import Evidence
from healthagent.supervisor.guards import Limits
from healthagent.supervisor.notices import Notices
from healthagent.supervisor.supervise import BY, Supervisor, remembered
from tests.unit.supervisor.scenes import frozen, report, well
from tests.unit.surfaces.world import NOW

CALM = (well("app-1"), well("app-3"))
LATER = 10.0


def step(outcome: Outcome, at: float = NOW, act: str = "a1", target: str = "app-2") -> Step:
    return Step(at, act, "restart", BY, "app", target, outcome, "it is dead")


@dataclass
class FakeOperations:
    """Restarts that end when the test says so, as it says."""

    restarts: list[str] = field(default_factory=list)
    unless: Callable[[], str] = str
    ends: asyncio.Queue[Outcome] = field(default_factory=asyncio.Queue)

    async def restart(
        self, target: Target, by: str, why: str, unless: Callable[[], str] = str
    ) -> AsyncIterator[Step]:
        self.restarts.append(f"{target.name} by {by}: {why}")
        self.unless = unless
        yield step(Outcome.BEGUN, target=target.name)
        yield step(await self.ends.get(), target=target.name)

    def drain(self, target: Target, by: str, why: str) -> AsyncIterator[Step]:
        raise NotImplementedError

    def undrain(self, target: Target, by: str) -> AsyncIterator[Step]:
        raise NotImplementedError

    def roll(self, service: str, by: str, plan: Plan) -> AsyncIterator[Step]:
        raise NotImplementedError


@dataclass
class FakeRecorder:
    steps: list[Step] = field(default_factory=list)

    def record(self, step: Step) -> None:
        self.steps.append(step)

    async def preserve(self, target: Target, act: str) -> Evidence:
        return {}


@dataclass
class World:
    supervisor: Supervisor
    operations: FakeOperations
    recorder: FakeRecorder
    notices: Notices
    busy: set[str]
    now: float = NOW

    async def shows(self, *reports: Report) -> None:
        """Reports a while after one another, each of them decided on."""
        for seen in reports:
            self.supervisor.publish(replace(seen, at=self.now), ())
            self.now += LATER
            for _ in range(5):
                await asyncio.sleep(0)

    def said(self) -> list[tuple[str, object]]:
        return [(str(each.outcome), each.evidence["code"]) for each in self.recorder.steps]


@asynccontextmanager
async def supervised(
    limits: Limits | None = None,
    earlier: tuple[Step, ...] = (),
    died: Mapping[str, float] | None = None,
) -> AsyncIterator[World]:
    operations, recorder, notices, busy = FakeOperations(), FakeRecorder(), Notices(), set[str]()
    supervisor = Supervisor(
        operations,
        recorder,
        notices,
        limits or Limits(),
        busy=lambda: busy,
        earlier=earlier,
        died=died,
        jitter=lambda: 0.0,
        clock=lambda: world.now,
    )
    world = World(supervisor, operations, recorder, notices, busy)
    running = asyncio.create_task(supervisor.run())
    try:
        yield world
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert running.cancelled(), "the loop failed"


DEAD = report(*CALM, frozen("app-2"))
WELL = report(*CALM, well("app-2"))


async def test_a_dead_replica_is_restarted_once() -> None:
    async with supervised() as world:
        await world.shows(DEAD, DEAD, DEAD, DEAD)
        (told,) = world.operations.restarts
        assert told.startswith("app-2 by supervisor: process stopped: pid 100 is stopped")
        assert world.recorder.steps == [], "the steps of an act are for who acts to record"


async def test_while_one_is_restarted_no_other_of_its_service_is() -> None:
    async with supervised() as world:
        await world.shows(DEAD, DEAD)
        two = report(well("app-1"), frozen("app-2"), frozen("app-3"))
        await world.shows(two, two, two)
        assert len(world.operations.restarts) == 1
        world.operations.ends.put_nowait(Outcome.DONE)
        await world.shows(report(well("app-1"), well("app-2"), frozen("app-3")))
        await world.shows(report(well("app-1"), well("app-2"), frozen("app-3")))
        assert [told[:5] for told in world.operations.restarts] == ["app-2", "app-3"]


async def test_nothing_is_done_while_somebody_else_acts() -> None:
    async with supervised() as world:
        world.busy.add("app")
        await world.shows(DEAD, DEAD, DEAD)
        assert world.operations.restarts == []
        world.busy.clear()
        await world.shows(DEAD)
        assert len(world.operations.restarts) == 1


async def test_what_comes_back_before_the_stop_is_spared_and_does_not_count() -> None:
    async with supervised(Limits(most=1)) as world:
        await world.shows(DEAD, DEAD)
        assert world.operations.unless() == ""
        await world.shows(WELL)
        assert world.operations.unless() == "it lives again"
        world.operations.ends.put_nowait(Outcome.REFUSED)
        await world.shows(WELL, DEAD, DEAD)
        assert len(world.operations.restarts) == 2


async def test_the_cap_is_said_loudly_and_the_notice_goes_with_the_failure() -> None:
    async with supervised(Limits(most=1)) as world:
        sightings = world.notices.sightings()
        await anext(sightings)
        await world.shows(DEAD, DEAD)
        world.operations.ends.put_nowait(Outcome.DONE)
        await world.shows(WELL, DEAD, DEAD, DEAD)
        assert len(world.operations.restarts) == 1
        assert world.said() == [("refused", "cap")]
        (notice,) = (await anext(sightings)).notices
        assert "app-2: is dead after a restart was begun once within an hour" in str(notice)
        await world.shows(WELL)
        assert (await anext(sightings)).notices == ()


async def test_without_the_label_it_says_once_what_it_would_do() -> None:
    dead = report(*CALM, frozen("app-2", supervise="observe"))
    async with supervised() as world:
        await world.shows(dead, dead, dead)
        assert world.said() == [("observed", "observe")]
        assert "would restart it, were it labelled" in world.recorder.steps[0].text
        await world.shows(WELL, dead, dead, dead)
        assert len(world.said()) == 2, "once for each time that it dies"
        assert world.operations.restarts == []


async def test_what_would_be_refused_anyway_is_not_told_of_one_without_the_label() -> None:
    dead = report(*(frozen(f"app-{n}", supervise="observe") for n in (1, 2, 3)))
    async with supervised() as world:
        await world.shows(dead, dead, dead)
        assert world.said() == []


async def test_a_refusal_is_said_once_with_its_reason() -> None:
    dead = report(*(frozen(f"app-{n}") for n in (1, 2, 3)))
    async with supervised() as world:
        await world.shows(dead, dead, dead)
        assert world.said() == [("refused", "service")] * 3
        assert [each.target for each in world.recorder.steps] == ["app-1", "app-2", "app-3"]


class TestARestartOfTheAgent:
    async def test_is_no_way_round_the_cap(self) -> None:
        earlier = (step(Outcome.BEGUN, NOW - 60.0), step(Outcome.DONE, NOW - 50.0))
        async with supervised(Limits(most=1), earlier) as world:
            await world.shows(DEAD, DEAD)
            assert world.operations.restarts == []
            assert world.said() == [("refused", "cap")]

    async def test_lets_what_it_found_one_after_another_not_seem_to_have_fallen_at_once(
        self,
    ) -> None:
        long_dead, sick = frozen("app-1", supervise="observe"), frozen("app-2")
        both = report(*(one.but(quorum=2) for one in (long_dead, sick, well("app-3"))))
        async with supervised(died={long_dead.target.id: NOW - 600.0}) as world:
            await world.shows(both, both)
            assert [told[:5] for told in world.operations.restarts] == ["app-2"]

    def test_what_was_refused_in_the_end_was_no_restart(self) -> None:
        steps = (step(Outcome.BEGUN), step(Outcome.REFUSED), step(Outcome.BEGUN, act="a2"))
        assert len(remembered(steps, lambda: 0.5).restarts["app-2"]) == 1
