"""The routing benchmark counts what users would, and says when a promise does not hold."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from benchmarks.routing import promise
from benchmarks.routing.arms import ARMS
from benchmarks.routing.load import PATIENCE, Record
from benchmarks.routing.observed import Look, Run, observed
from tests.web_servers import nobody

ONE, TWO = "http://10.0.0.1:3000", "http://10.0.0.2:3000"


def record(status: int = 200, took: float = 0.01, method: str = "GET", lag: float = 0.0) -> Record:
    return Record(100.0, lag, method, status, took)


def look(at: float, *serving: str) -> Look:
    return Look(at, frozenset({"app@http"}), frozenset(serving))


def test_errors_hung_and_late_requests_are_lost_alike() -> None:
    run = Run([record(), record(201), record(502), record(0, PATIENCE), record(200, PATIENCE + 1)])
    figures = run.figures()
    assert (figures["lost"], figures["sent"]) == (3, 5)
    assert figures["how"] == {"200": 1, "502": 1, "hung": 1}


def test_a_client_that_could_not_keep_its_pace_says_so() -> None:
    assert "client_lag_s" not in Run([record(lag=0.01)]).figures()
    assert Run([record(lag=0.8)]).figures()["client_lag_s"] == 0.8


def test_a_replica_is_out_when_traefik_no_longer_serves_it() -> None:
    run = Run(
        looks=[look(9.0, ONE, TWO), look(10.2, ONE, TWO), look(10.4, TWO), look(12, ONE, TWO)]
    )
    assert run.out_after(10.0, {ONE}) == 0.4
    assert run.out_after(10.0, {ONE, TWO}) is None
    assert run.changes() == 2


def test_what_was_lost_is_told_by_when_it_was_sent() -> None:
    run = Run([record(502)._replace(sent=100.4), record()._replace(sent=101.0)])
    assert run.since(100.0, {ONE}) == {"out_s": None, "last_lost_s": 0.4}
    assert run.since(100.0, set()).keys() == {"out_s", "last_lost_s"}
    assert "last_lost_s" not in Run([record()]).since(100.0, {ONE})


def test_a_server_that_takes_requests_and_never_answers_loses_all(tmp_path: Path) -> None:
    """To the real client, which goes on sending meanwhile."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as deaf, nobody() as api:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with observed(url, f"http://{api}", tmp_path, rate=20) as run:
            deaf.settimeout(20)
            held = [deaf.accept()[0] for _ in range(5)]
        for connection in held:
            connection.close()
    figures = run.figures()
    assert figures["sent"] >= 5
    assert figures["lost"] == figures["sent"]
    assert set(figures["how"]) == {"hung"}


GOOD: dict[str, dict[str, Any]] = {
    "roll": {"lost": 0, "sent": 9, "rolled": 3},
    "stop": {"lost": 0, "sent": 9},
    "kill": {"lost": 1, "lost_posts": 1, "sent": 9, "out_s": 2.0},
    "freeze": {"lost": 5, "sent": 9, "out_s": 1.5, "last_lost_s": 1.6},
    "block": {"lost": 5, "sent": 9, "out_s": 1.5, "last_lost_s": 1.4},
    "sick": {"lost": 0, "sent": 9, "out_s": 1.5},
    "all_down": {"status": 503, "out_s": 1.0, "back_s": 1.0, "router_kept": True},
    "agent_killed": {"lost": 0, "sent": 9, "changes": 0},
    "agent_restarted": {"lost": 0, "sent": 9, "changes": 0},
}


def test_what_is_promised_of_each_arm_of_the_agents_may_hold() -> None:
    assert GOOD.keys() == ARMS["agent"][1].keys()
    assert promise.broken({"agent": GOOD}) == []


@pytest.mark.parametrize(
    ("arm", "fault"),
    [
        ("roll", {"lost": 1}),
        ("roll", {"rolled": 2}),
        ("stop", {"lost": 1}),
        ("kill", {"lost": 2}),
        ("freeze", {"out_s": None}),
        ("block", {"out_s": 1.6}),
        ("sick", {"out_s": 1.6}),
        ("freeze", {"last_lost_s": 1.8}),
        ("block", {"last_lost_s": 1.8}),
        ("sick", {"last_lost_s": 1.8}),
        ("roll", {"client_lag_s": 0.3}),
        ("all_down", {"status": 404}),
        ("all_down", {"back_s": 1.1}),
        ("all_down", {"router_kept": False}),
        ("agent_killed", {"changes": 1}),
        ("agent_restarted", {"lost": 1}),
        ("stop", {"posts_done_twice": 1}),
    ],
)
def test_a_promise_that_does_not_hold_is_told(arm: str, fault: dict[str, Any]) -> None:
    [line] = promise.broken({"agent": {arm: GOOD[arm] | fault}})
    assert line.startswith(f"agent.{arm}: ")
