"""``python -m benchmarks.soak``: is anything healthy ever called failed?

Six replicas of the quickstart's real stack work for ten minutes: wrk asks the app through Traefik
for a page, and for what either pool knows; pgbench works on its database server, workflows are
started, and each core is kept busy besides. Nothing is broken, so that whatever the agent calls
failed, or takes out of rotation, is called so wrongly, and a request that no page answers is lost
for nothing. That a replica is slow, or has more to do than it can, may be true meanwhile: it is
counted apart. The last line of stdout is one JSON object. Exit code 0: no false failure, nothing
lost, and all workflows ended well. 1: that is not so. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from benchmarks.agent.stack import Stack
from benchmarks.soak.load import (
    CLIENTS,
    Asked,
    Pgbench,
    Transactions,
    Users,
    Workflows,
    busy_cores,
    lost,
)
from examples.quickstart.tour.condition import NotReached, Seen, until
from provision import apt, quickstart
from provision.engine import Engine
from provision.errors import ProvisionError
from provision.progress import Progress
from tests.system.modes.feed import Feed, Told

_REPLICAS: Final = 6
_MINUTES: Final = 10.0
_FALSE: Final = ("failed", "not live", "not ready")
_STATUSES: Final = "SELECT status, count(*) FROM dbos.workflow_status GROUP BY status"
_WELL: Final = "SUCCESS"
"""What DBOS calls a workflow that ended well."""

_ENDED: Final = 60.0
"""Seconds within which the last workflows end, once the load has. Each pauses for 2 s."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it. ``queued`` counts the answers to who started a workflow, ``workflows`` what
    became of them, by DBOS's status; ``told`` is what the agent said of the replicas."""

    seconds: float
    asked: Asked
    transactions: Transactions
    queued: Mapping[str, int]
    workflows: Mapping[str, int]
    told: tuple[Told, ...]

    @property
    def false(self) -> list[Told]:
        """The failures that were told."""
        return [told for told in self.told if told.after in _FALSE]

    @property
    def degraded(self) -> Counter[str]:
        """What else was told of a replica, by check and code."""
        return _counted(told for told in self.told if told.check and told.after == "degraded")

    @property
    def _requests(self) -> int:
        return sum(self.asked.answers.values())

    @property
    def passed(self) -> bool:
        """Whether all parts of the load did work, and all of it went well."""
        return (
            not self.false
            and not lost(self.asked.answers)
            and not lost(self.queued)
            and not self.transactions.failed
            and all((self._requests, self.transactions.done, self.queued))
            and set(self.workflows) == {_WELL}
        )

    @property
    def figures(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "passed": self.passed,
            "replicas": _REPLICAS,
            "cores": os.cpu_count(),
            "seconds": round(self.seconds),
            "clients": CLIENTS,
            "requests": self._requests,
            "requests_lost": lost(self.asked.answers),
            "p50_ms": self.asked.p50_ms,
            "p99_ms": self.asked.p99_ms,
            "transactions": self.transactions.done,
            "transactions_failed": self.transactions.failed,
            "workflows": dict(self.workflows),
            "workflows_refused": lost(self.queued),
            "false_failures": _counted(self.false),
            "degraded": self.degraded,
        }


def _counted(told: Iterable[Told]) -> Counter[str]:
    """By check and code; what is told of a replica as a whole says that of a check again."""
    return Counter(f"{one.check or one.after} {one.code}" for one in told)


def main() -> int:
    """Run the command; return its exit code."""
    options = _options()
    # So that the stack is removed: by default SIGTERM ends Python on the spot.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    progress = Progress()
    try:
        found = _provided(progress)
        with Stack(found) as stack:
            soaked = _soak(found, stack, options.minutes * 60, progress)
    except (ProvisionError, NotReached, subprocess.SubprocessError) as error:
        print(f"\nThe soak ends here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for told in soaked.false:
        print(f"FALSE  {told}")
    for what, count in sorted(soaked.degraded.items()):
        print(f"{count:6}  {what}")
    print(json.dumps(soaked.figures), flush=True)
    return 0 if soaked.passed else 1


def _soak(found: Engine, stack: Stack, seconds: float, progress: Progress) -> Soaked:
    with progress.step(f"{_REPLICAS} replicas") as step:
        step.say("bringing the stack up")
        stack.up(_REPLICAS, "none")
        step.outcome = "ready"
    with progress.step(f"{seconds:g} s under load") as step, ExitStack() as load:
        feed = load.enter_context(Feed(stack.url("agent", 9180)))
        bench = load.enter_context(Pgbench(found, stack.container("postgres"), seconds))
        app = stack.url("traefik", 8000)
        workflows = Workflows(f"{app}/jobs")
        users = load.enter_context(Users(app, workflows.ask(), seconds))
        begun = time.monotonic()
        load.enter_context(busy_cores())
        load.enter_context(workflows)
        while (left := begun + seconds - time.monotonic()) > 0:
            time.sleep(min(left, 30.0))
            false = sum(told.after in _FALSE for told in feed.since(0))
            step.say(f"{time.monotonic() - begun:.0f} s, {false} false failures")
            if not feed.lives:
                raise NotReached("the agent ended its feed: look at its log")
        asked, transactions = users.finish(), bench.finish()
        took, told = time.monotonic() - begun, feed.since(0)
        step.outcome = "done"
    with progress.step("the last workflows") as step:
        with suppress(NotReached):  # the figures tell
            until("every workflow has ended well", partial(_ended_well, stack), within=_ENDED)
        step.outcome = "waited for"
    return Soaked(took, asked, transactions, workflows.answers, _statuses(stack), tuple(told))


def _ended_well(stack: Stack) -> Seen:
    statuses = _statuses(stack)
    return Seen(set(statuses) == {_WELL}, str(statuses))


def _statuses(stack: Stack) -> dict[str, int]:
    """How many workflows have which status."""
    rows = (line.split("|") for line in stack.query("quickstart", _STATUSES).splitlines())
    return {status: int(count) for status, count in rows}


def _provided(progress: Progress) -> Engine:
    """The engine with all images, and nothing on it that a killed run left; and wrk."""
    with progress.step("wrk") as step:
        if shutil.which("wrk") is None:
            apt.install(step, "wrk")
        step.outcome = "there"
    return quickstart.ensure(progress)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=_minutes, default=_MINUTES, help="how long (%(default)g)")
    return parser.parse_args()


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0.1 <= minutes <= 1440:
        raise argparse.ArgumentTypeError("must be from 0.1 to 1440")
    return minutes


if __name__ == "__main__":
    sys.exit(main())
