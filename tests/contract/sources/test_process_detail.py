"""What is taken as evidence of a process, from the real /proc."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any

from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.sources.procfs import ProcessDetail, ProcessTreeSource
from tests.contract.sources.test_procfs import running

SERVER = """
import socket, threading, time
server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: time.sleep(600), daemon=True).start()
print(server.getsockname()[1], flush=True)
input()
"""


async def look(target: Target) -> dict[str, Any]:
    found = await ProcessDetail(ProcessTreeSource(lambda t: t.pid)).look(target, 1.0)
    assert not isinstance(found, Unseen), found
    return dict(found)


async def test_a_stopped_process_with_its_threads_and_who_waits_at_its_door() -> None:
    with running(SERVER) as target:
        assert target.pid is not None
        os.kill(target.pid, signal.SIGSTOP)
        found: dict[str, Any] = {}
        async with asyncio.timeout(30):
            while not str(found.get("processes", "")).count("'state': 'T'"):
                await asyncio.sleep(0.05)
                found = await look(target)
        [process] = found["processes"]
        assert process["pid"] == target.pid
        assert process["State"].startswith("T")
        assert len(process["threads"]) == 2
        assert "python" in process["cmdline"]
        assert found["sockets"]["counts"]["listen"] >= 1


async def test_addresses_read_as_people_write_them() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        found = await look(Target(id="static:me", name="me", service="me", pid=os.getpid()))
        rows = found["sockets"]["rows"]
        listening = {row["local"] for row in rows if row["state"] == "listen"}
        assert f"127.0.0.1:{four.getsockname()[1]}" in listening
        assert f"[::1]:{six.getsockname()[1]}" in listening


async def test_one_that_has_ended_is_unseen() -> None:
    gone = Target(id="static:app", name="app", service="app", pid=2**22 + 1)
    found = await ProcessDetail(ProcessTreeSource(lambda t: t.pid)).look(gone, 1.0)
    assert isinstance(found, Unseen)
