"""What the answer of the readiness endpoint means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.checks.http import CHECK
from healthagent.core.observation import (
    ContainerState,
    Fact,
    HttpError,
    Livez,
    Observation,
    Readyz,
    Unseen,
)
from healthagent.core.target import Target
from healthagent.core.verdict import Status, Verdict

APP = Target(id="a", name="app-1", service="app", address="172.20.0.3", port=3000)


def judged(answer: Readyz | Unseen) -> Verdict:
    return CHECK.judge(Observation(APP, {Readyz: answer}))


def answered(status: int, body: str = "") -> Verdict:
    return judged(Readyz("/readyz", status, 0.0021, body=body))


def unanswered(error: HttpError) -> Verdict:
    return judged(Readyz("/readyz", None, 0.8, error))


@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test_from_200_to_399_is_ready_as_for_a_kubelet(status: int) -> None:
    verdict = answered(status)
    assert verdict.status is Status.OK
    assert verdict.evidence == {"ms": 2.1}


@pytest.mark.parametrize("status", [199, 400, 404, 429, 500, 503])
def test_any_other_status_fails_with_what_the_replica_said(status: int) -> None:
    verdict = answered(status, "pool is empty")
    assert (verdict.status, verdict.code) == (Status.FAILED, "status")
    assert verdict.reason == f"GET /readyz answered {status}: pool is empty"


def test_a_status_with_no_text_is_told_without_one() -> None:
    assert answered(503).reason == "GET /readyz answered 503"


@pytest.mark.parametrize(
    ("error", "status", "code", "hint"),
    [
        ("timeout", Status.FAILED, "timeout", "full pool"),
        ("refused", Status.FAILED, "not_listening", "port 3000"),
        ("reset", Status.FAILED, "reset", "no whole answer"),
        ("invalid", Status.FAILED, "invalid", "no whole answer"),
        ("unconnected", Status.UNKNOWN, "unreachable", "172.20.0.3:3000"),
        ("name", Status.UNKNOWN, "unreachable", "the name 172.20.0.3 does not resolve"),
        ("unreachable", Status.UNKNOWN, "unreachable", "attach the agent to a network"),
    ],
)
def test_how_no_answer_came_is_told_apart(
    error: HttpError, status: Status, code: str, hint: str
) -> None:
    verdict = unanswered(error)
    assert (verdict.status, verdict.code) == (status, code)
    assert hint in verdict.reason


@pytest.mark.parametrize(
    ("livez", "hint"),
    [
        (Livez("/livez", None, 0.8, "timeout"), "and /livez was as late: see event_loop"),
        (Livez("/livez", 200, 0.7), "and /livez was as late: see event_loop"),
        (Livez("/livez", 200, 0.1), "full pool"),
        (Livez("/livez", None, 0.0, "reset"), "full pool"),
        (Unseen("the replica declares no such endpoint"), "full pool"),
    ],
    ids=["silent", "late", "in time", "hung up", "none"],
)
def test_no_answer_is_the_pools_only_where_the_app_answers_otherwise(
    livez: Livez | Unseen, hint: str
) -> None:
    facts: dict[type[Fact], Fact | Unseen] = {
        Readyz: Readyz("/readyz", None, 0.8, "timeout"),
        Livez: livez,
    }
    verdict = CHECK.judge(Observation(APP, facts))
    assert (verdict.status, verdict.code) == (Status.FAILED, "timeout")
    assert hint in verdict.reason


def test_a_look_that_failed_on_the_agents_side_is_unknown() -> None:
    assert judged(Unseen("the agent cannot connect")).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        (ContainerState("running"), Status.FAILED, "no_network"),
        (ContainerState("exited"), Status.UNKNOWN, "unseen"),
        (Unseen("the Docker API cannot be reached"), Status.UNKNOWN, "unseen"),
    ],
)
def test_a_container_without_an_address_is_not_ready_where_it_runs(
    state: ContainerState | Unseen, status: Status, code: str
) -> None:
    cut_off = replace(APP, address=None)
    verdict = CHECK.judge(Observation(cut_off, {ContainerState: state}))
    assert (verdict.status, verdict.code) == (status, code)


@pytest.mark.parametrize(
    ("target", "applies"),
    [
        (APP, True),
        (replace(APP, readyz=None), False),
        (replace(APP, port=None), False),
        (replace(APP, address=None, id="static:app"), False),
        (replace(APP, address=None), True),
    ],
)
def test_only_a_declared_endpoint_is_judged(target: Target, applies: bool) -> None:
    assert CHECK.applies(target) is applies
