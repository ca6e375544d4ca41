"""The agent as a process of this machine, for tests that kill it, cut it off or mislead it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from provision.local import LocalProcess
from tests.system.client import AgentClient

START = 60.0
STOP = 30.0
LISTENS = " listens on "


class AgentProcess:
    """``healthagent watch`` on a free port of 127.0.0.1, with its output in a file.

    The kernel ends it with the process that runs the tests, however that ends.
    """

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._log = folder / "agent.log"
        self._process = LocalProcess(
            [sys.executable, "-m", "healthagent", "watch"],
            log=self._log,
            environment={"HEALTHAGENT_LISTEN": "127.0.0.1:0"} | variables,
        )
        self._process.wait_until(lambda: self._address() is not None, timeout=START)
        self.client = AgentClient(f"http://{self._address()}")

    def _address(self) -> str | None:
        said = (line for line in self.output.splitlines() if LISTENS in line)
        line = next(said, None)
        return json.loads(line)["message"].partition(LISTENS)[2] if line else None

    @property
    def output(self) -> str:
        """All that it wrote to stdout and stderr."""
        return self._log.read_text(errors="replace")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log. Fails where a line is no JSON object."""
        return log_lines(self.output)

    def messages(self, level: str) -> list[str]:
        return [line["message"] for line in self.lines if line["level"] == level]

    @property
    def pid(self) -> int:
        return self._process.pid

    def terminate(self) -> float:
        """Send SIGTERM; the seconds it took to end. Fails where it does not exit 0."""
        begun = time.monotonic()
        os.kill(self._process.pid, signal.SIGTERM)
        code = self._process.wait(STOP)
        taken = time.monotonic() - begun
        assert code == 0, f"the agent exited {code} after SIGTERM; it said:\n{self.output[-2000:]}"
        return taken

    def stop(self) -> None:
        self._process.stop()


def log_lines(output: str) -> list[dict[str, Any]]:
    """A log's lines. Fails where one is no JSON object."""
    lines = []
    for text in output.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        assert isinstance(line, dict), f"the agent wrote a line that is no JSON object: {text!r}"
        lines.append(line)
    return lines


def assert_sound(output: str, secrets: list[str]) -> None:
    """What holds for an agent whatever was done to it: every line of its output is a JSON object,
    nothing is an error or a traceback, and no password is told."""
    for line in log_lines(output):
        assert line["level"] not in ("error", "critical"), f"the agent logged an error: {line}"
        assert "exception" not in line, f"the agent logged a traceback: {line}"
    assert "Traceback" not in output, f"a traceback is in the agent's output:\n{output[-4000:]}"
    told = [secret for secret in secrets if secret in output]
    assert not told, "the agent's output holds a password"
