"""What the run measured, as a report for people and as one line for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.acceptance.acts import Audit, Change, Frozen, Load, Outcome

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

    before: Load
    workers: int
    audit_before: Audit
    loads: Mapping[int, Load]
    images: Mapping[int, frozenset[str]]
    """By number of replicas the ids of the images that they ran."""
    processes: Sequence[str]
    programs: Mapping[str, str]
    """By replica what was PID 1 in the end."""
    programs_back: Mapping[str, str]
    """And what it was after the way back."""
    frozen: Frozen
    killed: Outcome
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
        return (self.killed, self.back_orders, self.forward_orders, self.rest)

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
            and self.killed.repeated > 0,
            self.frozen.served > 0 and self.frozen.failed == 0,
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
    if run.before.held <= run.before.declared:
        found.append("what was behind PM2 held no more connections than one container declares")
    return found


def line(run: Run) -> str:
    """The last line: what a machine needs to know."""
    return json.dumps({
        "criteria": len(_CRITERIA),
        "met": sum(run.met),
        "lost": run.lost,
        "rollback_lost": run.rollback_lost,
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
            f"{run.killed.orders} orders while every replica was killed and made anew: "
            f"{run.killed.lost} lost, {run.killed.wrong} not done exactly once, "
            f"{run.killed.repeated} went through a step again; of {run.rest.orders} others, begun "
            f"behind PM2, under load and beside a frozen replica, {run.rest.lost} lost, "
            f"{run.rest.wrong} not done exactly once; {run.astray} goods astray"
        ),
        (
            f"out after {run.frozen.seconds:.1f} s; then {run.frozen.served} requests served by "
            f"others, {run.frozen.failed} failed"
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
    failures = (*run.back.failures, *run.forward.failures)
    before = (
        f"{run.workers} workers behind PM2 in one container held {run.before.held} connections "
        f"under load, where one container declares {run.before.declared}."
    )
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
        before,
        "",
        "| audit | before | after |",
        "|---|---|---|",
        *(f"| {outcome} | {run.audit_before.tally.get(outcome, 0)} | {count} |"
          for outcome, count in after.tally.items()),
        *_section("## Open before it", run.audit_before.open),
        *_section("## Open after it", after.open),
        *_section("## Requests that failed while replicas were replaced", failures),
        "",
    ])  # fmt: skip


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, "", *_listed(lines)] if lines else []


def _listed(lines: Sequence[str]) -> list[str]:
    return [f"- {one}" for one in lines]
