"""Plays the migration on real parts, and says with measured figures whether it is accepted.

As it was behind PM2; the same app under Node in containers; under Bun; at 1, 3 and 6 replicas; with
a frozen replica, with killed ones; back to Node and forward again under traffic. Not the change of
the package manager: every image has the packages that Bun installed. Writes a report to
``build/acceptance.md``; the last line of the output is one JSON object.
"""

from __future__ import annotations

import signal
import sys
from typing import Final

from benchmarks.acceptance import acts, report
from benchmarks.acceptance.acts import NODE, PM2
from benchmarks.acceptance.collector import Collector
from benchmarks.acceptance.desk import Desk
from benchmarks.acceptance.report import Run
from examples.quickstart.tour.condition import NotReached
from provision import agent, desk, engine, images, owner, projects
from provision.errors import ProvisionError
from provision.paths import BUILD
from provision.progress import Progress

REPLICAS: Final = 3
SCALES: Final = (1, 6, 3)
REPORT: Final = BUILD / "acceptance.md"
FIGURES: Final = BUILD / "acceptance.json"
_READY: Final = 180.0


def main() -> int:
    """Run the whole; exit 0 where it is accepted: see ``report.faults``."""
    # So that the stack is removed: by default SIGTERM ends Python on the spot.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    progress = Progress()
    try:
        found = engine.ensure(progress)
        images.ensure(found, progress)
        agent.ensure(found, progress)
        desk.ensure(found, progress, desk.TAGS)
        projects.sweep(found)
        with Collector() as collector:
            stack = Desk(found, owner.new_name("acc"), {
                "WORK_MS": "200",
                "ORPHANED_MS": "5000",
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url(found),
                "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            })  # fmt: skip
            try:
                run = play(stack, progress)
                FIGURES.write_text(report.line(run))
                with progress.step("audit") as step:
                    seen = ("--metrics", collector.metrics, "--acceptance", str(FIGURES))
                    after = acts.audited(stack, more=seen)
                    step.outcome = str(dict(after.tally))
            finally:
                stack.down()
    except (ProvisionError, NotReached) as error:
        print(f"\nThe run ends here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    REPORT.write_text(report.markdown(run, after))
    print(report.markdown(run, after))
    print(report.line(run), flush=True)
    return 1 if report.faults(run, after) else 0


def play(stack: Desk, progress: Progress) -> Run:
    """The acts, in their order."""
    accepted: list[str] = []
    with progress.step("as it was: Node behind PM2") as step:
        step.say("bringing it up")
        stack.up(1, PM2)
        before, workers, goods = acts.as_it_was(stack)
        accepted += before.accepted
        audit_before = acts.audited(stack, PM2)
        step.outcome = f"{workers} workers hold {before.held} connections"
    with progress.step("one process per container, still Node") as step:
        step.say("giving PM2's workers something to leave behind")
        accepted += acts.in_hand(stack)
        step.say(f"{REPLICAS} replicas")
        stack.up(REPLICAS, NODE)
        stack.wait_until_ready(REPLICAS, within=_READY)
    with progress.step("Bun") as step:
        stack.up(REPLICAS)
        stack.wait_until_ready(REPLICAS, within=_READY)
    loads, ids = {}, {}
    for replicas in SCALES:
        with progress.step(f"{replicas} replicas under load") as step:
            loads[replicas] = load = acts.scaled(stack, replicas)
            accepted += load.accepted
            ids[replicas] = frozenset(stack.inspect(name)["Image"] for name in stack.replicas())
            step.outcome = f"{load.held} connections of {load.declared}, {load.requests} requests"
    with progress.step("a frozen replica") as step:
        frozen = acts.frozen(stack)
        accepted += frozen.accepted
        step.outcome = f"out after {frozen.seconds:.1f} s, {frozen.failed} requests failed"
    with progress.step("every replica killed and made anew, with work in hand") as step:
        killed = acts.outcome(stack, acts.killed(stack, REPLICAS))
        step.outcome = (
            f"{killed.orders} orders, {killed.lost} lost, {killed.wrong} not done exactly once"
        )
    with progress.step("back to Node under traffic") as step:
        back = acts.replaced(stack, "rollback", desk.NODE, "node")
        back_orders = acts.outcome(stack, list(back.accepted))
        programs_back = acts.runtimes(stack)
        step.outcome = f"{back.requests} requests, {len(back.failures)} failed"
    with progress.step("forward to Bun under traffic") as step:
        forward = acts.replaced(stack, "roll", desk.BUN, "bun")
        forward_orders = acts.outcome(stack, list(forward.accepted))
        step.outcome = f"{forward.requests} requests, {len(forward.failures)} failed"
    with progress.step("what is left") as step:
        rest = acts.outcome(stack, accepted)
        astray = acts.astray(goods, acts.stock(stack))
        step.outcome = f"{rest.orders} other orders, {rest.lost} lost; {astray} goods astray"
    return Run(
        before, workers, audit_before, dict(sorted(loads.items())), ids,
        acts.processes(stack), acts.runtimes(stack), programs_back, frozen, killed,
        back, back_orders, forward, forward_orders, rest, astray,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
