"""What keeps the stack busy: users, a database client, workflows, and cores with nothing left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from provision.engine import Engine

CLIENTS: Final = 16
"""Of wrk, each of which asks anew as soon as it was answered."""

PATIENCE: Final = 5.0
"""Seconds after which a request counts as lost."""

_QUEUE: Final = 5.0
"""Workflows a second."""

_FINISH: Final = 30.0
"""Seconds that a generator may take to end and report, on busy cores."""

_ROUTES: Final = Path(__file__).with_name("routes.lua")
_PGBENCH: Final = "pgbench --username=postgres --client=4 --jobs=1 --no-vacuum"
_SPIN: Final = "while True: pass"


@dataclass(frozen=True, slots=True)
class Asked:
    """What wrk's users got: ``answers`` counts by status, or by the error in its place, and half of
    them, or all but a hundredth, took no longer than these milliseconds."""

    answers: Mapping[str, int]
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Transactions:
    """Of pgbench."""

    done: int
    failed: int


def lost(answers: Mapping[str, int]) -> dict[str, int]:
    """What was no success, by status or error. One that says that the app has no time for it now
    is lost as well: so much work is there for all."""
    return {how: n for how, n in sorted(answers.items()) if n and not re.fullmatch("2..", how)}


class _Program:
    """A generator of load that ends by itself, and with its block at the latest."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def said(self) -> str:
        """All it wrote, once it has ended. Raises SubprocessError where it failed, or is late."""
        said = self._process.communicate(timeout=_FINISH)[0]
        if code := self._process.returncode:
            raise subprocess.CalledProcessError(code, self._process.args, said)
        return said


class Users(_Program):
    """wrk, which asks ``url`` for a page, for what the app's pool knows, and, through DBOS's pool,
    for the workflow at the path ``job``."""

    def __init__(self, url: str, job: str, seconds: float) -> None:
        super().__init__(
            "wrk", "--threads=1", f"--connections={CLIENTS}", f"--duration={seconds:.0f}s",
            f"--timeout={PATIENCE:.0f}s", f"--script={_ROUTES}", url, "--", job,
        )  # fmt: skip

    def finish(self) -> Asked:
        return Asked(**json.loads(self.said().splitlines()[-1]))


class Pgbench(_Program):
    """Tables of its own, in a database of its own, on the server that the replicas use."""

    def __init__(self, engine: Engine, postgres: str, seconds: float) -> None:
        engine.docker("exec", postgres, "createdb", "--username=postgres", "bench")
        engine.docker("exec", postgres, "pgbench", "--username=postgres", "--initialize", "bench")
        super().__init__(
            "docker", "--host", engine.host, "exec", postgres,
            *_PGBENCH.split(), f"--time={seconds:.0f}", "bench",
        )  # fmt: skip

    def finish(self) -> Transactions:
        said = self.said()
        return Transactions(
            _number(r"actually processed: (\d+)", said),
            _number(r"failed transactions: (\d+)", said),
        )


class Workflows(threading.Thread):
    """Asks the app for one workflow after another; ``answers`` counts by status, or by error."""

    def __init__(self, url: str) -> None:
        super().__init__(name="workflows", daemon=True)
        self.answers: Counter[str] = Counter()
        self._url = url
        self._end = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        due = time.monotonic()
        while not self._end.wait(max(0.0, due - time.monotonic())):
            due += 1 / _QUEUE
            self.ask()

    def ask(self) -> str:
        """Ask for one; the path at which its status is told, or nothing where it was refused."""
        request = urllib.request.Request(self._url, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                self.answers[str(response.status)] += 1
                return str(response.headers["Location"])
        except urllib.error.HTTPError as error:
            self.answers[str(error.code)] += 1
        except OSError as error:
            self.answers[repr(error)] += 1
        return ""


@contextmanager
def busy_cores() -> Iterator[None]:
    """One process per core that does nothing but spin."""
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise subprocess.SubprocessError(f"pgbench says nothing like {pattern}: {text}")
    return int(found[1])
