"""The text that probes are answered with."""

from __future__ import annotations

from dataclasses import replace

from healthagent.checks import CHECKS
from healthagent.core.check import Group
from healthagent.core.observation import DatabaseDown, DatabaseSession, Livez, Readyz
from healthagent.surfaces.http import kubernetes
from healthagent.surfaces.http.lookup import find_check
from tests.unit.surfaces.world import DATABASE, NOW, World


def test_a_yes_is_ok_alone(world: World) -> None:
    target = world.report(world.replica("app-1")).targets[0]
    answer = kubernetes.of_target(target, Group.READINESS)
    assert answer.passed
    assert answer.text(verbose=False) == "ok"


def test_verbose_lists_every_check_in_the_tables_order(world: World) -> None:
    target = world.report(world.replica("app-1")).targets[0]
    told = kubernetes.of_target(target, Group.READINESS).text(verbose=True).splitlines()
    every = [*(f"[+]{check.name} ok" for check in CHECKS), "readyz check passed"]
    assert told == every, "world.py's replica is to declare what each check is about, and be well"
    assert told[:2] == ["[+]exit ok", "[+]process ok"]


def test_a_no_says_why_even_when_nobody_asked(world: World) -> None:
    target = world.report(world.frozen("app-1"), world.replica("app-2")).targets[0]
    answer = kubernetes.of_target(target, Group.LIVENESS)
    assert not answer.passed
    lines = answer.text(verbose=False).splitlines()
    assert lines[0] == "[+]exit ok"
    assert lines[1].startswith("[-]process failed: pid 100 is stopped (state T)")
    assert lines[2].startswith("[-]event_loop failed: GET /livez gave no answer")
    assert lines[3:] == ["livez check failed"]


def test_liveness_asks_no_readiness_check(world: World) -> None:
    target = world.report(world.refusing("app-1"), world.replica("app-2")).targets[0]
    assert kubernetes.of_target(target, Group.LIVENESS).passed
    assert not kubernetes.of_target(target, Group.READINESS).passed


def test_an_excluded_check_counts_no_more_and_is_shown(world: World) -> None:
    target = world.report(world.refusing("app-1"), world.replica("app-2")).targets[0]
    answer = kubernetes.of_target(target, Group.READINESS, {"http"})
    assert answer.passed
    assert "[+]http excluded: ok" in answer.text(verbose=True).splitlines()


def test_excluding_what_is_not_there_is_a_warning(world: World) -> None:
    target = world.report(world.replica("app-1")).targets[0]
    text = kubernetes.of_target(target, Group.READINESS, {"postgrse"}).text(verbose=True)
    assert "warn: cannot exclude what is not there: postgrse" in text.splitlines()


def test_the_answers_are_those_of_the_report(world: World) -> None:
    report = world.report(
        world.replica("app-1"),
        world.frozen("app-2"),
        world.refusing("app-3"),
        world.replica("app-4"),
    )
    for target in report.targets:
        assert kubernetes.of_target(target, Group.READINESS).passed is target.ready
        assert kubernetes.of_target(target, Group.LIVENESS).passed is target.live


def test_a_starting_replica_lives_and_is_not_ready(world: World) -> None:
    silent = Livez("/livez", None, 0.1, "refused")
    starting = world.refusing("app-1").seen(silent)
    target = world.report(
        type(starting)(starting.target, starting.facts, grace_until=NOW + 10)
    ).targets[0]
    assert target.starting
    live = kubernetes.of_target(target, Group.LIVENESS)
    assert live.passed
    assert "[+]event_loop failed, starting: nothing listens on port 3000" in live.text(True)
    assert not kubernetes.of_target(target, Group.READINESS).passed


def test_what_only_the_agent_sees_is_told_and_excused_below_the_quorum(world: World) -> None:
    down = DatabaseSession(DatabaseDown(DATABASE, "refused", "", 0.001))
    target = world.report(world.replica("app-1").seen(down)).targets[0]
    text = kubernetes.of_target(target, Group.READINESS).text(verbose=True)
    assert "[+]postgres failed, excused: nothing listens at postgres:5432" in text
    assert text.endswith("readyz check passed\n")


def test_a_replica_that_serves_unseen_passes_and_is_told_as_unknown(world: World) -> None:
    blind = world.replica("app-1").seen(Readyz("/readyz", None, 0.1, "unreachable"))
    target = world.report(replace(blind, grace_until=1.0, ran_before=True)).targets[0]
    answer = kubernetes.of_target(target, Group.READINESS)
    assert answer.passed is target.ready is True
    assert "[+]http unknown: no connection to 10.0.0.1:3000" in answer.text(verbose=True)


def test_a_single_check_is_told_with_its_reason(world: World) -> None:
    target = world.report(world.refusing("app-1"), world.replica("app-2")).targets[0]
    answer = kubernetes.of_check(find_check(target, "http"), target.starting)
    assert not answer.passed
    assert answer.text(verbose=False) == (
        "[-]http failed: GET /readyz answered 503: warming up\nreadyz/http check failed\n"
    )


def test_a_service_is_ready_at_its_quorum(world: World) -> None:
    two = [world.replica("app-1").but(quorum=2), world.replica("app-2"), world.refusing("app-3")]
    answer = kubernetes.of_service(world.report(*two).services[0])
    assert answer.passed
    assert answer.text(verbose=True).splitlines() == [
        "[+]app-1 ok",
        "[+]app-2 ok",
        "[-]app-3 failed: not ready: http status: GET /readyz answered 503: warming up",
        "readyz check passed (2 of 3 ready, quorum 2)",
    ]
    short = kubernetes.of_service(world.report(*two[1:], two[0].seen(_refusal())).services[0])
    assert not short.passed


def _refusal() -> Livez:
    return Livez("/livez", 500, 0.001)
