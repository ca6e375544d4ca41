"""What is to be done, in which order, and what speaks against it."""

from __future__ import annotations

import pytest

from healthagent.core.action import Plan
from healthagent.core.report import ServiceReport
from healthagent.core.rotation import Drain
from healthagent.core.target import Pools
from healthagent.supervisor import plan as planning
from healthagent.supervisor.ports import Container, Image, Successor
from tests.unit.supervisor.scenes import drained, frozen, report, well
from tests.unit.surfaces.world import NOW, Replica

BUN = Container("a" * 64, "app-1", "shop:bun", "sha256:bun", healthcheck=("CMD", "/healthprobe"))


RUNTIME = "healthagent.runtime"


def words(command: str) -> tuple[str, ...]:
    """``|`` before the line that a shell is given."""
    *given, line = command.partition("|")
    return (*given[0].split(), line) if line else tuple(command.split())


def service(*replicas: Replica) -> ServiceReport:
    return report(*replicas).services[0]


def against(
    seen: ServiceReport,
    asked: Plan,
    *successors: Successor,
    image: Image | None = None,
    container: Container = BUN,
) -> list[str]:
    containers = {each.target.id: container for each in seen.targets}
    return list(planning.objections(seen, containers, image, (), asked, successors))


def test_those_that_do_not_serve_come_first() -> None:
    seen = service(well("app-1"), frozen("app-10"), well("app-2"))
    assert [r.target.name for r in planning.order(seen)] == ["app-10", "app-1", "app-2"]


def test_one_that_does_not_serve_can_always_be_spared() -> None:
    seen = service(well("app-1").but(quorum=2), frozen("app-2").but(quorum=2))
    assert planning.spared(seen, seen.targets[1].target) == ""
    assert "0 of 2" in planning.spared(seen, seen.targets[0].target)


OPS, ROLL = Drain("ops", "", NOW, lasting=True), Drain("ops", "roll", NOW)


@pytest.mark.parametrize(
    ("who", "drain", "quorum", "spared"),
    [
        ("app-1", ROLL, 2, False),  # it would serve but for the act
        ("app-1", OPS, 2, True),
        ("app-2", ROLL, 1, True),  # the act is done with it, which the report does not tell yet
        ("app-2", OPS, 1, False),
    ],
)
def test_one_that_an_act_keeps_out_counts_as_serving_and_one_that_a_person_does_not(
    who: str, drain: Drain, quorum: int, spared: bool
) -> None:
    both = report(*(well(name).but(quorum=quorum) for name in ("app-1", "app-2")))
    (seen,) = drained(both, who, drain).services
    why = planning.spared(seen, seen.targets[0].target)
    assert (why == "") is spared, why or "a drain that is not lasting counts, any other does not"


def test_a_service_at_its_quorum_is_not_rolled_without_a_surge() -> None:
    seen = service(*(well(f"app-{n}").but(quorum=3) for n in (1, 2, 3)))
    assert "its quorum" in " ".join(against(seen, Plan()))
    assert against(seen, Plan(surge=True)) == []


def test_one_that_somebody_keeps_out_does_not_stand_in_for_another() -> None:
    three = [well(f"app-{n}").but(quorum=2) for n in (1, 2, 3)]
    (seen,) = drained(report(*three), "app-2", Drain("ops", "a look", NOW, lasting=True)).services
    (why,) = against(seen, Plan())
    assert why.startswith("app has 2 of the 2 replicas that its quorum asks for without app-2, ")
    assert "drained by ops" in why
    assert "so none can be spared; undrain, add --surge" in why
    assert against(seen, Plan(surge=True)) == []
    (alone,) = drained(report(well("app-1")), "app-1", Drain("o", "", NOW, lasting=True)).services
    assert against(alone, Plan()) == [], "who does not serve may always go"
    assert planning.fewest(alone, Plan()) == 0


@pytest.mark.parametrize(
    ("others", "kept_out", "surge", "fewest"),
    [
        ((well("app-2"), well("app-3")), "", False, 2),
        ((well("app-2"), well("app-3")), "", True, 3),
        ((well("app-2"), frozen("app-3")), "", False, 2),  # it comes first, and must be well
        ((frozen("app-2"), frozen("app-3")), "", False, 1),
        ((well("app-2"), well("app-3")), "app-3", False, 1),
    ],
)
def test_the_fewest_that_are_ready_meanwhile_are_told(
    others: tuple[Replica, ...], kept_out: str, surge: bool, fewest: int
) -> None:
    seen = report(well("app-1"), *others)
    if kept_out:
        seen = drained(seen, kept_out, Drain("ops", "", NOW, lasting=True))
    assert planning.fewest(seen.services[0], Plan(surge=surge)) == fewest


def test_one_that_is_not_whole_may_be_rolled_since_what_is_broken_comes_first() -> None:
    seen = service(*(well(f"app-{n}").but(quorum=2) for n in (1, 2)), frozen("app-3"))
    assert against(seen, Plan()) == []


@pytest.mark.parametrize(
    ("container", "why"),
    [
        (Container("a" * 64, "app-1", "i", "i", published=(8080,)), "cannot have port 8080"),
        (
            Container("a" * 64, "app-1", "i", "i", variables=frozenset({"DBOS__VMID"})),
            "workflows of another",
        ),
    ],
)
def test_one_more_is_refused_where_it_would_take_what_is_anothers(
    container: Container, why: str
) -> None:
    seen = service(well("app-1"), well("app-2"))
    assert why in against(seen, Plan(surge=True), container=container)[0]
    assert against(seen, Plan(), container=container) == []


def test_one_more_is_refused_where_the_budget_has_no_room_or_a_label_says_so() -> None:
    """The server allows 37 connections."""
    few = report(*(well(f"app-{n}") for n in (1, 2, 3)))
    many = report(*(well(f"app-{n}").but(pools=Pools(8, 3)) for n in (1, 2, 3)))
    assert list(planning.no_surge(few.services[0], (), few.budgets)) == []
    assert "could pass what the server allows, 37 connections, by" in next(
        planning.no_surge(many.services[0], (), many.budgets)
    )
    none = service(well("app-1").but(surge=0))
    assert "healthagent.surge" in next(planning.no_surge(none, (), ()))


def test_a_local_process_cannot_be_rolled() -> None:
    seen = service(well("app-1").but(id="static:app-1"), well("app-2"))
    assert "app-1 is no container" in next(
        planning.objections(seen, {seen.targets[1].target.id: BUN}, None, (), Plan())
    )


@pytest.mark.parametrize(
    ("command", "labels", "remedy"),
    [
        ("node server.ts", {RUNTIME: "bun"}, f"{RUNTIME} says bun: they would get no traffic; add"),
        ("docker-entrypoint.sh node dist/main.js", {}, f"--label {RUNTIME}=node, or"),
        ("/bin/sh -c|exec node server.js", {}, f"--label {RUNTIME}=node, or"),
        ("bun server.ts", {RUNTIME: "node"}, f"--label {RUNTIME}=bun, or"),
    ],
)
def test_a_successor_that_would_be_judged_as_what_it_is_not_is_refused(
    command: str, labels: dict[str, str], remedy: str
) -> None:
    seen = service(well("app-1"), well("app-2"))
    wrong = Successor(words(command), labels)
    (why,) = against(seen, Plan(), wrong, wrong)
    assert remedy in why


@pytest.mark.parametrize(
    ("command", "declared"),
    [
        ("node server.ts", "node"),
        ("bun run start", "node"),  # whatever the script is
        ("bun start", "node"),
        ("node --run start", "bun"),
        ("npm start", "bun"),
        ("./start.sh", "node"),
        ("/app/server", "bun"),  # of another name
        ("/bin/sh -c|node migrate.js && bun server.ts", "node"),
        ("node server.ts", "env:RUNTIME"),
        ("node server.ts", "deno"),  # which a notice tells
        ("", "node"),
    ],
)
def test_a_start_that_tells_no_runtime_or_the_declared_one_is_none_of_its_business(
    command: str, declared: str
) -> None:
    seen = service(well("app-1"), well("app-2"))
    assert not against(seen, Plan(), Successor(words(command), {RUNTIME: declared}))


def test_the_probe_is_looked_for_where_the_new_containers_would_run_it() -> None:
    own = Image("sha256:node", healthcheck=("CMD", "/probe", "--ready"))
    shell = Container("a" * 64, "app-1", "i", "i", healthcheck=("CMD-SHELL", "curl localhost"))
    assert planning.probe_files([BUN], None) == ("/healthprobe",)
    assert planning.probe_files([BUN], Image("sha256:bare")) == ("/healthprobe",)
    assert planning.probe_files([BUN], own) == ("/probe",)
    assert planning.probe_files([shell], None) == ()


def test_what_was_just_tried_is_no_way_back() -> None:
    failed, left = service(frozen("app-1"), frozen("app-2")).targets
    containers = {each.target.id: BUN for each in (failed, left)}
    same = planning.way_back(failed.target, [left], containers, Image(BUN.image_id))
    assert same is None, "that image is the one that failed"
    assert planning.way_back(failed.target, [left], containers, Image("sha256:new")) == BUN
    assert "to go back" not in planning.way_on(0, (failed, left), "", None)


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (("app-2",), "app-2 was left as it is"),
        (("app-2", "app-3"), "app-2 and app-3 were left as they are"),
    ],
)
def test_whom_a_roll_that_stopped_has_left_is_told(left: tuple[str, ...], told: str) -> None:
    replicas = service(frozen("app-1"), *map(well, left)).targets
    assert told in planning.way_on(0, replicas, "", None)


@pytest.mark.parametrize(
    ("image_before", "back"),
    [("", "roll app"), ("shop:1", "rollback app --image shop:1")],
)
def test_the_way_back_names_what_stays_set_and_not_with_what(image_before: str, back: str) -> None:
    replicas = service(frozen("app-1"), well("app-2")).targets
    asked = Plan(variables={"TOKEN": "swordfish"}, labels={"healthagent.grace": "9s"})
    said = planning.way_on(0, replicas, image_before, None, asked)
    settings = "--env TOKEN=... --label healthagent.grace=..., with the values of before"
    assert said.endswith(f"to go back: healthagent {back} {settings}")


@pytest.mark.parametrize(
    ("names", "more"),
    [
        (["shop-app-1", "shop-app-3"], ("shop-app-4", 4)),
        (["shop_app_9", "shop_app_10"], ("shop_app_11", 11)),
        (["shop"], ("shop-2", 2)),
    ],
)
def test_one_more_is_numbered_as_compose_would(names: list[str], more: tuple[str, int]) -> None:
    assert planning.one_more(names) == more
