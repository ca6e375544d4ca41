"""Counts what is left of many real HEALTHCHECK runs: python -m tests.system.probe.leaks [RUNS]

Containers of the empty image, each with the fragment's own HEALTHCHECK at the shortest interval
that the Engine has: in one the application answers, in the others it takes every connection and
says nothing, so that each run ends by the deadline of the probe. No `--init`: nothing reaps there.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from provision import engine as docker_engine
from tests.system.probe.images import CONFINED, Made, built, processes

DEFAULT_RUNS = 10_000
SILENT = 6
LONGEST_SECONDS = 3600.0
LONGER_THAN_A_CHECK = 30.0  # Docker itself ends one after 5 s; a busy machine adds to that


@dataclass(frozen=True, slots=True)
class Left:
    """What the runs left behind."""

    runs: int
    timeouts: int
    processes: list[list[str]]
    """Of each container: the names of those that stayed. Its application is the only one."""
    seconds: float


def count(image: Made, runs: int) -> Left:
    """Run as many checks, and list the processes of all containers once the last has ended."""
    began = time.monotonic()
    often = ("--health-interval", "1ms", *CONFINED)
    answers = image.start(*often)
    silent = [image.start(*often, command=("/bun", "silent")) for _ in range(SILENT)]
    while _asked(image, answers) + sum(_asked(image, one) for one in silent) < runs:
        if time.monotonic() - began > LONGEST_SECONDS:
            raise TimeoutError(f"{runs} checks took more than {LONGEST_SECONDS:.0f} s")
        time.sleep(0.5)
    timed_out = sum(_asked(image, one) for one in silent)
    asked = _asked(image, answers)
    found = _stayed(image, [answers, *silent])
    image.engine.docker("rm", "--force", answers, *silent)
    return Left(asked + timed_out, timed_out, found, time.monotonic() - began)


def _asked(image: Made, container: str) -> int:
    """How many connections the application took: it writes one line for each."""
    return image.engine.docker("logs", container).count("\n")


def _stayed(image: Made, containers: list[str]) -> list[list[str]]:
    """The processes that are there now and after longer than a check may take: those that are left.

    A check is always under way, since 1 ms lies between two; it is another one then.
    """
    left = [processes(container, image.engine) for container in containers]
    until = time.monotonic() + LONGER_THAN_A_CHECK
    while any(len(one) > 1 for one in left) and time.monotonic() < until:
        time.sleep(0.2)
        now = [processes(container, image.engine) for container in containers]
        left = [
            {pid: name for pid, name in one.items() if pid in there}
            for one, there in zip(left, now, strict=True)
        ]
    return [list(one.values()) for one in left]


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_RUNS
    with built(docker_engine.ensure(), "empty") as image:
        left = count(image, runs)
    sys.stdout.write(f"{left}\n")
    return 0 if all(found == ["bun"] for found in left.processes) else 1


if __name__ == "__main__":
    sys.exit(main())
