"""``python -m benchmarks.soak``: is anything healthy ever called failed?

Six replicas of the quickstart's real stack work for ten minutes: wrk asks the app through Traefik,
pgbench its database, workflows are queued, and each core is kept busy besides. Nothing is broken,
so that whatever the agent calls failed, or takes out of rotation, is called so wrongly. That a
replica is slow, or has more to do than it can, may be true meanwhile: it is counted apart. The last
line of stdout is one JSON object. Exit code 0: no false failure. 1: there was one, or a part of the
load did not work. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.agent.stack import Stack
from examples.quickstart.tour.condition import NotReached
from provision import apt, quickstart
from provision.engine import Engine
from provision.errors import ProvisionError
from provision.progress import Progress
from tests.system.modes.feed import Feed, Told

_REPLICAS = 6
_MINUTES = 10.0
_CLIENTS = 16
"""Of wrk, each of which asks anew as soon as it was answered."""
_PGBENCH = "pgbench --username=postgres --client=4 --jobs=1 --no-vacuum"
_QUEUE = 5.0
"""Workflows a second."""
_FALSE = ("failed", "not live", "not ready")
_SPIN = "while True: pass"
_FINISH = 30.0
"""Seconds that the generators of load may take to end and report, on busy cores."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it. ``false`` are the failures that were told, ``passing`` counts by check and
    code what else was told of a replica."""

    seconds: float
    requests: int
    errors: int
    transactions: int
    workflows: int
    false: tuple[Told, ...]
    passing: Counter[str]


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
    for what, count in sorted(soaked.passing.items()):
        print(f"{count:6}  {what}")
    print(json.dumps({
        "replicas": _REPLICAS,
        "seconds": round(soaked.seconds),
        "requests": soaked.requests,
        "request_errors": soaked.errors,
        "transactions": soaked.transactions,
        "workflows": soaked.workflows,
        "false_failures": len(soaked.false),
        "degraded": sum(soaked.passing.values()),
    }), flush=True)  # fmt: skip
    worked = soaked.requests and soaked.transactions and soaked.workflows
    return 0 if worked and not soaked.false else 1


def _soak(found: Engine, stack: Stack, seconds: float, progress: Progress) -> Soaked:
    with progress.step(f"{_REPLICAS} replicas") as step:
        step.say("bringing the stack up")
        stack.up(_REPLICAS, "none")
        postgres = stack.container("postgres")
        # Tables of its own, in a database of its own, on the server that the replicas use.
        found.docker("exec", postgres, "createdb", "--username=postgres", "bench")
        found.docker("exec", postgres, "pgbench", "--username=postgres", "--initialize", "bench")
        step.outcome = "ready"
    with progress.step(f"{seconds:g} s under load") as step, ExitStack() as load:
        feed = load.enter_context(Feed(stack.url("agent", 9180)))
        begun = time.monotonic()
        load.enter_context(_busy_cores())
        queue = load.enter_context(_queued(f"{stack.url('traefik', 8000)}/jobs"))
        wrk = _started(
            "wrk", "--threads=1", f"--connections={_CLIENTS}", f"--duration={seconds:.0f}s",
            "--timeout=5s", stack.url("traefik", 8000),
        )  # fmt: skip
        bench = _started(
            "docker", "--host", found.host, "exec", postgres,
            *_PGBENCH.split(), f"--time={seconds:.0f}", "bench",
        )  # fmt: skip
        while (left := begun + seconds - time.monotonic()) > 0:
            time.sleep(min(left, 30.0))
            told = [told for told in feed.since(0) if told.after in _FALSE]
            step.say(f"{time.monotonic() - begun:.0f} s, {len(told)} false failures")
            if not feed.lives:
                raise NotReached("the agent ended its feed: look at its log")
        said, counted = (process.communicate(timeout=_FINISH)[0] for process in (wrk, bench))
        heard = feed.since(0)
        step.outcome = "done"
    false = tuple(told for told in heard if told.after in _FALSE)
    passing = Counter(
        f"{told.check} {told.code}" for told in heard if told.check and told.after == "degraded"
    )
    return Soaked(
        time.monotonic() - begun,
        _number(r"(\d+) requests in", said),
        sum(map(int, re.findall(r"(?:responses:|connect|read|write|timeout) (\d+)", said))),
        _number(r"actually processed: (\d+)", counted),
        queue.count,
        false,
        passing,
    )


def _started(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


@contextmanager
def _busy_cores() -> Iterator[None]:
    """One process per core that does nothing but spin."""
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


class _Queue(threading.Thread):
    """Asks the app for one workflow after another; ``count`` were taken."""

    def __init__(self, url: str) -> None:
        super().__init__(name="queue", daemon=True)
        self.count = 0
        self._url = url
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(1 / _QUEUE):
            request = urllib.request.Request(self._url, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=5) as response:
                    self.count += response.status == 202
            except (urllib.error.URLError, OSError):
                continue

    def stop(self) -> None:
        self._end.set()
        self.join()


@contextmanager
def _queued(url: str) -> Iterator[_Queue]:
    queue = _Queue(url)
    queue.start()
    try:
        yield queue
    finally:
        queue.stop()


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
