"""What the run measured, as a report for people and as one line for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.acceptance.acts import Audit, Change, Frozen, Load, Outcome
from benchmarks.acceptance.before import Behind, Packages
from benchmarks.acceptance.recovery import Healed, Recreated

_NOT_MET: Final = "not met"
"""As ``healthagent audit --json`` has it."""
_CRITERIA: Final = (
    "PM2 is completely removed from production",
    "Application runs under Bun runtime in production",
    "Scaling occurs via Compose replicas",
    "DB connection counts are predictable and bounded",
    "DBOS workflows function correctly",
    "Health failures remove containers from traffic",
    "Rollback path is validated",
)


@dataclass(frozen=True, slots=True)
class Run:
    """All that was measured."""

    growth: Sequence[Behind]
    """As it was, with more workers each time."""
    audit_before: Audit
    packages: Packages
    with_bun: Behind
    """The same with Bun's packages."""
    with_npm: Behind
    """And with npm's again."""
    loads: Mapping[int, Load]
    images: Mapping[int, frozenset[str]]
    """By number of replicas the ids of the images that they ran."""
    processes: Sequence[str]
    programs: Mapping[str, str]
    """By replica what was PID 1 in the end."""
    programs_back: Mapping[str, str]
    """And what it was after the way back."""
    frozen: Frozen
    healed: Healed
    recreated: Recreated
    taken_over: Outcome
    back: Change
    back_orders: Outcome
    forward: Change
    forward_orders: Outcome
    rest: Outcome
    """All other orders that were accepted, those behind PM2 among them."""
    astray: int
    """Goods by which stock differs from what orders reserved: taken twice, or not at all."""

    @property
    def work(self) -> tuple[Outcome, ...]:
        """All orders that were accepted."""
        return (
            self.healed.orders, self.recreated.orders, self.taken_over,
            self.back_orders, self.forward_orders, self.rest,
        )  # fmt: skip

    @property
    def recovers(self) -> bool:
        """Whether work went on that a kill interrupted: after Docker started its process again,
        after Compose made its container anew, and by others where its replica stayed away."""
        return (
            self.healed.same_container
            and self.healed.restarts > 0
            and self.healed.held > 0
            and self.recreated.by_its_own
            and all(
                orders.repeated > 0
                for orders in (self.healed.orders, self.recreated.orders, self.taken_over)
            )
        )

    @property
    def lost(self) -> int:
        """Orders that were accepted and not shipped."""
        return sum(one.lost for one in self.work)

    @property
    def pm2(self) -> int:
        """Processes of PM2 in the app's containers."""
        return sum("pm2" in line.lower() for line in self.processes)

    @property
    def ids(self) -> frozenset[str]:
        """Images that replicas ran, at whatever scale: one where scaling builds nothing."""
        return frozenset().union(*self.images.values())

    @property
    def rollback_lost(self) -> int:
        """Requests that failed and orders that were lost on the way back."""
        return len(self.back.failures) + self.back_orders.lost

    @property
    def met(self) -> tuple[bool, ...]:
        """By criterion of chapter 10 whether it is met."""
        return (
            self.pm2 == 0,
            set(self.programs.values()) == {"bun"},
            set(self.loads) == set(self.images) == {1, 3, 6} and len(self.ids) == 1,
            all(load.held <= load.declared for load in self.loads.values()),
            all(one.lost == one.wrong == 0 for one in self.work)
            and self.astray == 0
            and self.recovers,
            self.frozen.served > 0 and not self.frozen.failures,
            self.rollback_lost == len(self.forward.failures) == 0
            and set(self.programs_back.values()) == {"node"},
        )  # fmt: skip


def faults(run: Run, after: Audit) -> list[str]:
    """Why the run is not accepted, a line each: criteria, what the audit still finds in the end,
    and a beginning in which nothing was wrong, against which the end would prove nothing."""
    found = [
        f"criterion {number} is not met" for number, met in enumerate(run.met, start=1) if not met
    ]
    if count := after.tally.get(_NOT_MET, 0):
        found.append(f"the audit after it finds {count} not met")
    if not run.audit_before.tally.get(_NOT_MET, 0):
        found.append("the audit before it found nothing that is not met")
    most = run.growth[-1].load
    if most.held <= most.declared:
        found.append("what was behind PM2 held no more connections than one container declares")
    held = [behind.load.held for behind in run.growth]
    if held != sorted(set(held)):
        found.append(f"connections did not grow with PM2's workers: {held}")
    return found + _package_faults(run)


def _package_faults(run: Run) -> list[str]:
    """What went with the change of the package manager that should not have, there and back."""
    packages, before = run.packages, run.growth[-1]
    installers = [one.installer for one in (*run.growth, run.with_bun, run.with_npm)]
    wanted = ["npm"] * len(run.growth) + ["bun", "npm"]
    checks = {
        "Bun installs other packages than npm": packages.bun.packages == packages.npm.packages,
        "Bun makes another lock file of npm's than the one that is kept": packages.same_lock,
        "npm installs other packages than before": packages.again.packages == packages.npm.packages,
        "npm builds the app no more": packages.builds,
        f"the app had the packages of {', '.join(installers)}": installers == wanted,
        "another runtime came with Bun's packages": run.with_bun.runtime == before.runtime,
        "the app with Bun's packages, or with npm's again, took no order": all(
            one.load.accepted for one in (run.with_bun, run.with_npm)
        ),
    }
    return [fault for fault, holds in checks.items() if not holds]


def line(run: Run) -> str:
    """The last line: what a machine needs to know."""
    return json.dumps({
        "criteria": len(_CRITERIA),
        "met": sum(run.met),
        "lost": run.lost,
        "rollback_lost": run.rollback_lost,
        "beside_frozen": {"served": run.frozen.served, "failed": len(run.frozen.failures)},
        "connections_behind_pm2": {str(x.workers): x.load.held for x in run.growth},
        "connections": {str(n): [load.held, load.declared] for n, load in run.loads.items()},
    })  # fmt: skip


def markdown(run: Run, after: Audit) -> str:
    """The report, fit for a pull request."""
    wrong = faults(run, after)
    facts = (
        f"{len(run.processes)} processes in the app's containers, {run.pm2} of them PM2's",
        f"PID 1 of {len(run.programs)} replicas: {', '.join(sorted(set(run.programs.values())))}",
        f"{', '.join(map(str, run.loads))} replicas, images: {len(run.ids)}",
        "; ".join(f"{n}: {x.held} held, {x.declared} allowed" for n, x in run.loads.items()),
        (
            f"{sum(one.orders for one in run.work)} orders: {run.lost} lost, "
            f"{sum(one.wrong for one in run.work)} not done exactly once, {run.astray} goods "
            "astray; of those in hand when replicas were killed see below"
        ),
        (
            f"out after {run.frozen.seconds:.1f} s; then {run.frozen.served} requests served by "
            f"others, {len(run.frozen.failures)} failed"
        ),
        (
            f"{run.back.requests} requests while Bun gave way to Node: {len(run.back.failures)} "
            f"failed, {run.back_orders.lost} of {run.back_orders.orders} orders lost; "
            f"forward again: {len(run.forward.failures)} of {run.forward.requests} failed, "
            f"{run.forward_orders.lost} of {run.forward_orders.orders} lost"
        ),
    )
    rows = [
        f"| {number} | {'met' if met else '**not met**'} | {says} | {fact} |"
        for number, (met, says, fact) in enumerate(
            zip(run.met, _CRITERIA, facts, strict=True), start=1
        )
    ]
    failures = (*run.frozen.failures, *run.back.failures, *run.forward.failures)
    return "\n".join([
        "# Acceptance run",
        "",
        *(["Not accepted:", "", *_listed(wrong)] if wrong else ["Accepted."]),
        "",
        "| # | | criterion | measured |",
        "|---|---|---|---|",
        *rows,
        "",
        "## As it was",
        "",
        "| workers behind PM2 | connections under load | one container's | requests | failed |",
        "|---|---|---|---|---|",
        *(f"| {one.workers} | {one.load.held} | {one.load.declared} | {one.load.requests} "
          f"| {one.load.failed} |" for one in run.growth),
        "",
        "## The package manager",
        "",
        *_packages(run),
        "",
        "## Work in hand when replicas were killed",
        "",
        *_recovery(run),
        "",
        "## Audit",
        "",
        "| audit | before | after |",
        "|---|---|---|",
        *(f"| {outcome} | {run.audit_before.tally.get(outcome, 0)} | {count} |"
          for outcome, count in after.tally.items()),
        *_section("## Open before it", run.audit_before.open),
        *_section("## Open after it", after.open),
        *_section("## Requests that failed", failures),
        "",
    ])  # fmt: skip


def _packages(run: Run) -> list[str]:
    packages = run.packages
    rows = (
        ("`npm ci`", packages.npm),
        ("`bun install`, from npm's lock file", packages.bun),
        ("`npm ci` again, where Bun had installed", packages.again),
    )
    apps = ((f"{one.installer}'s packages", one) for one in (run.with_bun, run.with_npm))
    return [
        "| installed by | seconds | packages | others than before |",
        "|---|---|---|---|",
        *(f"| {what} | {one.seconds:.1f} | {len(one.packages)} "
          f"| {len(one.packages ^ packages.npm.packages)} |" for what, one in rows),
        "",
        *(f"- The app behind PM2 with {what}, under {one.runtime}: {one.load.requests} requests, "
          f"{one.load.failed} failed." for what, one in apps),
    ]  # fmt: skip


def _recovery(run: Run) -> list[str]:
    healed, recreated = run.healed, run.recreated
    begun = ", ".join(f"{name}: {count}" for name, count in sorted(recreated.held.items()))
    kept = ", ".join(f"{name}: {count}" for name, count in sorted(recreated.kept.items()))
    by_docker = (
        f"a process killed; Docker started it again ({healed.restarts}), all were ready after "
        f"{healed.seconds:.1f} s; it had begun {healed.held}"
    )
    by_compose = (
        f"every container killed and removed, with work begun by {begun or 'none'}; "
        f"{recreated.first} came back alone and did its own, the rest waited for the executors "
        f"that had begun it ({kept or 'none'}), until {', '.join(recreated.back)} were back"
    )
    by_heirs = "one replica after the other killed; what none came back for was taken over"
    rows = (
        (by_docker, healed.orders),
        (by_compose, recreated.orders),
        (by_heirs, run.taken_over),
    )
    return [
        "| what was done | orders | lost | not exactly once | went through a step again |",
        "|---|---|---|---|---|",
        *(f"| {says} | {one.orders} | {one.lost} | {one.wrong} | {one.repeated} |"
          for says, one in rows),
    ]  # fmt: skip


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, "", *_listed(lines)] if lines else []


def _listed(lines: Sequence[str]) -> list[str]:
    return [f"- {one}" for one in lines]
