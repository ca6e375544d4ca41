"""Who restarts what: the supervisor beside docker-autoheal, on the same replicas.

One replica is frozen: how long until it serves again, and how many restarts were made for it. Then
Postgres is stopped for a while: every restart meanwhile is made wrongly, since no replica can do
anything about it. ``python -m benchmarks.routing.healing`` measures this alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from benchmarks.routing.autoheal import Autoheal
from provision import agent, app, engine, images, owner, projects
from provision.command import run
from provision.engine import PROJECT, SERVICE, Engine
from provision.errors import ProvisionError
from provision.progress import Progress

Figures = dict[str, Any]

OUTAGE: Final = 45.0
"""Seconds without Postgres: Docker calls a replica unhealthy after some 15 s of them."""

_COMPOSE: Final = Path(__file__).with_name("healing.yaml")
_UP: Final = 180.0
_READY: Final = 90.0
_HEALED: Final = 120.0
_ANSWER: Final = 2.0
_LOOK_EVERY: Final = 0.1
_TOLD: Final = 1.0
"""Seconds in which the Engine tells what happened."""


def measure(found: Engine, progress: Progress) -> dict[str, Figures]:
    """``{"supervisor": {...}, "autoheal": {...}}``. Raises ProvisionError and TimeoutError."""
    with _standing(found) as stack:
        with progress.step("supervisor") as step:
            supervisor = stack.measured()
            step.outcome = _line(supervisor)
        stack.compose("stop", "agent")
        with progress.step("autoheal") as step, Autoheal(found.host, stack.project):
            peer = stack.measured()
            step.outcome = _line(peer)
    return {"supervisor": supervisor, "autoheal": peer}


def broken(results: Mapping[str, Figures]) -> list[str]:
    """A line for each promise about the supervisor that does not hold."""
    ours = results.get("supervisor")
    if ours is None:
        return []
    told = []
    if ours["wrong_restarts"]:
        told.append(f"supervisor: promised is no restart for a lost database; measured was {ours}")
    if ours["restarts"] != 1:
        told.append(
            f"supervisor: promised is one restart for one dead replica; measured was {ours}"
        )
    return told


def text(results: Mapping[str, Figures]) -> str:
    """The figures for people, a line for each."""
    return "\n".join(f"{name:10}  {_line(figures)}" for name, figures in results.items())


def _line(figures: Figures) -> str:
    return (
        f"healed after {figures['heal_s']:.1f} s by {figures['restarts']} restart(s), "
        f"{figures['wrong_restarts']} restart(s) while Postgres was down"
    )


class Healing:
    """The stack of healing.yaml."""

    def __init__(self, found: Engine) -> None:
        self.project = owner.new_name("heal")
        self._engine = found

    def up(self) -> None:
        self.compose("up", "--detach", "--no-build")
        self._until_ready()

    def measured(self) -> Figures:
        """Both faults, one after the other."""
        self._until_ready()
        with self._starts() as starts:
            victim = self._containers()[0]
            os.kill(self._engine.inspect(victim)["State"]["Pid"], signal.SIGSTOP)
            fault = time.monotonic()
            self._until("healed", lambda: self._answers(victim, "/livez"), _HEALED)
            healed = time.monotonic() - fault
            self._until_ready()
        with self._starts() as wrong:
            self.compose("stop", "postgres")
            time.sleep(OUTAGE)
            self.compose("start", "postgres")
            self._until_ready()
        return {
            "heal_s": round(healed, 1),
            "restarts": len(starts),
            "wrong_restarts": len(wrong),
        }

    def compose(self, *arguments: str) -> str:
        command = ["docker", "compose", "--project-name", self.project, "--file", str(_COMPOSE)]
        socket = self._engine.socket or Path("/var/run/docker.sock")
        variables = self._engine.environment | {"DOCKER_SOCKET": str(socket)}
        return run([*command, *arguments], timeout=_UP, environment=variables)

    def _containers(self) -> list[str]:
        return list(self._engine.containers(self.project, "app"))

    @contextmanager
    def _starts(self) -> Iterator[list[str]]:
        """The names of replicas that are started during the block, once for each start.

        They are followed as they come: of what is past the Engine tells 256 events, and health
        checks fill those.
        """
        command = [
            "docker", "events", "--format", "{{.Actor.Attributes.name}}", "--filter", "event=start",
            "--filter", f"label={PROJECT}={self.project}",
            "--filter", f"label={SERVICE}=app",
        ]  # fmt: skip
        found: list[str] = []
        with subprocess.Popen(
            command, env=self._engine.environment, stdout=subprocess.PIPE, text=True
        ) as events:
            try:
                yield found
                time.sleep(_TOLD)
            finally:
                events.terminate()
            assert events.stdout is not None
            found += events.stdout.read().split()

    def _answers(self, container: str, path: str) -> bool:
        address = self._engine.address(container)
        with suppress(OSError):
            url = f"http://{address}:3000{path}"
            with urllib.request.urlopen(url, timeout=_ANSWER) as answer:
                return bool(answer.status == 200)
        return False

    def _until_ready(self) -> None:
        """Until all are ready, and Docker says so too: nobody has a reason to act."""

        def all_ready() -> bool:
            return all(
                self._engine.inspect(name)["State"]["Health"]["Status"] == "healthy"
                and self._answers(name, "/readyz")
                for name in self._containers()
            )

        self._until("all replicas are ready", all_ready, _READY)

    @staticmethod
    def _until(what: str, holds: Callable[[], bool], within: float) -> None:
        deadline = time.monotonic() + within
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"never came within {within:g} s: {what}")
            time.sleep(_LOOK_EVERY)


@contextmanager
def _standing(found: Engine) -> Iterator[Healing]:
    stack = Healing(found)
    try:
        stack.up()
        yield stack
    finally:
        projects.remove(found, stack.project)


def main() -> int:
    """Run this alone; return its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    progress = Progress()
    try:
        found = engine.ensure(progress)
        projects.sweep(found)
        images.ensure(found, progress)
        agent.ensure(found, progress)
        app.ensure(found, progress)
        results = measure(found, progress)
    except (ProvisionError, TimeoutError) as error:
        print(f"\nThe benchmark ends here: {error}", file=sys.stderr)
        return 1
    faults = broken(results)
    for line in faults:
        print(line, file=sys.stderr)
    print(text(results))
    print(json.dumps(results), flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
