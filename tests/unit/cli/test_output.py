"""Where standard output is closed, full, or has fewer characters than a reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from healthagent.core.verdict import failed
from tests.unit.cli.conftest import RunningAgent, replica, report

SOON = 30.0
DASH = "\N{EM DASH}"
COMMANDS = [["status"], ["status", "--json"], ["explain", "shop-app-1"], ["events", "--no-follow"]]
names = pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)


@pytest.fixture
def sick(agent: RunningAgent) -> RunningAgent:
    refusing = failed("status", f"GET /readyz answered 503 {DASH} warming up")
    agent.publish(report(replica(1), seen={"shop-app-1": {"http": refusing}}))
    return agent


def shell(
    agent: RunningAgent, arguments: list[str], to: str, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """A command whose standard output a shell sends elsewhere."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {to}', "sh", sys.executable, "-m", "healthagent", *arguments],
        env={**os.environ, "HEALTHAGENT_AGENT_URL": agent.url, **environ},
        capture_output=True,
    )


@names
def test_a_closed_standard_output_leaves_the_exit_code(
    sick: RunningAgent, arguments: list[str]
) -> None:
    ran = shell(sick, arguments, ">&-")
    assert (ran.returncode, ran.stderr) == (0 if arguments[0] == "events" else 1, b"")


@pytest.mark.parametrize("to", [">&-", "<&- >&- 2>&-", ">/dev/full"])
def test_the_agent_lives_and_ends_as_it_is_asked_to_without_an_output(
    tmp_path: Path, to: str
) -> None:
    socket = tmp_path / "admin.sock"
    settings = {
        "HEALTHAGENT_LISTEN": "127.0.0.1:0",
        "HEALTHAGENT_ADMIN_SOCKET": str(socket),
        "HEALTHAGENT_DOCKER_ENABLED": "false",
    }
    agent = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {to}', "sh", sys.executable, "-m", "healthagent", "watch"],
        env={**os.environ, **settings},
    )
    try:
        deadline = time.monotonic() + SOON
        while not socket.exists() and agent.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert socket.exists(), f"it does not serve within {SOON:.0f} s of its start"
        agent.terminate()
        assert agent.wait(SOON) == 0
    finally:
        agent.kill()
        agent.wait()


@pytest.mark.parametrize(
    "arguments", [*COMMANDS, ["--help"], ["status", "--help"], ["--version"]], ids=" ".join
)
def test_a_full_one_is_an_error_in_one_line(sick: RunningAgent, arguments: list[str]) -> None:
    ran = shell(sick, arguments, ">/dev/full")
    words = b"healthagent: standard output takes no more: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (2, words)


@pytest.mark.parametrize("arguments", [["status"], ["explain", "shop-app-1"]], ids=" ".join)
def test_a_character_that_the_terminal_does_not_have_is_left_out(
    sick: RunningAgent, arguments: list[str]
) -> None:
    ran = shell(sick, arguments, "", PYTHONIOENCODING="latin-1")
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert b"answered 503 ? warming up" in ran.stdout


@pytest.mark.parametrize("arguments", [["status", "--json"], ["events", "--no-follow", "--json"]])
def test_json_is_whole_in_any_encoding(sick: RunningAgent, arguments: list[str]) -> None:
    ran = shell(sick, arguments, "", PYTHONIOENCODING="latin-1")
    documents = ran.stdout.decode("latin-1")
    told = [json.loads(documents)] if "status" in arguments else _lines(documents)
    assert DASH in json.dumps(told, ensure_ascii=False)


def _lines(text: str) -> list[object]:
    return [json.loads(line) for line in text.splitlines()]
