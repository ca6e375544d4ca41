"""Times, and what stands beside a reason, as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from healthagent.surfaces.target_text import advice_for, ago, aside, beside, reason


@pytest.mark.parametrize(
    ("then", "text"),
    [
        ("2026-01-02T03:04:05.000Z", "0s"),
        ("2026-01-02T03:03:59.900Z", "5s"),
        ("2026-01-02T03:00:53.000Z", "3m 12s"),
        ("2026-01-02T01:00:00.000Z", "2h 4m"),
        ("2025-12-29T00:00:00.000Z", "4d 3h"),
        ("2026-01-02T03:04:06.000Z", "0s"),
        (None, ""),
    ],
)
def test_the_time_since_has_two_units_and_never_runs_backwards(then: str | None, text: str) -> None:
    assert ago(then, "2026-01-02T03:04:05.000Z") == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        ({"excused": True, "awaited": True}, " (excused)"),
        ({"awaited": True}, " (has not passed yet)"),
        ({"status": "unknown"}, " (last known: ok)"),
    ],
)
def test_beside_a_reason_stands_why_it_counts_or_not(changes: dict[str, Any], text: str) -> None:
    check = {"excused": False, "awaited": False, "status": "ok", "holds": "ok"}
    assert aside(check | changes) == text


@pytest.mark.parametrize(
    ("drain", "fault", "text"),
    [
        (None, "http status: answered 503", "http status: answered 503"),
        (("ops", "a new disk"), "drained by ops: a new disk", "drained by ops: a new disk"),
        (("supervisor", "restart"), "pid 4 is stopped", "drained by supervisor: restart; pid 4 is"),
        (("", ""), "", "drained"),
    ],
    ids=["a fault", "a drain", "a fault that somebody is at", "on a public listener"],
)
def test_a_reason_says_too_who_is_at_it(
    drain: tuple[str, str] | None, fault: str, text: str
) -> None:
    told = {"by": drain[0], "why": drain[1]} if drain else None
    assert reason(sick(drain=told, reason=fault)).startswith(text)


def sick(**fields: Any) -> dict[str, Any]:
    """A replica that does not live, and of which two checks are degraded besides."""
    checks = [
        {"name": "process", "status": "failed", "code": "stopped", "shared": False},
        {"name": "pool", "status": "degraded", "code": "over_planned", "shared": False},
        {"name": "dbos", "status": "degraded", "code": "shared_id", "shared": False},
    ]
    whole = {"phase": "not live", "check": "process", "drain": None, "checks": checks}
    return whole | {"reason": "process stopped"} | fields


def test_no_degraded_check_hides_another() -> None:
    merely = sick(phase="degraded", check="pool", reason="pool over_planned: 34 of 32")
    assert reason(merely) == "pool over_planned: 34 of 32; also dbos shared_id"
    assert [check["code"] for check in beside(merely, merely["checks"][1])] == ["shared_id"]


def test_of_a_replica_that_does_not_live_only_its_fault_is_told() -> None:
    assert reason(sick()) == "process stopped"
    assert beside(sick(), sick()["checks"][0]) == []


@pytest.mark.parametrize(
    ("check", "code"),
    [
        ("process", "wrong_runtime"),
        ("exit", "ended"),
        ("exit", "not_found"),
        ("exit", "not_executable"),
    ],
)
def test_who_is_to_compare_what_is_started_is_shown_what_that_is(check: str, code: str) -> None:
    """Docker's State, which tells of an exit, has no command."""
    blame = {"name": check, "code": code, "evidence": {}}
    steps = " ".join(
        advice_for({"name": "app-1", "container": "a" * 64, "checks": []}, blame).steps
    )
    assert "docker inspect --format '{{.Path}} {{json .Args}}' app-1" in steps
