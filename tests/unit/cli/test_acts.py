"""Draining, restarting and rolling as people type it: real operations on made-up replicas."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from healthagent.cli import agent as asking
from healthagent.core.credentials import Credentials
from healthagent.surfaces.http import Admin, HttpSurface
from tests.unit.cli.conftest import Run
from tests.unit.supervisor.stage import Stage

TOKEN = "a-token-that-nobody-guesses"


class ActingAgent:
    """The HTTP surface with its socket in a thread of its own, so that a command may block."""

    def __init__(self, socket: Path) -> None:
        self.stage = Stage()
        self.stage.put("app-1", "app-2", "app-3")
        self.socket = str(socket)
        self.url = ""
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._serve()), daemon=True
        )

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60), "the agent did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """As it is where SIGSTOP halts it: the kernel takes connections, and what they bring."""
        halted, thaw = threading.Event(), threading.Event()

        def halt() -> None:
            halted.set()
            thaw.wait(60)

        self._loop.call_soon_threadsafe(halt)
        assert halted.wait(60)
        yield
        thaw.set()

    async def _serve(self) -> None:
        surface = HttpSurface(("127.0.0.1", 0))
        async with self.stage.played() as operations:
            admin = Admin(operations, lambda: Credentials("token ci", TOKEN), self.socket)
            async with surface.serve(admin) as bound:
                surface.publish(self.stage.report(), ())
                self.url = "http://{}:{}".format(*bound.listen)
                self._ready.set()
                await self._stop.wait()


@pytest.fixture
def acting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ActingAgent]:
    running = ActingAgent(tmp_path / "admin.sock")
    running.start()
    monkeypatch.setenv("HEALTHAGENT_ADMIN_SOCKET", running.socket)
    yield running
    running.stop()


def test_a_restart_is_shown_step_by_step(run: Run, acting: ActingAgent) -> None:
    ran = run("restart", "app-2", "--why", "leaks")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].endswith("app-2  to be restarted: leaks")
    assert lines[-1].endswith("app-2  done: back in rotation")
    assert acting.stage.runtime.acts == ["restart app-2"]


def test_a_drain_and_an_undrain(run: Run, acting: ActingAgent) -> None:
    assert "done: drained" in run("drain", "app-2", "--why", "a look").out
    assert acting.stage.drains[f"{2:04x}" * 16] is not None
    assert "done: back in rotation" in run("undrain", "app-2").out
    assert acting.stage.drains[f"{2:04x}" * 16] is None


def test_a_roll_takes_what_a_plan_may_hold(run: Run, acting: ActingAgent) -> None:
    ran = run("roll", "app", "--image", "shop:2", "--env", "A=b=c", "--label", "d=e", "--json")
    steps = [json.loads(line) for line in ran.out.splitlines()]
    assert (ran.code, steps[-1]["outcome"], steps[-1]["verb"]) == (0, "done", "roll")
    assert {c.image for c in acting.stage.runtime.containers.values()} == {"shop:2"}


def test_a_rollback_can_be_rehearsed(run: Run, acting: ActingAgent) -> None:
    ran = run("rollback", "app", "--image", "shop:2", "--rehearse")
    assert ran.code == 0
    assert "observed: nothing speaks against it" in ran.out
    assert acting.stage.runtime.acts == []
    assert run("rollback", "app", "--image", "shop:3", "--rehearse").code == 1
    assert run("rollback", "app").code == 2, "back to what?"


def test_what_is_refused_or_fails_ends_with_1(run: Run, acting: ActingAgent) -> None:
    acting.stage.runtime.refuses["restart"] = "the disk is full"
    ran = run("restart", "app-2")
    assert (ran.code, "failed: " in ran.out, "the disk is full" in ran.out) == (1, True, True)


def test_what_is_not_known_ends_with_2(run: Run, acting: ActingAgent) -> None:
    ran = run("drain", "nobody")
    assert ran.code == 2
    assert "no target is called 'nobody'" in ran.err
    assert run("roll", "app", "--env", "novalue").code == 2


def test_where_there_is_no_socket_it_ends_with_3(run: Run, tmp_path: Path) -> None:
    ran = run("drain", "app-1", "--socket", str(tmp_path / "nothing"))
    assert ran.code == 3
    assert str(tmp_path / "nothing") in ran.err


@pytest.mark.parametrize("verb", ["drain", "undrain", "restart", "roll"])
def test_what_a_frozen_agent_was_asked_it_does_not_do_when_it_thaws(
    run: Run,
    acting: ActingAgent,
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(asking, "DEADLINE", 0.2)
    with acting.frozen():
        ran = run(verb, "app" if verb == "roll" else "app-1")
    assert (ran.code, "no answer within 0.2 s" in ran.err) == (3, True), ran.err
    monkeypatch.undo()
    assert run("drain", "app-2", "--socket", acting.socket).code == 0, "it is asked after that"
    assert {(step.verb, step.target) for step in acting.stage.recorder.steps} == {
        ("drain", "app-2")
    }
    assert caplog.messages == [], "nor is it a fault that nobody waits any more"


def test_what_an_agent_has_taken_up_may_go_on_where_it_falls_silent(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SILENCE", 0.2)

    def take_up(listening: socket.socket) -> None:
        taken, _ = listening.accept()
        with taken:
            taken.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while taken.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=take_up, args=[listening])
        thread.start()
        url = "http://{}:{}".format(*listening.getsockname())
        ran = run("drain", "app-1", "--socket", "none", "--agent", url)
        thread.join(60)
    assert (ran.code, "has said nothing for 0.2 s" in ran.err) == (3, True), ran.err
    assert "it may go on with what was begun: see `healthagent history`" in ran.err


class TestOverTheNetwork:
    @pytest.fixture(autouse=True)
    def no_socket(self, acting: ActingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEALTHAGENT_ADMIN_SOCKET", "none")
        monkeypatch.setenv("HEALTHAGENT_AGENT_URL", acting.url)

    def test_the_token_is_sent(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "token"
        file.write_text(f"{TOKEN}\n")
        monkeypatch.setenv("HEALTHAGENT_ADMIN_TOKEN_FILE", str(file))
        assert run("restart", "app-2").code == 0

    def test_without_it_nothing_is_done(self, run: Run, acting: ActingAgent) -> None:
        ran = run("restart", "app-2")
        assert ran.code == 1
        assert "Authorization: Bearer" in ran.err
        assert acting.stage.runtime.acts == []

    def test_a_token_file_that_is_not_there_is_named(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEALTHAGENT_ADMIN_TOKEN_FILE", "/nowhere/token")
        ran = run("restart", "app-2")
        assert (ran.code, "/nowhere/token" in ran.err) == (2, True)
