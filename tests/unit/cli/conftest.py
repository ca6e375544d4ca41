"""The command line as a user runs it, against the agent's real HTTP surface."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from healthagent.checks import CHECKS
from healthagent.cli import main
from healthagent.core.action import Outcome, Step
from healthagent.core.budget import Budget, ReplicaBudget
from healthagent.core.notice import Notice
from healthagent.core.observation import ContainerState
from healthagent.core.options import OPTIONS
from healthagent.core.ports import Entry, History
from healthagent.core.report import Report, Subject, assess
from healthagent.core.rotation import Drain
from healthagent.core.target import DatabaseRef, Pools, Target, Timing
from healthagent.core.timeline import Timeline
from healthagent.core.transition import Transition, transitions
from healthagent.core.verdict import Verdict, ok
from healthagent.surfaces.http import HttpSurface
from healthagent.surfaces.http.history import NoHistory

NOW = 1_700_000_000.0
RESTARTED = Step(
    NOW, "5f0c", "restart", "supervisor", "app", "shop-app-2", Outcome.DONE, "ready again"
)
BLIND = Report(
    NOW,
    settled=False,
    notices=(Notice("docker", "there is no socket /var/run/docker.sock", "start the Engine"),),
)
"""What an agent publishes that never reached Docker."""


def replica(number: int, **fields: Any) -> Target:
    """``shop-app-N`` as a container that declares everything."""
    known: dict[str, Any] = {
        "id": f"{number:x}" * 64,
        "name": f"shop-app-{number}",
        "service": "app",
        "address": f"172.18.0.{number}",
        "port": 3000,
        "pools": Pools(5, 3),
        "database": DatabaseRef("db", 5432, "shop"),
        "executor": f"shop-app-{number}",
        "origins": {option.key: "default" for option in OPTIONS} | {"port": "label"},
    }
    return Target(**(known | fields))


def report(
    *replicas: Target,
    seen: dict[str, dict[str, Verdict]] | None = None,
    notices: tuple[Notice, ...] = (),
    budgets: tuple[Budget, ...] = (),
    at: float = NOW,
    ran_before: bool = False,
    drain: Drain | None = None,
) -> Report:
    """What the agent publishes when each check of each replica came to the given verdict
    (*ok* where none is given) 200 seconds before. The first is drained where that is given."""
    subjects = [
        Subject(
            target,
            {
                check.name: _held((seen or {}).get(target.name, {}).get(check.name, ok()), at)
                for check in CHECKS
                if check.applies(target)
            },
            grace_until=0.0,
            container=ContainerState("running", health="healthy") if target.is_container else None,
            ran_before=ran_before,
            drain=drain if target is replicas[0] else None,
        )
        for target in replicas
    ]
    return Report(at, True, assess(subjects, CHECKS, at), budgets, notices)


def _held(verdict: Verdict, until: float) -> Timeline:
    """A verdict that was reached 200 seconds before, was confirmed at once, and holds still."""
    timeline, timing = Timeline(), Timing()
    for at in (*[until - 200] * timing.fall, until):
        timeline = timeline.fold(verdict, at, timing)
    return timeline


def server(*shares: tuple[str, str, int | None, int | None], allowed: int = 37) -> Budget:
    """A server on which each replica (name, service, declared, held) has its share."""
    replicas = tuple(ReplicaBudget(*share) for share in shares)
    held = sum(share.held or 0 for share in replicas)
    return Budget("db:5432", allowed, held=held + 3, agent=1, others=2, replicas=replicas)


class Wire:
    """A way to the agent that can be cut, as a network is."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._ends: list[asyncio.StreamWriter] = []

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        self._ends += (writer, far_writer)
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(4096):
            writer.write(data)
    writer.close()


class RunningAgent:
    """The HTTP surface in a thread of its own, so that a command may block on it.

    ``public_url`` is its public listener, ``wire_url`` the way that :meth:`cut` cuts. ``history``
    is what it answers ``/history`` from, ``late`` the seconds for which no report came.
    """

    def __init__(self) -> None:
        self.history: History = NoHistory()
        self.url = self.public_url = self.wire_url = ""
        self.late = 0.0
        self._last = Report(0.0, settled=False)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60), "the HTTP surface did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the HTTP surface did not stop"

    def publish(self, new: Report) -> tuple[Transition, ...]:
        """Publish a report as the watcher does, and wait until it is served."""
        changes = transitions(self._last, new)
        self._last = new

        async def publish() -> None:
            self._surface.publish(new, changes)

        asyncio.run_coroutine_threadsafe(publish(), self._loop).result(10)
        return changes

    def record(self, step: Step) -> None:
        """Tell a step of an act as the journal does, and wait until it is served."""

        async def record() -> None:
            self._surface.record(step)

        asyncio.run_coroutine_threadsafe(record(), self._loop).result(10)

    async def entries(self, name: str, since: float, most: int) -> Sequence[Entry] | None:
        return await self.history.entries(name, since, most)

    async def evidence(self, act: str) -> Mapping[str, Any] | None:
        return await self.history.evidence(act)

    def cut(self) -> None:
        """End every connection over the wire; new ones go through."""
        self._loop.call_soon_threadsafe(self._wire.cut)

    def close_wire(self) -> None:
        """From here on nobody answers there."""

        async def close() -> None:
            self._listener.close()
            self._wire.cut()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._surface = HttpSurface(
            ("127.0.0.1", 0), ("127.0.0.1", 0), lambda: time.monotonic() + self.late, self
        )
        async with self._surface.serve() as bound:
            assert bound.public is not None
            self.url = "http://{}:{}".format(*bound.listen)
            self.public_url = "http://{}:{}".format(*bound.public)
            self._wire = Wire(*bound.listen)
            self._listener = await asyncio.start_server(self._wire.carry, "127.0.0.1", 0)
            async with self._listener:
                self.wire_url = "http://{}:{}".format(*self._listener.sockets[0].getsockname())
                self._ready.set()
                await self._stop.wait()
                self._wire.cut()


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Run:
    """Runs a command as ``healthagent ARGUMENTS`` would, against one agent."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            main(arguments)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err, "an error for people has no traceback"
        return Ran(int(exited.value.code or 0), out, err)


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningAgent]:
    running = RunningAgent()
    running.start()
    monkeypatch.setenv("HEALTHAGENT_AGENT_URL", running.url)
    yield running
    running.stop()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return Run(capsys)
