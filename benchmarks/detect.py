"""``python -m benchmarks.detect``: how soon each failure mode is named for what it is.

The modes are those that the system tests hold the agent to, on the quickstart's real stack: see
``tests/system/modes/table.py``. Each is inflicted on a replica of its own; the time is from the
fault, or from Docker's being asked to start a container that has it, until the agent's feed of
transitions tells the reason. The last line of stdout is one JSON object. Exit code 0: each was
named rightly, on its replica alone, and cleared when healed. 1: one was not. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import statistics
import sys
from collections.abc import Sequence

from examples.quickstart.tour.condition import NotReached
from provision import owner, quickstart
from provision.errors import ProvisionError
from provision.progress import Progress
from tests.system.modes.table import MODES, Mode
from tests.system.modes.trial import Outcome, try_all
from tests.system.quickstart import Quickstart

_READY = 90.0


def main() -> int:
    """Run the command; return its exit code."""
    wanted = _options().only
    modes = [mode for mode in MODES if not wanted or mode.name in wanted or mode.lane in wanted]
    # So that the stack is removed: by default SIGTERM ends Python on the spot.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        outcomes = _measured(modes)
    except (ProvisionError, NotReached) as error:
        print(f"\nThe benchmark ends here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_table(outcomes))
    wrong = sum(bool(outcome.wrong) for outcome in outcomes)
    took = [outcome.detected for outcome in outcomes if outcome.detected is not None]
    figures = {
        "modes": len(outcomes),
        "wrong": wrong,
        "median_s": round(statistics.median(took), 2) if took else None,
        "p99_s": round(_percentile(took, 0.99), 2) if took else None,
    }
    print(json.dumps(figures), flush=True)
    return 1 if wrong else 0


def _measured(modes: Sequence[Mode]) -> list[Outcome]:
    progress = Progress()
    found = quickstart.ensure(progress)
    stack = Quickstart(found, owner.new_name("m"))
    try:
        with progress.step("the stack") as step:
            stack.compose.up()
            stack.agent.wait_until_ready(stack.replicas, within=_READY)
            step.outcome = "ready"
        with progress.step(f"{len(modes)} modes") as step:
            told: list[Outcome] = []

            def hear(outcome: Outcome) -> None:
                told.append(outcome)
                went = f"WRONG: {outcome.wrong}" if outcome.wrong else _seconds(outcome.detected)
                step.say(f"{len(told)} of {len(modes)}: {outcome.mode.name}: {went}")

            outcomes = try_all(stack, modes, hear)
            step.outcome = f"{sum(not outcome.wrong for outcome in outcomes)} named rightly"
        return outcomes
    finally:
        stack.heal()
        stack.compose.down()


def _table(outcomes: Sequence[Outcome]) -> str:
    rows = [("mode", "reason", "named after", "ready again after")]
    rows += [
        (
            outcome.mode.name,
            f"{outcome.mode.check} {outcome.mode.code}",
            _seconds(outcome.detected),
            _seconds(outcome.healed),
        )
        for outcome in outcomes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += [
        f"WRONG  {outcome.mode.name}: {outcome.wrong}" for outcome in outcomes if outcome.wrong
    ]
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME",
        choices=sorted({mode.name for mode in MODES} | {mode.lane for mode in MODES}),
        help="these modes, or those of these lanes",
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
