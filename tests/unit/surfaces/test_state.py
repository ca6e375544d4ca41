"""What the HTTP surface keeps between two reports, also where the agent itself is at fault."""

from __future__ import annotations

import logging
import math

import pytest

from healthagent.core.report import Report
from healthagent.core.target import Traffic
from healthagent.surfaces.http.state import State
from tests.unit.surfaces.world import World


@pytest.fixture
def state() -> State:
    return State(lambda: 0.0, "life")


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
