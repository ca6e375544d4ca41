"""The acceptance run's report says of each criterion whether it is met, and by what figure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.acceptance.acts import Audit, Change, Frozen, Load, Outcome, astray
from benchmarks.acceptance.before import Behind, Installed, Packages, found_in
from benchmarks.acceptance.recovery import Healed, Recreated
from benchmarks.acceptance.report import Run, faults, line, markdown


def loaded(held: int, declared: int) -> Load:
    return Load(held, declared, requests=100, failed=0, accepted=("c", "d"))


def behind(workers: int, installer: str = "npm", held: int | None = None) -> Behind:
    load = loaded(8 * workers if held is None else held, 9)
    return Behind(workers, runtime="node", installer=installer, load=load)


DONE = Outcome(orders=9, lost=0, wrong=0, repeated=0)
AGAIN = replace(DONE, repeated=2)
SAME = Installed(seconds=3.0, packages=frozenset({("pg", "8.23.1"), ("pm2", "7.0.4")}))
OTHER = replace(SAME, packages=frozenset({("pg", "8.23.0"), ("pm2", "7.0.4")}))
PACKAGES = Packages(npm=SAME, bun=SAME, same_lock=True, again=SAME, builds=True)
CHANGE = Change(seconds=20.0, requests=400, failures=(), accepted=("a", "b"))
ONE, TWO = frozenset({"sha256:one"}), frozenset({"sha256:two"})
REPLICAS = ("app-1", "app-2", "app-3")
GOOD = Run(
    growth=(behind(1), behind(2), behind(4)),
    audit_before=Audit({"met": 20, "not met": 21}, ()),
    packages=PACKAGES,
    with_bun=behind(4, "bun"),
    with_npm=behind(4),
    loads={n: loaded(8 * n + 1, 8 * n + 1) for n in (1, 3, 6)},
    images=dict.fromkeys((1, 3, 6), ONE),
    processes=["bun build/index.js"] * 3,
    programs=dict.fromkeys(REPLICAS, "bun"),
    programs_back=dict.fromkeys(REPLICAS, "node"),
    frozen=Frozen(1.2, served=50, failures=(), accepted=()),
    healed=Healed(held=4, same_container=True, restarts=1, seconds=6.0, orders=AGAIN),
    recreated=Recreated(
        held={"app-1": 4, "app-2": 3, "app-3": 4},
        first="app-1",
        kept={"app-2": 3, "app-3": 4},
        back=REPLICAS,
        orders=AGAIN,
    ),
    taken_over=AGAIN,
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
        "beside_frozen": {"served": 50, "failed": 0},
        "connections_behind_pm2": {"1": 8, "2": 16, "4": 32},
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
        (5, {"taken_over": DONE}),
        (5, {"healed": replace(GOOD.healed, orders=DONE)}),
        (5, {"healed": replace(GOOD.healed, same_container=False)}),
        (5, {"healed": replace(GOOD.healed, restarts=0)}),
        (5, {"healed": replace(GOOD.healed, held=0)}),
        (5, {"recreated": replace(GOOD.recreated, orders=DONE)}),
        (5, {"recreated": replace(GOOD.recreated, kept={"app-2": 3, "app-3": 1})}),
        (5, {"recreated": replace(GOOD.recreated, kept={"app-1": 1, "app-2": 3, "app-3": 4})}),
        (5, {"recreated": replace(GOOD.recreated, held={"app-1": 4}, kept={})}),
        (5, {"recreated": replace(GOOD.recreated, back=("app-1", "app-2", "app-4"))}),
        (5, {"astray": 1}),
        (6, {"frozen": Frozen(1.2, served=50, failures=("503 after 0.1 s",), accepted=())}),
        (6, {"frozen": Frozen(1.2, served=0, failures=(), accepted=())}),
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
            replace(GOOD, growth=(behind(1, held=6), behind(2, held=7), behind(4, held=9))), AFTER,
            "what was behind PM2 held no more connections than one container declares",
        ),
        (
            replace(GOOD, growth=(behind(1), behind(2, held=32), behind(4))), AFTER,
            "connections did not grow with PM2's workers: [8, 32, 32]",
        ),
        (
            replace(GOOD, packages=replace(PACKAGES, bun=OTHER)), AFTER,
            "Bun installs other packages than npm",
        ),
        (
            replace(GOOD, packages=replace(PACKAGES, same_lock=False)), AFTER,
            "Bun makes another lock file of npm's than the one that is kept",
        ),
        (
            replace(GOOD, packages=replace(PACKAGES, again=OTHER)), AFTER,
            "npm installs other packages than before",
        ),
        (
            replace(GOOD, packages=replace(PACKAGES, builds=False)), AFTER,
            "npm builds the app no more",
        ),
        (
            replace(GOOD, with_bun=behind(4)), AFTER,
            "the app had the packages of npm, npm, npm, npm, npm",
        ),
        (
            replace(GOOD, with_bun=replace(behind(4, "bun"), runtime="bun")), AFTER,
            "another runtime came with Bun's packages",
        ),
        (
            replace(GOOD, with_npm=replace(behind(4), load=replace(loaded(32, 9), accepted=()))),
            AFTER,
            "the app with Bun's packages, or with npm's again, took no order",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
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


def test_the_report_shows_how_connections_grow_with_pm2s_workers() -> None:
    text = markdown(GOOD, AFTER)
    for workers, held in ((1, 8), (2, 16), (4, 32)):
        assert f"| {workers} | {held} | 9 | 100 | 0 |" in text.splitlines()


def test_the_report_tells_whose_work_waited_for_whom() -> None:
    (row,) = [row for row in markdown(GOOD, AFTER).splitlines() if "came back alone" in row]
    assert "app-1: 4, app-2: 3, app-3: 4" in row
    assert "app-1 came back alone" in row
    assert "(app-2: 3, app-3: 4), until app-1, app-2, app-3 were back" in row


def test_packages_are_found_in_scopes_and_inside_of_others(tmp_path: Path) -> None:
    for place, name, version in (
        ("pg", "pg", "8.23.1"),
        ("@prisma/client", "@prisma/client", "7.10.0"),
        ("pg/node_modules/pg-types", "pg-types", "2.2.0"),
    ):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))
    (tmp_path / ".bin").mkdir()
    (tmp_path / ".package-lock.json").write_text("{}")

    found = list(found_in(tmp_path))
    assert sorted(found) == [("@prisma/client", "7.10.0"), ("pg", "8.23.1"), ("pg-types", "2.2.0")]
