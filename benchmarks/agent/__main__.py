"""``python -m benchmarks.agent``: what the agent costs beside 3 and beside 30 replicas.

The quickstart's real stack is brought up once per size. The agent's container is measured, then the
stack with nobody looking, then with Docker's HEALTHCHECK looking as often as the agent does. The
last line of stdout is one JSON object. Exit code 0: the promise holds, which is under 2 % of a core
and 90 MB resident beside 3 replicas, and one Postgres connection beside any number. 1: it does not,
or nothing could be measured. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.agent import cost, table
from benchmarks.agent.stack import Healthcheck, Stack
from benchmarks.agent.table import AGENT, Size
from examples.quickstart.tour.condition import NotReached
from provision import quickstart
from provision.engine import Engine
from provision.errors import ProvisionError
from provision.progress import Progress

_PROMISED_FOR: Final = 3
_CPU_PERCENT: Final = 2.0
_RSS_MB: Final = 90.0
_CONNECTIONS: Final = 1

_PEERS: Final[Mapping[str, Healthcheck]] = {
    "HEALTHCHECK with healthprobe, /livez": "healthprobe",
    "HEALTHCHECK with bun -e fetch, /livez": "bun",
}
_ROOM: Final = 0.8
"""Share of the machine up to which a measurement is one of the checks and not of their queue."""


def main() -> int:
    """Run the command; return its exit code."""
    options = _options()
    # So that the stack is removed: by default SIGTERM ends Python on the spot.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    progress = Progress()
    try:
        found = quickstart.ensure(progress)
        with Stack(found) as stack:
            run = Run(found, stack, options.seconds, progress)
            sizes: list[Size] = []
            for replicas in sorted(set(options.replicas)):
                sizes.append(run.size(replicas, sizes, _PEERS if options.peers else {}))
    except (ProvisionError, NotReached) as error:
        print(f"\nThe benchmark ends here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    faults = [line for size in sizes for line in broken(size)]
    for line in faults:
        print(line, file=sys.stderr)
    print(table.text(sizes, options.seconds))
    print(table.document(sizes), flush=True)
    return 1 if faults else 0


class Run:
    """One stack, measured in one size after another."""

    def __init__(self, engine: Engine, stack: Stack, seconds: float, progress: Progress) -> None:
        self._engine = engine
        self._stack = stack
        self._seconds = seconds
        self._progress = progress

    def size(self, replicas: int, smaller: list[Size], peers: Mapping[str, Healthcheck]) -> Size:
        """Measure the agent, nobody, and those peers that this machine has room for."""
        with self._progress.step(f"{replicas} replicas, {AGENT}") as step:
            step.say("bringing the stack up")
            self._stack.up(replicas, "none")
            step.say(f"measuring for {self._seconds:g} s")
            agent, watched = cost.agent(
                self._engine,
                self._stack.agent,
                self._stack.agent_connections,
                self._stack.first_processes,
                self._seconds,
            )
            step.outcome = f"{agent.cpu_percent:.2f} % of a core, {agent.rss_mb:.1f} MB"
        with self._progress.step(f"{replicas} replicas, nobody") as step:
            self._stack.stop_agent()
            step.say(f"measuring for {self._seconds:g} s")
            idle = cost.stack(self._stack.first_processes, self._seconds)
            step.outcome = f"stack and Engine take {idle.percent:.1f} % of a core"
        stack = {AGENT: watched.above(idle)}
        skipped: dict[str, float] = {}
        for who, healthcheck in peers.items():
            expected = _expected(who, replicas, smaller)
            if expected and expected + idle.percent > _ROOM * 100 * (os.cpu_count() or 1):
                skipped[who] = expected
            else:
                stack[who] = self._peer(replicas, who, healthcheck).above(idle)
        return Size(replicas, agent, idle, stack, skipped)

    def _peer(self, replicas: int, who: str, healthcheck: Healthcheck) -> cost.StackCost:
        with self._progress.step(f"{replicas} replicas, {who}") as step:
            step.say("bringing the replicas up anew")
            self._stack.up(replicas, healthcheck)
            self._stack.stop_agent()
            step.say(f"measuring for {self._seconds:g} s")
            whole = cost.stack(self._stack.first_processes, self._seconds)
            step.outcome = f"stack and Engine take {whole.percent:.1f} % of a core"
        return whole


def _expected(who: str, replicas: int, smaller: list[Size]) -> float:
    """What a peer would take by the next smaller size; 0 where there is none to go by."""
    if not smaller:
        return 0.0
    last = smaller[-1]
    known = last.stack[who].percent if who in last.stack else last.skipped[who]
    return known * replicas / last.replicas


def broken(size: Size) -> list[str]:
    """What does not hold of the promise."""
    return [*_too_much(size), *_connections(size)]


def _too_much(size: Size) -> Iterator[str]:
    """What the agent takes of the machine is promised beside a few replicas."""
    if size.replicas > _PROMISED_FOR:
        return
    taken = (
        ("CPU", size.agent.cpu_percent, _CPU_PERCENT, "% of a core"),
        ("resident memory", size.agent.rss_mb, _RSS_MB, "MB"),
    )
    for what, value, most, unit in taken:
        if value >= most:
            yield (
                f"too much {what} beside {size.replicas} replicas: {value:.2f} {unit}; "
                f"the promise is less than {most:g}"
            )


def _connections(size: Size) -> Iterator[str]:
    """None would mean that it did not look into Postgres, and its figures are of something else."""
    if size.agent.pg_connections != _CONNECTIONS:
        yield (
            f"{size.agent.pg_connections} Postgres connections beside {size.replicas} replicas; "
            f"the promise is {_CONNECTIONS}"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agent",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds", type=_positive, default=30.0, help="of each measurement (%(default)g)"
    )
    parser.add_argument(
        "--replicas", type=_count, nargs="+", default=[3, 30], metavar="N",
        help="the sizes, from 2 to 30 (3 30)",
    )  # fmt: skip
    parser.add_argument(
        "--no-peers", dest="peers", action="store_false", help="measure the agent alone"
    )
    return parser.parse_args()


def _positive(text: str) -> float:
    seconds = float(text)
    if not 4 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("must be from 4 to 3600")
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if not 2 <= count <= 30:
        raise argparse.ArgumentTypeError("must be from 2 (the quorum) to 30 (Postgres's limits)")
    return count


if __name__ == "__main__":
    sys.exit(main())
