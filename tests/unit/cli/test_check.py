"""``healthagent check NAME [TARGET]``"""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from healthagent.core.verdict import failed
from tests.unit.cli.conftest import NOW, Run, RunningAgent, replica, report

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


def test_waits_for_a_look_that_comes_after_the_question(agent: RunningAgent, run: Run) -> None:
    """The agent's last report is half a second younger than its last look."""
    before = report(replica(1), at=NOW)
    agent.publish(replace(before, at=NOW + 0.5))
    sick = report(replica(1), seen={"shop-app-1": {"http": REFUSED}}, at=NOW + 1)
    looking = threading.Timer(0.3, agent.publish, [sick])
    looking.start()
    ran = run("check", "http", "shop-app-1")
    looking.join()
    assert ran.out.startswith("shop-app-1  failed  GET /readyz answered 500")


def test_says_so_where_the_agent_does_not_look_again(
    agent: RunningAgent, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("healthagent.cli.check.LATE", -1.5)
    agent.publish(replace(report(replica(1), at=NOW), at=NOW + 0.5))
    ran = run("check", "http", "shop-app-1")
    assert (ran.code, ran.out.split()[1]) == (0, "ok")
    assert "did not look again" in ran.err


def test_tells_of_a_last_look_that_is_not_believed_yet(agent: RunningAgent, run: Run) -> None:
    seen = report(replica(1))
    (service,) = seen.services
    (target,) = service.targets
    checks = tuple(
        check._replace(timeline=check.timeline._replace(latest=REFUSED)) for check in target.checks
    )
    service = replace(service, targets=(replace(target, checks=checks),))
    agent.publish(replace(seen, services=(service,)))
    first, second = run("check", "http", "shop-app-1").out.splitlines()
    assert first.startswith("shop-app-1  ok")
    assert second == "last look  failed  GET /readyz answered 500: pool closed"


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
