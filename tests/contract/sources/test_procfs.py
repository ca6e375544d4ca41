"""Real local processes, seen through the real /proc."""

from __future__ import annotations

import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from healthagent.core.observation import ClientPorts, Process, ProcessTree, Unseen
from healthagent.core.target import Target
from healthagent.sources.procfs import ClientPortsSource, ProcessTreeSource, files, parse

SLEEPER = "print(flush=True); input()"
NOBODY = 65534


@contextmanager
def running(program: str, *arguments: str) -> Iterator[Target]:
    """A Python process that has printed its first line, and is killed with its children."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield Target(id="static:app", name="app", service="app", pid=process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def source(clock: Clock | None = None) -> ProcessTreeSource:
    return ProcessTreeSource(lambda target: target.pid, clock=clock or Clock())


async def tree_of(target: Target, trees: ProcessTreeSource | None = None) -> ProcessTree:
    tree = await (trees or source()).look(target, 1.0)
    assert isinstance(tree, ProcessTree), tree
    return tree


async def root_of(target: Target) -> Process:
    root = (await tree_of(target)).root
    assert root is not None
    return root


async def test_a_process_is_told_with_its_arguments() -> None:
    with running(SLEEPER, "two words") as target:
        root = await root_of(target)
    assert (root.pid, root.ppid) == (target.pid, os.getpid())
    assert root.cmdline == (sys.executable, "-c", SLEEPER, "two words")


def stop(target: Target) -> None:
    """Stop it, and wait until it is."""
    assert target.pid is not None
    os.kill(target.pid, signal.SIGSTOP)
    os.waitpid(target.pid, os.WUNTRACED)


async def test_a_stopped_process_is_in_state_t() -> None:
    with running(SLEEPER) as target:
        stop(target)
        assert (await root_of(target)).state == "T"


@pytest.mark.parametrize(("handler", "catches"), [("print", True), ("signal.SIG_IGN", False)])
async def test_a_sigterm_handler_is_seen_and_ignoring_it_is_none(
    handler: str, catches: bool
) -> None:
    with running(f"import signal; signal.signal(signal.SIGTERM, {handler}); {SLEEPER}") as target:
        assert (await root_of(target)).catches_sigterm is catches


FORKS = """
import os, threading
def fork():
    if os.fork() == 0: os.read(0, 1)
    done.set()
done = threading.Event()
{call}
done.wait()
"""


@pytest.mark.parametrize("call", ["fork()", "threading.Thread(target=fork).start()"])
@pytest.mark.parametrize("scanned", [False, True], ids=["listed by the kernel", "scanned"])
async def test_children_are_found_whichever_thread_forked_them(call: str, scanned: bool) -> None:
    find = files._ScannedChildren("/proc") if scanned else files.children_in("/proc")
    with running(FORKS.format(call=call) + SLEEPER) as target:
        assert target.pid is not None
        family = files.family(target.pid, find)
        assert len(family) == 2, "the process and its child"
        assert parse.stat(files.read(f"/proc/{family[1]}/stat")).ppid == target.pid


async def test_a_child_that_nobody_waited_for_is_a_zombie() -> None:
    program = "import os\npid = os.fork() or os._exit(0)\nos.waitid(os.P_PID, pid, 0x1000004)\n"
    with running(program + SLEEPER) as target:  # WEXITED | WNOWAIT: it ended, and was left
        tree = await tree_of(target)
    assert [process.state for process in tree.processes[1:]] == ["Z"]
    assert tree.processes[1].cmdline == ()


async def test_a_name_with_parentheses_and_spaces_is_read_whole() -> None:
    rename = "open('/proc/self/comm', 'w').write('a) S (b'); "
    with running(rename + SLEEPER) as target:
        root = await root_of(target)
    assert (root.comm, root.ppid) == ("a) S (b", os.getpid())


SPENDS = """
import time
end = time.process_time() + float(input())
while time.process_time() < end: pass
print(flush=True); input()
"""


class Spender:
    """A process that takes CPU when it is told to."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.target = Target(id="static:app", name="app", service="app", pid=process.pid)
        self._process = process

    def spend(self, seconds: float) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n".encode())
        self._process.stdin.flush()
        self._process.stdout.readline()


@pytest.fixture
def spender() -> Iterator[Spender]:
    command = [sys.executable, "-c", SPENDS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Spender(process)
        process.kill()


async def test_cpu_is_the_share_of_one_core_since_the_look_before(spender: Spender) -> None:
    trees = source(clock := Clock())
    first = await tree_of(spender.target, trees)
    assert first.cpu is None, "a first look has nothing to compare"
    spender.spend(0.5)
    clock.now = 1.0
    spent = (await tree_of(spender.target, trees)).cpu
    assert spent is not None
    assert 0.45 <= spent < 0.9, "half a second, and what the start took"
    clock.now = 1.1
    assert (await tree_of(spender.target, trees)).cpu == spent, "too soon for a new share"
    clock.now = 2.0
    assert (await tree_of(spender.target, trees)).cpu == pytest.approx(0.0, abs=0.03)


async def test_connections_that_wait_to_be_accepted_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = Target(id="static:me", name="me", service="me", pid=os.getpid())
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()):
            queue = (await tree_of(here)).accept_queue
        assert queue is not None, "the kernel tells its sockets by sock_diag"
        assert queue[port] == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_taking_a_connection_and_reading_from_one_are_signs_of_life(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        # Who looks at itself always finds itself running, which is when it matters.
        here = Target(id="static:me", name="me", service="me", pid=os.getpid(), port=port)
        trees = source(clock := Clock())

        async def turned() -> float | None:
            clock.now += 1.0
            return (await tree_of(here, trees)).turned

        with socket.create_connection((host, port)) as first:
            first.send(b"twice")
            assert await turned() is None, "nothing to compare yet"
            assert await turned() == math.inf, "it waits, and nobody took it"
            with server.accept()[0] as taken, socket.create_connection((host, port)):
                assert await turned() == 0.0, "as many wait as before, and one was taken"
                assert await turned() == 1.0
                taken.recv(1)
                assert await turned() == 0.0, "it was read from"
            assert await turned() == 1.0, "hanging up proves nothing: the kernel does that as well"


async def test_an_idle_listener_on_both_families_waits_for_nobody() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        here = Target(id="static:me", name="me", service="me", pid=os.getpid())
        queue = (await tree_of(here)).accept_queue
        assert queue is not None
        assert queue[server.getsockname()[1]] == 0


CONNECTS = f"""
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
{SLEEPER}
"""


async def test_client_ports_are_those_of_the_replicas_own_connections() -> None:
    ports = ClientPortsSource(lambda target: target.pid)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with (
            running(CONNECTS, port) as target,
            socket.create_connection(server.getsockname()) as me,
        ):
            connection, (_, theirs) = server.accept()
            fact = await ports.look(target, 1.0)
            connection.close()
        assert fact == ClientPorts(frozenset({theirs}))
        assert me is not None


async def test_a_container_is_told_apart_by_its_address_and_needs_one_of_its_own() -> None:
    container = Target(id="f" * 64, name="c", service="c", pid=os.getpid())
    found = await ClientPortsSource(lambda t: t.pid).look(container, 1.0)
    assert isinstance(found, Unseen)
    assert found.remedy == "give it an address of its own, on a network of Docker's"


HOLDS = """
import os, sys
for _ in range(200): os.dup(0)
print(flush=True); input()
"""


def open_files(target: Target) -> tuple[int, bool]:
    """How many it has, and whether this kernel tells that to everybody."""
    there = Path(f"/proc/{target.pid}/fd")
    return len(list(there.iterdir())), there.stat().st_size > 0


async def test_open_files_are_counted_and_what_is_allowed_where_they_are_many() -> None:
    with running(HOLDS) as target:
        root = await root_of(target)
        used, tells = open_files(target)
        soft, _ = resource.prlimit(target.pid or 0, resource.RLIMIT_NOFILE)
    assert root.files == ((used, soft) if tells else None), "Linux tells from 6.2 on"


async def test_a_first_thread_that_computes_wants_all_of_the_time(spender: Spender) -> None:
    trees = source(clock := Clock())
    await tree_of(spender.target, trees)
    begun = time.monotonic()
    spender.spend(0.3)
    clock.now = time.monotonic() - begun
    (process,) = (await tree_of(spender.target, trees)).processes
    assert process.wanted is not None
    assert process.wanted == pytest.approx(1.0, abs=0.2), "what it is not let run it waits for"


LOOKS = f"""
import asyncio, os, sys
from healthagent.core.target import Target
from healthagent.sources.procfs import ClientPortsSource, ProcessTreeSource
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
target = Target(id="static:app", name="app", service="app", pid=int(sys.argv[1]))
async def look():
    for source in (ProcessTreeSource, ClientPortsSource):
        print(repr(await source(lambda target: target.pid).look(target, 1.0)))
asyncio.run(look())
"""
"""Becomes nobody only after the imports, which nobody may not be able to read."""


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody takes root")
def test_nobody_sees_the_processes_of_others_but_not_their_ports() -> None:
    with running(SLEEPER) as target:
        looked = subprocess.run(
            [sys.executable, "-c", LOOKS, str(target.pid)],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert looked.returncode == 0, looked.stderr
    tree, ports = looked.stdout.splitlines()
    assert tree.startswith("ProcessTree("), tree
    assert f"pid={target.pid}" in tree
    assert "catches_sigterm=None" not in tree
    assert ports.startswith("Unseen("), ports
    assert "CAP_SYS_PTRACE" in ports
