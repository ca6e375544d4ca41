"""What holds for every command: exit codes, errors, help, and how fast it is there."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from healthagent.cli import COMMANDS, parameters
from healthagent.cli import agent as asking
from healthagent.config import layers, tables
from tests import web_servers
from tests.unit.cli.conftest import Run, RunningAgent, replica, report

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"
WITHIN = 30.0
ASKING = [["status"], ["explain", "app"], ["events"], ["check", "http"], ["budget"]]
names = pytest.mark.parametrize("arguments", ASKING, ids=lambda arguments: arguments[0])


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL at which nothing listens."""
    with web_servers.nobody() as address:
        yield f"http://{address}"


@pytest.fixture
def silent() -> Iterator[str]:
    """A URL at which connections are taken and nothing is answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


STRANGERS = {
    "a page": (200, "text/html", b"<html>It works!</html>"),
    "a router without a route": (404, "text/plain", b"404 page not found"),
    "an app with a /health of its own": (200, "application/json", b'{"status": "ok"}'),
    "an app that says why in JSON": (404, "application/json", b'{"detail": "Not Found"}'),
}


@pytest.fixture(params=STRANGERS.values(), ids=list(STRANGERS))
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """A web server that is no agent."""
    status, kind, body = request.param
    with web_servers.serving(lambda _: (status, {"Content-Type": kind}, body)) as url:
        yield url


@names
def test_an_agent_that_is_not_there_is_named_with_the_way_to_another(
    run: Run, nobody: str, arguments: list[str]
) -> None:
    ran = run(*arguments, "--agent", nobody)
    assert ran.code == 3
    assert nobody in ran.err
    assert "--agent URL or HEALTHAGENT_AGENT_URL" in ran.err


@pytest.mark.parametrize("path", ["", "/a path"])
def test_a_password_in_the_agents_url_is_not_shown(run: Run, nobody: str, path: str) -> None:
    ran = run("status", "--agent", nobody.replace("//", "//user:hunter2@") + path)
    assert "//***@127.0.0.1" in ran.err
    assert "hunter2" not in ran.out + ran.err


@names
def test_an_agent_that_gives_no_answer_is_waited_for_no_longer_than_the_deadline(
    run: Run, silent: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "DEADLINE", 0.2)
    ran = run(*arguments, "--agent", silent)
    assert (ran.code, "no answer within 0.2 s" in ran.err) == (3, True)


@pytest.mark.parametrize(
    "arguments",
    [*ASKING, ["history"], ["history", "--evidence", "5f0c"], ["drain", "app", "--socket", "none"]],
    ids=" ".join,
)
def test_a_stranger_at_the_address_is_no_agent(
    run: Run, stranger: str, arguments: list[str]
) -> None:
    ran = run(*arguments, "--agent", stranger)
    assert (ran.code, "is no healthagent" in ran.err) == (3, True), ran.err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "wrong version"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
    ],
    ids=["a name", "TLS", "the system"],
)
def test_what_keeps_it_from_the_agent_is_told_in_words(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    ran = run("status", "--agent", "http://agent:9180")
    assert ran.code == 3
    first, _elsewhere = ran.err.splitlines()
    assert first.startswith("healthagent: no agent answers at http://agent:9180: ")
    assert words in first


def test_a_socket_that_may_not_be_opened_is_told_with_who_may(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(socket.socket):
        def connect(self, _address: object) -> NoReturn:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Closed)
    ran = run("drain", "app-1", "--socket", "/run/healthagent/admin.sock")
    assert ran.code == 3
    assert "may not open /run/healthagent/admin.sock: Permission denied" in ran.err
    assert "the agent's user and group may, and root" in ran.err
    assert "healthagent watch" not in ran.err, "it runs, as its socket shows"


@pytest.mark.parametrize(
    "url",
    [
        "agent:9180",
        "unix:///run/agent",
        "http://",
        "http://a:99999",
        "http://a..b:9180",
        f"http://{'a' * 64}:9180",
        "http://agent:9180/\N{LATIN SMALL LETTER A WITH DIAERESIS}",
    ],
)
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


COMPLETED = [
    ("drain", "shop-app-1"),
    ("explain", "shop-app-1"),
    ("events --target", "shop-app-1"),
    ("roll", "app"),
]


@pytest.mark.parametrize(("command", "name"), COMPLETED, ids=[command for command, _ in COMPLETED])
@pytest.mark.parametrize("by", ["flag", "variable"])
def test_names_are_completed_by_the_agent_that_the_command_would_ask(
    agent: RunningAgent,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    name: str,
    by: str,
) -> None:
    agent.publish(report(replica(1)))
    verb, *flag = command.split()
    typed = f"healthagent {verb} "
    if by == "flag":
        monkeypatch.delenv("HEALTHAGENT_AGENT_URL")
        typed += f"--agent {agent.url} "
    typed += "".join(f"{word} " for word in flag)
    monkeypatch.setenv("HEALTHAGENT_ADMIN_TOKEN_FILE", "/nowhere/token")
    monkeypatch.setattr(parameters, "PATIENCE", WITHIN)
    monkeypatch.setenv("_HEALTHAGENT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
    assert run().out.splitlines() == [f"plain,{name}"]


@pytest.mark.timeout(WITHIN)
def test_a_shell_waits_for_names_no_longer_than_a_person_at_its_prompt(
    silent: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTHAGENT_AGENT_URL", silent)
    monkeypatch.setattr(asking, "DEADLINE", 2 * WITHIN)
    monkeypatch.setenv("_HEALTHAGENT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "healthagent explain ")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert not run().out.strip()


def test_what_the_agent_does_by_default_is_known_without_its_settings(run: Run) -> None:
    """To import those takes longer than a command may."""
    listens = tables.Tables.model_fields["listen"].default
    assert f"http://127.0.0.1:{listens.port}" == parameters.DEFAULT_URL
    assert str(layers.DEFAULT_FILE) in "".join(run("watch", "--help").out.split())
