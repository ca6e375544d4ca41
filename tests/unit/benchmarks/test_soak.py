"""The soak passes where nothing is wrong at all, and its last line tells what was."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.soak.__main__ import Soaked
from benchmarks.soak.load import Asked, Transactions
from tests.system.modes.feed import Told

WELL = Soaked(
    seconds=600.2,
    asked=Asked({"200": 90, "503": 0, "timeout": 0}, p50_ms=5.0, p99_ms=50.0),
    transactions=Transactions(done=100, failed=0),
    queued={"202": 10},
    workflows={"SUCCESS": 10},
    told=(),
)


def told(after: str, check: str = "event_loop") -> Told:
    return Told(0.0, "app-1", check, after, "slow", "")


def asked(**answers: int) -> Asked:
    return replace(WELL.asked, answers=answers)


def test_a_soak_in_which_all_went_well_passes() -> None:
    assert WELL.figures["passed"]
    assert WELL.figures["requests"] == 90
    assert WELL.figures["requests_lost"] == {}


@pytest.mark.parametrize(
    "fault",
    [
        {"told": (told("failed"),)},
        {"told": (told("not ready", check=""),)},
        {"asked": asked(**{"200": 90, "503": 1})},
        {"asked": asked(**{"200": 90, "timeout": 1})},
        {"queued": {"202": 10, "503": 1}},
        {"transactions": Transactions(done=100, failed=1)},
        {"workflows": {"SUCCESS": 9, "PENDING": 1}},
        {"workflows": {"SUCCESS": 9, "ERROR": 1}},
    ],
    ids=str,
)
def test_one_thing_that_went_wrong_is_enough_to_fail(fault: dict[str, Any]) -> None:
    assert not replace(WELL, **fault).passed


@pytest.mark.parametrize(
    "idle",
    [
        {"asked": asked()},
        {"asked": asked(**{"200": 0})},
        {"transactions": Transactions(done=0, failed=0)},
        {"queued": {}},
        {"workflows": {}},
    ],
    ids=str,
)
def test_a_load_of_which_a_part_did_nothing_shows_nothing(idle: dict[str, Any]) -> None:
    assert not replace(WELL, **idle).passed


def test_being_slow_is_counted_and_no_failure() -> None:
    slow = replace(WELL, told=(told("degraded"), told("degraded"), told("degraded", check="")))
    assert slow.passed
    assert slow.figures["degraded"] == Counter({"event_loop slow": 2})


def test_what_was_lost_is_told_by_status_or_error() -> None:
    figures = replace(WELL, asked=asked(**{"200": 7, "204": 1, "502": 2, "read": 3})).figures
    assert figures["requests"] == 13
    assert figures["requests_lost"] == {"502": 2, "read": 3}
