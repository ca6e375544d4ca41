"""``python -m benchmarks.routing``: what is lost while replicas are rolled, killed, frozen, sick.

Three replicas of a Bun app stand behind three real Traefiks: one told by the agent, one with the
Docker provider and HEALTHCHECK (5 s, twice), one with its own active check (1 s). An open-loop
client sends 200 requests a second, one in ten a POST, by the way that is tried; what has no good
answer after 3 s is lost. Then the supervisor and docker-autoheal's rules heal the same replicas:
``healing.py``. The last line of stdout is one JSON object. Exit code 0: what is promised of the
agent holds. 1: it does not, or nothing could be measured. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from typing import Any, Final

from benchmarks.routing import healing, promise, table
from benchmarks.routing.arms import ARMS, Bench
from benchmarks.routing.stack import Stack
from provision import agent, app, engine, images, projects
from provision.engine import Engine
from provision.errors import ProvisionError
from provision.progress import Progress

_RATE: Final = 200.0
_HEALING: Final = "supervisor"
"""Names both arms of ``healing.py``, which are measured together."""


def main() -> int:
    """Run the command; return its exit code."""
    options = _options()
    # So that the stack is removed: by default SIGTERM ends Python on the spot.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    progress = Progress()
    only = set(options.only)
    results: dict[str, dict[str, Any]] = {}
    healed: dict[str, healing.Figures] = {}
    failed: list[str] = []
    try:
        found = _provided(progress)
        if only != {_HEALING}:
            _route(found, options.rate, only - {_HEALING}, progress, results, failed)
        if not only or _HEALING in only:
            healed = healing.measure(found, progress)
    except (ProvisionError, TimeoutError) as error:
        print(f"\nThe benchmark ends here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    broken = [*failed, *promise.broken(results), *healing.broken(healed)]
    for line in broken:
        print(line, file=sys.stderr)
    if results:
        print(table.text(results))
    if healed:
        print(healing.text(healed))
    print(json.dumps(results | healed), flush=True)
    return 1 if broken else 0


def _route(
    found: Engine,
    rate: float,
    only: set[str],
    progress: Progress,
    results: dict[str, dict[str, Any]],
    failed: list[str],
) -> None:
    with Stack(found) as stack:
        with progress.step("the stack") as step:
            stack.up()
            for front in stack.fronts.values():
                stack.settle(front)
            step.outcome = "three replicas behind each Traefik"
        _run(Bench(stack, rate), only, progress, results, failed)


def _run(
    bench: Bench,
    only: set[str],
    progress: Progress,
    results: dict[str, dict[str, Any]],
    failed: list[str],
) -> None:
    for way, (front, arms) in ARMS.items():
        for name, arm in arms.items():
            if only and not {way, f"{way}.{name}"} & only:
                continue
            with progress.step(f"{way}.{name}") as step:
                try:
                    figures = arm(bench, bench.stack.fronts[front])
                except (ProvisionError, TimeoutError) as error:
                    bench.stack.heal()
                    failed.append(f"{way}.{name}: {error}")
                    step.warn(str(error))
                    continue
                results.setdefault(way, {})[name] = figures
                step.outcome = table.line(figures)


def _provided(progress: Progress) -> Engine:
    """The engine with all images, and nothing on it that a killed run left."""
    found = engine.ensure(progress)
    projects.sweep(found)
    images.ensure(found, progress)
    agent.ensure(found, progress)
    app.ensure(found, progress)
    return found


def _options() -> argparse.Namespace:
    names = [f"{way}.{name}" for way, (_, arms) in ARMS.items() for name in arms]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.routing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="ARM", choices=sorted([*ARMS, *names, _HEALING]),
        help="arms, such as agent.kill; all of a way, such as agent; or who heals: supervisor",
    )  # fmt: skip
    parser.add_argument("--rate", type=_rate, default=_RATE, help="requests a second (%(default)g)")
    return parser.parse_args()


def _rate(text: str) -> float:
    rate = float(text)
    if not 1 <= rate <= 2000:
        raise argparse.ArgumentTypeError("must be from 1 to 2000")
    return rate


if __name__ == "__main__":
    sys.exit(main())
