"""The acceptance run's report says of each criterion whether it is met, and by what figure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.acceptance.acts import Audit, Change, Frozen, Load, Outcome, astray
from benchmarks.acceptance.report import Run, faults, line, markdown


def loaded(held: int, declared: int) -> Load:
    return Load(held, declared, requests=100, accepted=("c", "d"))


DONE = Outcome(orders=9, lost=0, wrong=0, repeated=0)
CHANGE = Change(seconds=20.0, requests=400, failures=(), accepted=("a", "b"))
ONE, TWO = frozenset({"sha256:one"}), frozenset({"sha256:two"})
REPLICAS = ("app-1", "app-2", "app-3")
GOOD = Run(
    before=loaded(32, 8),
    workers=4,
    audit_before=Audit({"met": 20, "not met": 21}, ()),
    loads={n: loaded(8 * n + 1, 8 * n + 1) for n in (1, 3, 6)},
    images=dict.fromkeys((1, 3, 6), ONE),
    processes=["bun build/index.js"] * 3,
    programs=dict.fromkeys(REPLICAS, "bun"),
    programs_back=dict.fromkeys(REPLICAS, "node"),
    frozen=Frozen(1.2, served=50, failed=0, accepted=()),
    killed=replace(DONE, repeated=2),
    back=CHANGE,
    back_orders=DONE,
    forward=CHANGE,
    forward_orders=DONE,
    rest=DONE,
    astray=0,
)
AFTER = Audit({"met": 55, "not met": 0}, ())


def test_a_good_run_meets_every_criterion() -> None:
    assert json.loads(line(GOOD)) == {
        "criteria": 7,
        "met": 7,
        "lost": 0,
        "rollback_lost": 0,
        "connections": {"1": [9, 9], "3": [25, 25], "6": [49, 49]},
    }
    assert faults(GOOD, AFTER) == []
    assert "**not met**" not in markdown(GOOD, AFTER)
    assert "Accepted." in markdown(GOOD, AFTER).splitlines()


@pytest.mark.parametrize(
    ("criterion", "fault"),
    [
        (1, {"processes": ["bun build/index.js", "PM2 v6: God Daemon"]}),
        (2, {"programs": {"app-1": "bun", "app-2": "node"}}),
        (3, {"images": {1: ONE, 3: ONE, 6: TWO}}),
        (3, {"images": dict.fromkeys((1, 3, 6), ONE | TWO)}),
        (3, {"loads": {1: loaded(9, 9)}}),
        (4, {"loads": {1: loaded(9, 9), 3: loaded(26, 25), 6: loaded(42, 49)}}),
        (5, {"rest": replace(DONE, lost=1)}),
        (5, {"rest": replace(DONE, wrong=1)}),
        (5, {"forward_orders": replace(DONE, wrong=1)}),
        (5, {"killed": DONE}),
        (5, {"astray": 1}),
        (6, {"frozen": Frozen(1.2, served=50, failed=1, accepted=())}),
        (6, {"frozen": Frozen(1.2, served=0, failed=0, accepted=())}),
        (7, {"back": replace(CHANGE, failures=("502 after 0.1 s",))}),
        (7, {"forward": replace(CHANGE, failures=("502 after 0.1 s",))}),
        (7, {"programs_back": dict.fromkeys(REPLICAS, "bun")}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else f"criterion {value}",
)
def test_a_fault_costs_the_criterion_that_it_is_about_alone(
    criterion: int, fault: dict[str, Any]
) -> None:
    run = replace(GOOD, **fault)
    assert [number for number, met in enumerate(run.met, start=1) if not met] == [criterion]
    (row,) = [row for row in markdown(run, AFTER).splitlines() if "**not met**" in row]
    assert row.startswith(f"| {criterion} |")
    assert faults(run, AFTER) == [f"criterion {criterion} is not met"]


@pytest.mark.parametrize(
    ("run", "after", "says"),
    [
        (GOOD, Audit({"met": 54, "not met": 1}, ()), "the audit after it finds 1 not met"),
        (
            replace(GOOD, audit_before=Audit({"met": 41, "not met": 0}, ())), AFTER,
            "the audit before it found nothing that is not met",
        ),
        (
            replace(GOOD, before=loaded(8, 8)), AFTER,
            "what was behind PM2 held no more connections than one container declares",
        ),
    ],
    ids=["open in the end", "nothing open before", "no more held than declared"],
)  # fmt: skip
def test_a_run_that_proves_nothing_is_not_accepted_though_it_meets_every_criterion(
    run: Run, after: Audit, says: str
) -> None:
    assert all(run.met)
    assert faults(run, after) == [says]
    assert f"- {says}" in markdown(run, after)


def test_what_was_not_seen_or_contradicts_itself_keeps_no_run_from_being_accepted() -> None:
    after = Audit({"met": 50, "contradiction": 4, "not seen": 1}, ("FR-4.1 not seen: no image",))
    assert faults(GOOD, after) == []
    assert "- FR-4.1 not seen: no image" in markdown(GOOD, after)


def test_orders_lost_on_the_way_back_are_lost_twice_over() -> None:
    run = replace(GOOD, back_orders=replace(DONE, lost=2))
    assert (run.lost, run.rollback_lost) == (2, 2)


def test_goods_are_astray_whether_taken_twice_or_never_and_do_not_make_up_for_each_other() -> None:
    before = {("north", "card"): 100, ("south", "card"): 100}
    assert astray(before, before) == 0
    assert astray(before, {("north", "card"): 99, ("south", "card"): 101}) == 2


def test_the_report_names_what_failed_and_what_is_open() -> None:
    before = Audit({"met": 40, "not met": 1}, ("FR-1.1 not met: PM2 starts it",))
    run = replace(
        GOOD, audit_before=before, back=replace(CHANGE, failures=("502 after 0.1 s",))
    )  # fmt: skip
    text = markdown(run, Audit({"met": 54, "not met": 1}, ("FR-3: two processes",)))
    assert "- 502 after 0.1 s" in text
    assert "- FR-1.1 not met: PM2 starts it" in text.partition("## Open after it")[0]
    assert "- FR-3: two processes" in text.partition("## Open after it")[2]
    assert "4 workers behind PM2 in one container held 32 connections" in text
