"""``healthagent check NAME [TARGET]``"""

from __future__ import annotations

import pytest

from healthagent.core.verdict import failed
from tests.unit.cli.conftest import Run, RunningAgent, replica, report

REFUSED = failed("status", "GET /readyz answered 500: pool closed", status=500)


@pytest.fixture
def sick(agent: RunningAgent) -> RunningAgent:
    agent.publish(report(replica(1), replica(2), seen={"shop-app-2": {"http": REFUSED}}))
    return agent


def test_shows_one_check_of_one_replica_with_its_reason(sick: RunningAgent, run: Run) -> None:
    ran = run("check", "http", "shop-app-2")
    assert (ran.code, ran.out) == (
        1,
        "shop-app-2  failed  GET /readyz answered 500: pool closed\n",
    )


def test_ends_0_where_the_check_passes(sick: RunningAgent, run: Run) -> None:
    assert run("check", "http", "shop-app-1").code == 0


def test_shows_all_replicas_where_none_is_named(sick: RunningAgent, run: Run) -> None:
    ran = run("check", "http")
    assert [line.split()[:2] for line in ran.out.splitlines()] == [
        ["shop-app-1", "ok"],
        ["shop-app-2", "failed"],
    ]
    assert ran.code == 1


def test_prints_json(sick: RunningAgent, run: Run) -> None:
    (found,) = run("check", "http", "shop-app-2", "--json").json
    assert (found["target"], found["code"], found["evidence"]) == (
        "shop-app-2",
        "status",
        {"status": 500},
    )


def test_of_an_unknown_name_tells_the_near_ones_and_ends_2(sick: RunningAgent, run: Run) -> None:
    ran = run("check", "htp", "shop-app-1")
    assert (ran.code, "did you mean http" in ran.err) == (2, True)


def test_that_was_not_declared_is_absent(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1, database=None)))
    ran = run("check", "postgres", "shop-app-1")
    assert (ran.code, "shop-app-1 has no check 'postgres'" in ran.err) == (2, True)
