"""Each way in which a real Bun process can be stuck, provoked and told apart from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from healthagent.checks.event_loop import CHECK
from healthagent.core.observation import Livez, Observation, ProcessTree
from healthagent.core.target import Target, Timing
from healthagent.core.verdict import Verdict
from healthagent.sources.http import HttpSource
from healthagent.sources.procfs import ProcessTreeSource
from provision.local import free_port
from provision.tools import bun

APP = """
import { openSync } from "node:fs";
let livez = () => new Response("ok");
const burn = (ms) => { const end = performance.now() + ms; while (performance.now() < end); };
const hoard = () => { try { for (;;) openSync("/dev/null", "r"); } catch {} };
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request) {
    switch (new URL(request.url).pathname) {
      case "/livez": return livez();
      case "/block": for (;;);
      case "/deadlock": livez = () => new Promise(() => {}); return new Response("ok");
      case "/hoard": setInterval(hoard, 50); return new Response("ok");
      case "/close": setTimeout(() => server.stop(true), 10); return new Response("ok");
      case "/work": burn(100); return new Response("ok");
    }
  },
});
setInterval(() => {}, 1000);
"""

WITHIN = 60.0
"""Seconds in which a fault must have its name, on a machine that has much else to do."""

FILES = 512
"""How many files the process may have open."""

CROWD = 12
"""Clients that ask for 100 ms of work each, one time after another: 1.2 s for a turn of all, three
times what an answer may take."""

APART = 0.05
"""Seconds between clients that come whatever becomes of those before: twice the work there is time
for."""


class Replica:
    """A Bun process and all that the watcher does with it: look, look, judge."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.target = Target(
            id="static:app",
            name="app",
            service="app",
            address="127.0.0.1",
            port=port,
            pid=process.pid,
            timing=Timing(interval=0.3, timeout=0.4),
        )
        self._livez, self._tree = HttpSource(Livez), ProcessTreeSource(lambda target: target.pid)

    async def judged(self) -> Verdict:
        timeout = self.target.timing.timeout
        answer, tree = await asyncio.gather(
            self._livez.look(self.target, timeout), self._tree.look(self.target, timeout)
        )
        return CHECK.judge(Observation(self.target, {Livez: answer, ProcessTree: tree}))

    async def until(self, code: str, times: int = 3) -> Verdict:
        """The verdict once it bore that code so many times in a row."""
        deadline, row, said = time.monotonic() + WITHIN, 0, []
        while row < times:
            verdict = await self.judged()
            row = row + 1 if verdict.code == code else 0
            said.append(f"{verdict.code}: {verdict.reason}")
            assert time.monotonic() < deadline, f"never {code}, but\n" + "\n".join(said[-5:])
            await asyncio.sleep(self.target.timing.interval)
        return verdict

    async def until_queue_grows(self, code: str, times: int) -> list[tuple[int, Verdict]]:
        """So many verdicts in a row that bore that code, and how many connections waited at each:
        more than at the one before."""
        deadline, said = time.monotonic() + WITHIN, []
        grew: list[tuple[int, Verdict]] = []
        while len(grew) < times:
            verdict = await self.judged()
            queued = int(verdict.evidence.get("queued", 0))
            if verdict.code != code or queued <= max((before for before, _ in grew), default=0):
                grew = []
            if verdict.code == code and queued:
                grew.append((queued, verdict))
            said.append(f"{verdict.code} {queued}")
            assert time.monotonic() < deadline, f"no queue that grows, but {', '.join(said)}"
        return grew

    async def ask(self, path: str) -> None:
        """Send a request, and wait for no answer."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.target.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    @contextlib.asynccontextmanager
    async def crowd(self) -> AsyncIterator[None]:
        """Many clients, each of which asks anew as soon as it was answered."""

        async def client() -> None:
            while True:
                await self._work()

        tasks = [asyncio.create_task(client()) for _ in range(CROWD)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def flood(self) -> AsyncIterator[None]:
        """A new client every moment, whatever becomes of those before."""

        async def arrive() -> None:
            async with asyncio.TaskGroup() as clients:
                while True:
                    clients.create_task(self._work())
                    await asyncio.sleep(APART)

        arriving = asyncio.create_task(arrive())
        try:
            yield
        finally:
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)

    async def _work(self) -> None:
        """Ask for work, and wait until it is done."""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.target.port)
            with contextlib.closing(writer):
                writer.write(b"GET /work HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")
                await reader.read()


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    program, port = tmp_path / "app.js", free_port()
    program.write_text(APP, encoding="utf-8")
    process = subprocess.Popen([bun(), program], env={**os.environ, "PORT": str(port)})
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
    try:
        yield Replica(process, port)
    finally:
        process.kill()
        process.wait()


async def test_a_process_that_answers_is_ok(replica: Replica) -> None:
    await replica.until("ok")


async def test_a_loop_that_never_yields_is_blocked(replica: Replica) -> None:
    await replica.until("ok")
    await replica.ask("/block")
    verdict = await replica.until("blocked")
    assert f"{replica.process.pid}" in str(verdict.evidence["pid"])


async def test_a_process_that_got_sigstop_is_stopped_and_recovers_with_sigcont(
    replica: Replica,
) -> None:
    await replica.until("ok")
    replica.process.send_signal(signal.SIGSTOP)
    verdict = await replica.until("stopped")
    assert f"kill -CONT {replica.process.pid}" in verdict.reason
    replica.process.send_signal(signal.SIGCONT)
    await replica.until("ok")


async def test_a_promise_that_never_resolves_is_deadlocked(replica: Replica) -> None:
    await replica.until("ok")
    await replica.ask("/deadlock")
    await replica.until("deadlocked")


@pytest.mark.may_skip
@pytest.mark.skipif(
    Path("/proc/self/fd").stat().st_size == 0, reason="Linux tells open files from 6.2 on"
)
async def test_a_process_that_has_no_file_descriptor_left_is_told_so(replica: Replica) -> None:
    await replica.until("ok")
    await replica.ask("/hoard")
    verdict = await replica.until("no_files")
    assert f"may have {FILES}" in verdict.reason


async def test_a_listener_that_was_closed_is_not_listening(replica: Replica) -> None:
    await replica.until("ok")
    await replica.ask("/close")
    await replica.until("not_listening")


async def test_more_work_than_the_loop_can_do_is_overloaded_and_passes_with_the_crowd(
    replica: Replica,
) -> None:
    await replica.until("ok")
    async with replica.crowd():
        verdict = await replica.until("overloaded")
        assert verdict.status.passing, "a restart would only move the load to the others"
    await replica.until("ok")


async def test_a_queue_that_grows_is_overloaded_with_the_number_of_those_that_wait(
    replica: Replica,
) -> None:
    await replica.until("ok")
    async with replica.flood():
        for queued, verdict in await replica.until_queue_grows("overloaded", times=3):
            assert f"{queued} connections wait to be taken" in verdict.reason


async def test_one_that_blocks_in_the_middle_of_a_crowd_is_blocked(replica: Replica) -> None:
    await replica.until("ok")
    async with replica.crowd():
        await replica.until("overloaded", times=1)
        await replica.ask("/block")
        await replica.until("blocked")
