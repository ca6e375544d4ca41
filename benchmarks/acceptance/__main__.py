"""Plays the migration on real parts, and says with measured figures whether it is accepted.

As it was behind PM2, with 1, 2 and 4 workers; with Bun's packages, and with npm's again; the app
under Node in containers; under Bun; at 1, 3 and 6 replicas; with a frozen replica, with killed
ones; back to Node and forward again under traffic. Writes a report to ``build/acceptance.md``; the
last line of the output is one JSON object.
"""

from __future__ import annotations

import signal
import sys
from typing import Final

from benchmarks.acceptance import acts, before, recovery, report
from benchmarks.acceptance.acts import NODE, Outcome, Stock
from benchmarks.acceptance.before import PM2, PM2_BUN, WORKERS, Behind
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
                "ORPHANED_MS": recovery.HEIRS,
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
    growth: list[Behind] = []
    goods: Stock = {}
    for workers in WORKERS:
        with progress.step(f"as it was: {workers} workers behind PM2") as step:
            step.say("bringing it up")
            before.bring_up(stack, workers=workers)
            goods = goods or acts.stock(stack)
            growth.append(behind := before.at_work(stack))
            accepted += behind.load.accepted
            step.outcome = f"{behind.workers} workers hold {behind.load.held} connections"
    with progress.step("audit of it") as step:
        audit_before = acts.audited(stack, PM2)
        step.outcome = str(dict(audit_before.tally))
    with progress.step("the package manager") as step:
        packages = before.packages(step)
        step.say("the app with Bun's packages, still Node behind PM2")
        before.bring_up(stack, PM2_BUN)
        with_bun = before.at_work(stack)
        step.say("the app with npm's packages again")
        before.bring_up(stack)
        with_npm = before.at_work(stack)
        accepted += (*with_bun.load.accepted, *with_npm.load.accepted)
        step.outcome = (
            f"{len(packages.npm.packages)} packages in {packages.npm.seconds:.1f} s, "
            f"then in {packages.bun.seconds:.1f} s"
        )
    with progress.step("one process per container, still Node") as step:
        step.say("giving PM2's workers something to leave behind")
        accepted += before.in_hand(stack)
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
            ids[replicas] = frozenset(
                stack.engine.inspect(name)["Image"] for name in stack.replicas()
            )
            step.outcome = f"{load.held} connections of {load.declared}, {load.requests} requests"
    with progress.step("a frozen replica") as step:
        frozen = acts.frozen(stack)
        accepted += frozen.accepted
        step.outcome = f"out after {frozen.seconds:.1f} s, {len(frozen.failures)} requests failed"
    with progress.step("a killed process, which Docker starts again") as step:
        recovery.let_inherit(stack, recovery.NO_HEIRS)
        healed = recovery.healed(stack)
        step.outcome = f"ready after {healed.seconds:.1f} s; {told(healed.orders)}"
    with progress.step("every container killed and removed, then one made anew, then all") as step:
        recreated = recovery.recreated(stack)
        step.outcome = told(recreated.orders)
    with progress.step("back to Node under traffic") as step:
        back = acts.replaced(stack, "rollback", desk.NODE, "node")
        back_orders = acts.outcome(stack, list(back.accepted))
        programs_back = acts.runtimes(stack)
        step.outcome = f"{back.requests} requests, {len(back.failures)} failed"
    with progress.step("forward to Bun under traffic") as step:
        forward = acts.replaced(stack, "roll", desk.BUN, "bun")
        forward_orders = acts.outcome(stack, list(forward.accepted))
        step.outcome = f"{forward.requests} requests, {len(forward.failures)} failed"
    with progress.step("one replica after the other killed, its work left to others") as step:
        recovery.let_inherit(stack, recovery.HEIRS)
        taken_over = recovery.taken_over(stack)
        step.outcome = told(taken_over)
    with progress.step("what is left") as step:
        rest = acts.outcome(stack, accepted)
        astray = acts.astray(goods, acts.stock(stack))
        # The agent may have counted workflows while they waited for heirs, and counts now and then.
        stack.wait_until_ready(REPLICAS, within=_READY)
        step.outcome = f"{rest.orders} other orders, {rest.lost} lost; {astray} goods astray"
    return Run(
        growth, audit_before, packages, with_bun, with_npm, dict(sorted(loads.items())), ids,
        acts.processes(stack), acts.runtimes(stack), programs_back, frozen, healed, recreated,
        taken_over, back, back_orders, forward, forward_orders, rest, astray,
    )  # fmt: skip


def told(orders: Outcome) -> str:
    """What became of them, in a line."""
    return f"{orders.orders} orders, {orders.lost} lost, {orders.wrong} not done exactly once"


if __name__ == "__main__":
    sys.exit(main())
