"""Asking a stack's agent to act, as somebody on the host does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from provision.engine import Engine

LONGEST = 180.0
"""Seconds for a whole roll on a busy machine."""


@dataclass(frozen=True, slots=True)
class Acted:
    """How an act ended."""

    code: int
    steps: list[dict[str, Any]]
    errors: str

    @property
    def last(self) -> str:
        return str(self.steps[-1]["text"]) if self.steps else self.errors

    def __str__(self) -> str:
        lines = (f"{s['target']} {s['outcome']}: {s['text']}" for s in self.steps)
        return "\n".join((f"exit code {self.code} {self.errors}", *lines))


@contextmanager
def acting(engine: Engine, agent: str, *command: str) -> Iterator[subprocess.Popen[str]]:
    """The command line in the agent's container, over its admin socket, while it goes on."""
    words = ["docker", "--host", engine.host, "exec", agent, "healthagent", *command, "--json"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], first: str = "") -> Acted:
    """Wait for its end. ``first`` is what was read of it already."""
    out, err = process.communicate(timeout=LONGEST)
    steps = [json.loads(line) for line in (first + out).splitlines()]
    return Acted(process.returncode, steps, err)


def act(engine: Engine, agent: str, *command: str) -> Acted:
    with acting(engine, agent, *command) as process:
        return ended(process)
