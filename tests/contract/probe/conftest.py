"""What the probe's contract is tested with: both probes side by side, and a real server to ask."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provision import apt
from provision.errors import Unavailable
from provision.progress import Progress
from tests import web_servers

REPOSITORY = Path(__file__).parents[3]
PROBES = REPOSITORY / "probes"
QEMU = "qemu-aarch64-static"
PROBE_SECONDS = 30  # far above any deadline that a test gives a probe
UNHURRIED_MS = 10_000  # where the deadline is not what ends the probe
SHORT_MS = 1000  # where it is, and others answer before, on a machine that is busy

Ask = Callable[..., "Said"]
Serve = Callable[..., "Server"]
Programs = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Said:
    """What a probe told Docker: its exit status and its line, with the time masked."""

    status: int
    line: str
    took_ms: int = field(compare=False)
    """By the probe's own clock, from its `main` on."""


@pytest.fixture(scope="session")
def native() -> Path:
    """The native probe for x86_64, built anew when a source is younger than it."""
    subprocess.run([sys.executable, PROBES / "build.py", "x86_64"], check=True)
    return PROBES / "dist" / "healthprobe-x86_64"


@pytest.fixture(scope="session")
def twin() -> Path:
    """The same probe for a Python interpreter."""
    return PROBES / "healthprobe.py"


@pytest.fixture(scope="session")
def both(native: Path, twin: Path) -> Programs:
    """The native probe and its twin, each by the words that start it."""
    return {"native": [str(native)], "twin": [os.path.realpath(sys.executable), "-IS", str(twin)]}


@pytest.fixture(scope="session")
def aarch64() -> list[str]:
    """The words that start the native probe for aarch64, under qemu."""
    try:
        with Progress().step("qemu") as step:
            if shutil.which(QEMU) is None:
                apt.install(step, "qemu-user-static")
    except Unavailable as error:
        pytest.skip(f"no qemu: {error}")
    subprocess.run([sys.executable, PROBES / "build.py", "aarch64"], check=True)
    emulator = shutil.which(QEMU)
    assert emulator
    return [emulator, str(PROBES / "dist" / "healthprobe-aarch64")]


@pytest.fixture(params=["native", "twin", pytest.param("aarch64", marks=pytest.mark.system)])
def program(request: pytest.FixtureRequest, both: Programs) -> list[str]:
    """Each of the probes alone, where they cannot be asked one after the other of the same."""
    if request.param == "aarch64":
        words: list[str] = request.getfixturevalue("aarch64")
        return words
    return both[request.param]


@pytest.fixture
def ask(both: Programs) -> Ask:
    """Run both probes with the same options, and return what they said when it is the same."""
    return asker(both)


def asker(programs: Programs) -> Ask:
    """Run several probes with the same options, and return what they said when it is the same."""

    def run_all(
        *flags: str | bytes,
        variables: dict[str, str] | None = None,
        inside: Sequence[str] = (),
        within_ms: float | None = None,
    ) -> Said:
        """A probe that took longer than `within_ms` gets a second chance: machines are busy."""
        said: dict[str, Said] = {}
        for name, program in programs.items():
            command = [*inside, *program, *flags]
            said[name] = run_probe(command, variables or {})
            if within_ms is not None:
                if said[name].took_ms > within_ms:
                    said[name] = run_probe(command, variables or {})
                took = said[name].took_ms
                assert took <= within_ms, f"{name} took {took} ms twice, for {flags}"
        assert len(set(said.values())) == 1, "\n  ".join(
            [f"all probes must say the same of {flags} {variables}:"]
            + [f"{name}: {one}" for name, one in said.items()]
        )
        return said["native"]

    return run_all


def run_probe(command: Sequence[str | bytes], variables: dict[str, str]) -> Said:
    """Run one probe with these variables alone, and hold it to the form of its output."""
    path = {"PATH": os.environ["PATH"]}  # for a command that a test puts before the probe
    result = subprocess.run(
        command, env={**path, **variables}, capture_output=True, timeout=PROBE_SECONDS, check=False
    )
    assert result.stderr == b"", f"{command!r} must say nothing on stderr"
    assert result.stdout.endswith(b"\n"), f"{command!r} must end its line"
    assert len(result.stdout) <= 4096, f"{command!r} says more than Docker keeps"
    line = result.stdout[:-1].decode("utf-8", "backslashreplace")
    took = re.search(r" ms=(\d+)$", line)
    masked = re.sub(r" ms=\d+$", " ms=N", line)
    return Said(result.returncode, masked, took_ms=int(took[1]) if took else 0)


@dataclass
class Server:
    """A server that gives every connection the same answer, then ends it in its own way.

    `end` is one of: close, reset, hold (says no more, keeps the connection), trickle (repeats the
    answer's last byte for as long as somebody listens), flood (repeats all of it, as fast as it is
    taken), frozen (never takes a connection).
    """

    listener: socket.socket
    url: str
    answer: bytes
    end: str
    requests: list[bytes] = field(default_factory=list)
    flooded: int = 0
    """Bytes that a flood has got rid of."""
    held: list[socket.socket] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Listen, and unless the server is frozen take connections."""
        self.listener.listen()
        if self.end != "frozen":
            threading.Thread(target=self.take_connections, daemon=True).start()

    def take_connections(self) -> None:
        """Give every connection a thread of its own."""
        while not self.stopping.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.held.append(connection)
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection: socket.socket) -> None:
        """Read one request, answer it, and end."""
        try:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                part = connection.recv(4096)
                if not part:
                    return
                request += part
            self.requests.append(request)
            connection.sendall(self.answer)
            while self.end == "trickle" and not self.stopping.wait(0.01):
                connection.sendall(self.answer[-1:])
            while self.end == "flood" and not self.stopping.is_set():
                connection.sendall(self.answer)
                self.flooded += len(self.answer)
        except OSError:
            return  # The probe has heard enough.
        if self.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.end != "hold":
            connection.close()

    def stop(self) -> None:
        """Give every socket back."""
        self.stopping.set()
        for one in (self.listener, *self.held):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers on free ports, or on unix sockets, for as long as the test runs."""
    servers: list[Server] = []

    def start(answer: bytes = b"", end: str = "close", at: str = "127.0.0.1") -> Server:
        if at == "unix":
            listener = socket.socket(socket.AF_UNIX)
            path = tmp_path / f"{len(servers)}.sock"
            listener.bind(str(path))
            url = f"unix:{path}:"
        else:
            ipv6 = ":" in at
            listener = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
            listener.bind((at, 0))
            url = f"http://{f'[{at}]' if ipv6 else at}:{listener.getsockname()[1]}"
        server = Server(listener, url, answer, end)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL where nothing listens."""
    with web_servers.nobody() as address:
        yield f"http://{address}"


@pytest.fixture
def as_root() -> None:
    """Skip where the test may not make namespaces."""
    works = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False)
    if works.returncode != 0:
        pytest.skip("needs root with CAP_SYS_ADMIN: it gives the probe a PID 1 of its own")
