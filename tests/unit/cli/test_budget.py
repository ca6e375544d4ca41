"""``healthagent budget``"""

from __future__ import annotations

import pytest

from healthagent.core.budget import Budget, Limit, Part, ReplicaBudget
from tests.unit.cli.conftest import Run, RunningAgent, replica, report, server


@pytest.fixture
def two(agent: RunningAgent) -> RunningAgent:
    """Two replicas of 8 on a server that allows 37, the agent's own and two of others beside."""
    budget = server(("shop-app-1", "app", 8, 3), ("shop-app-2", "app", 8, None))
    agent.publish(report(replica(1), replica(2), budgets=(budget,)))
    return agent


def lines(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_shows_what_is_planned_held_and_allowed_of_each_server(two: RunningAgent, run: Run) -> None:
    ran = run("budget")
    sums = "db:5432  19 planned, 8 more in a rollout, 6 held, 37 allowed: it fits"
    assert sums in ran.out
    assert ["shop-app-1", "app", "8", "3"] in lines(ran.out)
    assert ["shop-app-2", "app", "8", "?"] in lines(ran.out), "held is unknown, not 0"
    assert ["the", "agent's", "own", "1", "1"] in lines(ran.out)
    assert ["others", "2", "2"] in lines(ran.out)
    assert "app: 2 replicas, at most 3 fit" in ran.out
    assert ran.code == 0


def test_aligns_numbers_to_the_right(two: RunningAgent, run: Run) -> None:
    head, *rows = run("budget").out.splitlines()[1:6]
    assert {len(row) for row in rows} == {len(head)}


def test_with_more_replicas_says_whether_they_would_fit(two: RunningAgent, run: Run) -> None:
    assert run("budget", "--replicas", "app=3").code == 0
    ran = run("budget", "--replicas", "app=5")
    assert ran.code == 1
    assert "43 planned, 8 more in a rollout, 6 held, 37 allowed: 6 too many" in ran.out


def test_what_fits_but_for_a_rollout_does_not_fit(two: RunningAgent, run: Run) -> None:
    ran = run("budget", "--replicas", "app=4")
    assert (ran.code, "35 planned" in ran.out) == (1, True)
    assert "37 allowed: a rollout needs 6 more" in ran.out


def test_shows_each_connection_limit_and_holds_the_plan_to_it(
    agent: RunningAgent, run: Run
) -> None:
    share = ReplicaBudget("shop-app-1", "app", 8, 3, role="app", database="shop")
    limit = Limit("role", "app", allowed=15, held=3, agent=0, others=0)
    whole = Budget("db:5432", 97, 4, 1, 0, (share,), (limit,))
    agent.publish(report(replica(1), budgets=(whole,)))
    ran = run("budget")
    assert (
        "role app  8 planned, 8 more in a rollout, 3 held, 15 allowed: a rollout needs 1" in ran.out
    )
    assert (ran.code, "at most 0 fit" in ran.out) == (1, True)


def test_shows_roles_and_databases_without_a_limit_and_other_names_of_the_server(
    agent: RunningAgent, run: Run
) -> None:
    share = ReplicaBudget("shop-app-1", "app", 8, 3, role="app", database="shop")
    parts = (Part("role", "app", 3, 0, 0), Part("database", "shop", 4, 1, 0))
    whole = Budget("db:5432", 97, 4, 1, 0, (share,), parts, also=("postgres:5432",))
    agent.publish(report(replica(1), budgets=(whole,)))
    ran = run("budget")
    assert "db:5432 (postgres:5432)  9 planned" in ran.out
    assert "role app  8 planned, 8 more in a rollout, 3 held, no limit of its own" in ran.out
    assert "database shop  9 planned, 8 more in a rollout, 4 held, no limit of its own" in ran.out
    assert run("budget", "--json", "--replicas", "app=2").json["servers"][0]["databases"] == [
        {
            "kind": "database", "name": "shop", "declared": 16, "planned": 17, "surge": 8,
            "held": 4, "allowed": None, "agent": 1, "others": 0, "fits": True,
        }
    ]  # fmt: skip


def test_prints_json_of_the_servers_as_they_are_or_would_be(two: RunningAgent, run: Run) -> None:
    assert run("budget", "--json").json["servers"][0]["planned"] == 19
    asked = run("budget", "--json", "--replicas", "app=5").json
    assert (asked["fits"], asked["servers"][0]["services"][0]["replicas"]) == (False, 5)


def test_of_an_unknown_service_names_the_near_ones(two: RunningAgent, run: Run) -> None:
    ran = run("budget", "--replicas", "aap=3")
    assert (ran.code, "did you mean app?" in ran.err) == (2, True)


@pytest.mark.parametrize("text", ["app", "app=", "app=many", "app=0", "app=-1", "app=²", "=3"])
def test_of_a_scale_that_cannot_be_read_is_a_usage_error(
    two: RunningAgent, run: Run, text: str
) -> None:
    ran = run("budget", "--replicas", text)
    assert (ran.code, "write SERVICE=N" in ran.err) == (2, True)


def test_of_a_service_that_declares_no_pool_says_so(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1), budgets=(server(("shop-app-1", "app", None, 4)),)))
    assert "app declares no pool" in run("budget").out
    ran = run("budget", "--replicas", "app=3")
    assert (ran.code, "healthagent.pool.prisma" in ran.err) == (2, True)


def test_of_no_database_says_so(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1)))
    assert "No replica's database has been seen yet." in run("budget").out


def test_on_a_public_listener_names_the_way(two: RunningAgent, run: Run) -> None:
    ran = run("budget", "--agent", two.public_url)
    assert (ran.code, "ask the agent's first listener" in ran.err) == (2, True)
