"""What holds for every command: exit codes, errors, help, and how fast it is there."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthagent.cli import COMMANDS
from healthagent.cli import agent as asking
from tests.unit.cli.conftest import Run

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"
ASKING = [["status"], ["explain", "app"], ["events"], ["check", "http"], ["budget"]]
names = pytest.mark.parametrize("arguments", ASKING, ids=lambda arguments: arguments[0])


@pytest.fixture
def nobody() -> str:
    """A URL at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """A URL at which connections are taken and nothing is answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class _Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>It works!</html>")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    """A web server that is no agent."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@names
def test_an_agent_that_is_not_there_is_named_with_the_way_to_another(
    run: Run, nobody: str, arguments: list[str]
) -> None:
    ran = run(*arguments, "--agent", nobody)
    assert ran.code == 3
    assert nobody in ran.err
    assert "--agent URL or HEALTHAGENT_AGENT_URL" in ran.err


@names
def test_an_agent_that_gives_no_answer_is_waited_for_no_longer_than_the_deadline(
    run: Run, silent: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "DEADLINE", 0.2)
    ran = run(*arguments, "--agent", silent)
    assert (ran.code, "no answer within 0.2 s" in ran.err) == (3, True)


def test_a_stranger_at_the_address_is_no_agent(run: Run, stranger: str) -> None:
    ran = run("status", "--agent", stranger)
    assert (ran.code, "is no healthagent" in ran.err) == (3, True)


@pytest.mark.parametrize("url", ["agent:9180", "unix:///run/agent", "http://", "http://a:99999"])
def test_a_url_that_cannot_be_asked_is_a_usage_error(run: Run, url: str) -> None:
    ran = run("status", "--agent", url)
    assert (ran.code, "write http://HOST:PORT" in ran.err) == (2, True)


@pytest.mark.parametrize("arguments", [["nothing"], ["status", "--nothing"], ["explain"]])
def test_a_usage_error_ends_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).code == 2


def test_the_version_is_the_packages(run: Run) -> None:
    from importlib.metadata import version

    assert version("healthagent") in run("--version").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(run: Run, shell: str) -> None:
    ran = run("completion", shell)
    assert (ran.code, "_HEALTHAGENT_COMPLETE" in ran.out) == (0, True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_helped_and_documented(run: Run, name: str) -> None:
    assert run(name, "--help").out.startswith(f"Usage: healthagent {name}")
    assert f"\n## `healthagent {name}" in DOCS.read_text(encoding="utf-8")


HEAVY = ("aiohttp", "asyncio", "docker", "opentelemetry", "psycopg", "pydantic", "rich", "uvloop")


def test_a_command_that_only_asks_loads_nothing_of_the_agent(nobody: str) -> None:
    program = (
        "import sys; from healthagent.cli import main\n"
        "try: main(['status'])\n"
        "except SystemExit: print(*(name for name in sys.argv[1:] if name in sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *HEAVY],
        env={**os.environ, "HEALTHAGENT_AGENT_URL": nobody},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = ran.stdout.split()
    assert not loaded, f"`healthagent status` is to be there at once; import {loaded} where used"
