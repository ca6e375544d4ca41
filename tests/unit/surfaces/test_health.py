"""The document of ``/health``."""

from __future__ import annotations

import pytest

from healthagent.core.notice import Notice
from healthagent.core.observation import ContainerState
from healthagent.core.options import OPTIONS
from healthagent.core.target import Pools
from healthagent.surfaces.http import budget, health
from tests.unit.surfaces.world import World

NOTICE = Notice("app-1", "cannot be read", "write a count", key="healthagent.rise", value="x")


def test_all_well_is_pass(world: World) -> None:
    document = health.document(world.report(world.replica("app-1")), (), None)
    assert (document["status"], document["output"]) == ("pass", "")
    assert document["time"] == "2026-01-02T03:04:05.678Z"


def test_a_replica_that_is_out_is_a_warning_while_the_quorum_stands(world: World) -> None:
    document = health.document(
        world.report(world.frozen("app-1"), world.replica("app-2")), (), None
    )
    assert document["status"] == "warn"
    assert document["output"] == "app-1 is not live"


def test_a_service_below_its_quorum_fails(world: World) -> None:
    document = health.document(world.report(world.frozen("app-1")), (), None)
    assert document["status"] == "fail"
    assert document["output"] == "app: 0 of 1 ready, quorum 1"


def test_it_says_what_a_service_below_its_quorum_suffers_from_together(world: World) -> None:
    document = health.document(world.report(world.without_database("app-1")), (), None)
    cause = "postgres refused: nothing listens at postgres:5432; is Postgres started?"
    assert document["output"] == f"app: 0 of 1 ready, quorum 1 ({cause})"
    (failure,) = document["services"][0]["shared_failures"]
    assert (failure["check"], failure["code"], failure["text"]) == ("postgres", "refused", cause)


def test_a_notice_alone_is_a_warning(world: World) -> None:
    document = health.document(world.report(world.replica("app-1")), (NOTICE,), None)
    assert document["status"] == "warn"
    assert document["notices"][0]["text"] == (
        "app-1: healthagent.rise='x' cannot be read; write a count"
    )


def test_an_agent_that_just_started_warns_and_never_fails(world: World) -> None:
    document = health.document(world.report(world.frozen("app-1"), settled=False), (), None)
    assert (document["status"], document["settled"]) == ("warn", False)


def test_an_agent_that_is_stuck_fails(world: World) -> None:
    document = health.document(world.report(world.replica("app-1")), (), 12.3)
    assert document["status"] == "fail"
    assert document["output"] == "the agent is stuck: its last report is 12 s old"


def test_checks_stand_in_the_drafts_form(world: World) -> None:
    report = world.report(world.refusing("app-1"), world.replica("app-2"))
    checks = health.document(report, (), None)["checks"]
    assert checks["app-1:http"] == [
        {
            "componentId": report.targets[0].target.id,
            "componentType": "component",
            "status": "fail",
            "time": "2026-01-02T03:04:05.678Z",
            "output": "GET /readyz answered 503: warming up",
        }
    ]
    passed = checks["app-2:event_loop"][0]
    assert passed["status"] == "pass"
    assert "output" not in passed, "the draft omits the output of a check that passes"
    assert (passed["observedValue"], passed["observedUnit"]) == (1.2, "ms")


def test_a_target_says_where_each_of_its_settings_came_from(world: World) -> None:
    target = health.document(world.report(world.replica("app-1")), (), None)["targets"][0]
    assert target["settings"]["port"] == {"value": 3000, "origin": "EXPOSE"}
    assert target["settings"]["runtime"] == {"value": "bun", "origin": "label"}
    assert target["settings"]["database"]["value"] == "postgres:5432/shop"
    declared = {option.key for option in OPTIONS} - {"enable"}
    assert target["settings"].keys() == declared | {"address"}, "the value of every option is told"


def test_a_target_says_where_traefik_reaches_it_if_not_where_the_agent_does(world: World) -> None:
    apart = world.replica("app-1").but(routed_at="10.9.0.1")
    target = health.document(world.report(apart), (), None)["targets"][0]
    assert target["settings"]["server"]["value"] == "10.9.0.1"


def test_a_target_names_the_check_to_blame(world: World) -> None:
    report = world.report(world.frozen("app-1"), world.replica("app-2"))
    target = health.document(report, (), None)["targets"][0]
    assert (target["phase"], target["live"], target["ready"]) == ("not live", False, False)
    assert (target["check"], target["code"]) == ("process", "stopped")
    assert target["reason"].startswith("process stopped: pid 100 is stopped")


@pytest.mark.parametrize(
    ("docker", "sentence"),
    [
        ("healthy", "Docker calls it healthy, and it is not live"),
        ("unhealthy", ""),
        (None, ""),
    ],
)
def test_where_docker_disagrees_is_said(world: World, docker: str | None, sentence: str) -> None:
    frozen = world.frozen("app-1").seen(ContainerState("running", health=docker))
    target = health.document(world.report(frozen), (), None)["targets"][0]
    assert target["disagreement"] == sentence


def test_the_budget_counts_per_replica_service_and_server(world: World) -> None:
    report = world.report(world.replica("app-1"), world.replica("app-2").but(pools=Pools()))
    document = budget.document(report.budgets)
    server = document["servers"][0]
    assert document["fits"] is True
    assert (server["server"], server["allowed"], server["held"]) == ("postgres:5432", 37, 5)
    assert (server["declared"], server["planned"], server["surge"]) == (8, 8 + 2 + 1, 8)
    assert server["undeclared"] == ["app-2"]
    assert server["services"] == [
        {"name": "app", "replicas": 2, "declared": 8, "held": 4, "largest": 3}
    ]
    assert server["limits"] == []
    role, agent = server["roles"]
    assert (role["name"], role["declared"], role["held"], role["allowed"]) == ("app", 8, 4, None)
    assert (agent["name"], agent["declared"], agent["held"]) == ("healthagent", 0, 1)
    (database,) = server["databases"]
    assert (database["name"], database["declared"], database["held"]) == ("shop", 8, 5)
    first = server["replicas"][0]
    assert (first["name"], first["declared"], first["held"], first["surge"]) == ("app-1", 8, 2, 1)
