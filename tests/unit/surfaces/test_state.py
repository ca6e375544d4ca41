"""What the HTTP surface keeps between two reports, also where the agent itself is at fault."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import pytest

from healthagent.core.report import Report
from healthagent.core.target import Traffic
from healthagent.surfaces.http.state import State
from tests.unit.surfaces.world import World


@pytest.fixture
def state() -> State:
    return State(lambda: 0.0, "life")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_router_that_asks_no_more_is_a_notice_until_it_asks_again(world: World) -> None:
    clock = Clock()
    state = State(clock, "life")

    def second(number: float, *, polled: bool) -> tuple[str, ...]:
        clock.now = number
        if polled:
            state.pollers.note("traefik", state.traefik.body, number)
        state.publish(replace(world.report(world.replica("app-1")), at=number), ())
        return tuple(map(str, state.notices))

    assert {second(n, polled=True) for n in range(70)} == {()}
    told = [second(n, polled=False) for n in range(70, 100)]
    assert told[:10] == [()] * 10, "Traefik may be about to be started again"
    assert "nobody has polled it since 00:01:09 UTC, though Traefik did" in told[-1][0]
    assert len(set(told)) == 2, "it is one notice, however long it lasts"
    second(101, polled=True)
    assert second(102, polled=True) == ()


def test_a_router_is_not_missed_because_the_agent_itself_stood_still(world: World) -> None:
    clock = Clock()
    state = State(clock, "life")
    for n in (*range(70), *range(200, 203)):
        clock.now = n
        if n < 70:
            state.pollers.note("traefik", state.traefik.body, n)
        state.publish(world.report(world.replica("app-1")), ())
    assert state.notices == ()


def unrenderable(world: World) -> Report:
    """One that no discovery makes: its deadline is no number."""
    odd = world.replica("odd-2").but(traffic=Traffic(response=math.nan))
    return world.report(world.replica("app-1"), odd)


def test_a_fault_in_rendering_leaves_the_configuration_that_traefik_has(
    state: State, world: World
) -> None:
    state.publish(world.report(world.replica("app-1")), ())
    before = state.traefik.body
    state.publish(unrenderable(world), ())
    assert (state.routes, state.traefik.body) == (False, before), "half a configuration is none"


def test_a_fault_in_rendering_hides_no_report_and_ends_with_its_cause(
    state: State, world: World
) -> None:
    broken, well = unrenderable(world), world.report(world.replica("app-1"))
    state.publish(broken, ())
    assert state.report is broken, "the replicas are judged all the same"
    assert "rendering failed: ValueError" in str(state.notices[-1])
    state.publish(well, ())
    assert (state.routes, state.notices) == (True, ())


def test_a_fault_in_rendering_is_logged_once(
    state: State, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        state.publish(unrenderable(world), ())
    assert len(caplog.records) == 1
    state.publish(world.report(world.replica("app-1")), ())
    assert caplog.records[-1].getMessage().startswith("no longer: ")
