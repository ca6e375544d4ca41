"""Host names: /etc/hosts first, then the container's name servers, both in the test's own hands."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.probe.conftest import UNHURRIED_MS

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Serve

pytestmark = pytest.mark.usefixtures("as_root")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
A, AAAA = 1, 28
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
ALIAS = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x00\x00\x04\x01x\xc0\x0c"  # CNAME x.NAME

Files = Callable[..., list[str]]


def record(kind: int, address: str) -> bytes:
    """An answer record for the name in the question. Source: RFC 1035, section 4.1.3."""
    data = socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, address)
    head = b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\x00\x01" + bytes(4)
    return head + len(data).to_bytes(2, "big") + data


class NameServer:
    """A name server on an address of its own, since the port must be 53."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for last in range(2, 255):
            self.address = f"127.53.{os.getpid() % 256}.{last}"
            try:
                self.socket.bind((self.address, 53))
                break
            except OSError:
                continue
        self.asked: list[int] = []
        self.code = NO_ERROR
        self.records: dict[int, list[bytes]] = {A: [], AAAA: []}
        self.silent = False
        self.change: Callable[[bytes], bytes] = bytes
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self) -> None:
        """Answer every question until the socket is closed."""
        while True:
            try:
                question, peer = self.socket.recvfrom(512)
            except OSError:
                return
            if not question:
                return  # stop() wakes this thread with nothing.
            kind = int.from_bytes(question[-4:-2], "big")
            self.asked.append(kind)
            records = self.records[kind]
            if self.silent:
                continue
            counts = b"\x00\x01" + len(records).to_bytes(2, "big") + bytes(4)
            flags = (0x8180 | self.code).to_bytes(2, "big")
            message = question[:2] + flags + counts + question[12:] + b"".join(records)
            self.socket.sendto(self.change(message), peer)

    def stop(self) -> None:
        """Give the address back."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    """A name server that knows what the test tells it."""
    server = NameServer()
    yield server
    server.stop()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Give a probe an /etc/hosts and an /etc/resolv.conf of its own."""

    def bind(hosts: bytes | str = "", resolv: bytes | str = "") -> list[str]:
        script = ""
        for name, content in (("hosts", hosts), ("resolv.conf", resolv)):
            path = tmp_path / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            script += f"mount --bind {path} /etc/{name} && "
        return ["unshare", "--mount", "sh", "-c", f'{script} exec "$@"', "sh"]

    return bind


def port_of(server: object) -> str:
    """The port in a server's URL."""
    return str(getattr(server, "url", "")).rpartition(":")[2]


@pytest.mark.parametrize(
    "hosts",
    [
        "127.0.0.1 app",
        "127.0.0.1\tother\tAPP\n",
        "# 127.9.9.9 app\n  127.0.0.1   app # here\r\n",
        "nonsense app\n127.0.0.1 app.local app\n",
        "127.0.0.1\0\0 app\n",  # as a file may read after a crash
        "::1 app\n127.0.0.1 app\n",  # nobody listens on the first: the next one is tried
    ],
)
def test_a_name_from_hosts(ask: Ask, serve: Serve, files: Files, hosts: str) -> None:
    url = f"http://app:{port_of(serve(OK))}/livez"
    said = ask("--http", url, inside=files(hosts=hosts))
    assert (said.status, said.line) == (0, "ok pid1=- http=200 agent=- ms=N")


@pytest.mark.parametrize("at", ["127.0.0.1", "::1"])
def test_localhost_needs_no_file(ask: Ask, serve: Serve, files: Files, at: str) -> None:
    url = f"http://localhost:{port_of(serve(OK, at=at))}"
    assert ask("--http", url, inside=files()).status == 0


@pytest.mark.parametrize(
    ("records", "asked"),
    [
        ({A: [record(A, "127.0.0.1")]}, [A]),
        ({A: [ALIAS, record(A, "127.0.0.1")]}, [A]),
        ({A: [record(A, "127.0.0.9"), record(A, "127.0.0.1")]}, [A]),
        ({A: [], AAAA: [record(AAAA, "::1")]}, [A, AAAA]),
    ],
)
def test_a_name_from_a_name_server(
    ask: Ask,
    serve: Serve,
    files: Files,
    name_server: NameServer,
    records: dict[int, list[bytes]],
    asked: list[int],
) -> None:
    name_server.records.update(records)
    server = serve(OK, at="::1" if AAAA in records else "127.0.0.1")
    inside = files(resolv=f"# a comment\nnameserver {name_server.address}\noptions ndots:0\n")
    said = ask("--http", f"http://app.test:{port_of(server)}/", inside=inside)
    assert (said.status, said.line) == (0, "ok pid1=- http=200 agent=- ms=N")
    assert name_server.asked == asked * 2


@pytest.mark.parametrize("code", [NO_SUCH_NAME, NO_ERROR])
def test_no_such_name(ask: Ask, files: Files, name_server: NameServer, code: int) -> None:
    name_server.code = code
    inside = files(resolv=f"nameserver {name_server.address}\n")
    said = ask("--http", "http://app.test/", inside=inside)
    assert said.status == 1
    assert said.line == (
        "failed http: cannot resolve app.test: no such name; pid1=- http=unresolved agent=- ms=N"
    )


NO_SERVER = "failed http: cannot resolve app.test: no name server answers"


def test_a_name_server_that_cannot_say(ask: Ask, files: Files, name_server: NameServer) -> None:
    name_server.code = SERVER_FAILURE
    inside = files(resolv=f"nameserver {name_server.address}\n")
    said = ask("--http", "http://app.test/", inside=inside)
    assert (said.status, said.line) == (1, f"{NO_SERVER}; pid1=- http=unresolved agent=- ms=N")


def test_a_name_server_that_is_silent(ask: Ask, files: Files, name_server: NameServer) -> None:
    name_server.silent = True
    inside = files(resolv=f"nameserver {name_server.address}\n")
    said = ask("--http", "http://app.test/", "--timeout", "300", inside=inside)
    assert (said.status, said.line) == (
        1,
        f"{NO_SERVER} within 300 ms; pid1=- http=timeout agent=- ms=N",
    )


@pytest.mark.parametrize("silent", [True, False])
def test_the_next_name_server_is_asked(
    ask: Ask, serve: Serve, files: Files, name_server: NameServer, silent: bool
) -> None:
    """The first one is silent, or there is none at its address."""
    name_server.records[A] = [record(A, "127.0.0.1")]
    first = NameServer()
    first.silent = True
    if not silent:
        first.stop()
    try:
        addresses = ("fe80::1%eth0", first.address, name_server.address)
        resolv = "".join(f"nameserver {address}\n" for address in addresses)
        url = f"http://app.test:{port_of(serve(OK))}/"
        said = ask("--http", url, inside=files(resolv=resolv))
    finally:
        first.stop()
    assert said.status == 0, said.line


def cut(message: bytes) -> bytes:
    """An answer that promises more than it holds."""
    return message[:-5]


def loop(message: bytes) -> bytes:
    """An answer whose question's name never ends."""
    return message[:12] + b"\x3f" + b"a" * 60


def nothing(message: bytes) -> bytes:
    """An empty datagram."""
    return b""


def foreign(message: bytes) -> bytes:
    """An answer to somebody else's question."""
    return bytes([message[0] ^ 1]) + message[1:]


def echo(message: bytes) -> bytes:
    """The question itself."""
    return message[:2] + b"\x01\x00" + message[4:]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (cut, "failed http: cannot resolve app.test: no such name; pid1=- http=unresolved"),
        (loop, "failed http: cannot resolve app.test: no such name; pid1=- http=unresolved"),
        (nothing, f"{NO_SERVER} within 300 ms; pid1=- http=timeout"),
        (foreign, f"{NO_SERVER} within 300 ms; pid1=- http=timeout"),
        (echo, f"{NO_SERVER} within 300 ms; pid1=- http=timeout"),
    ],
)
def test_a_broken_answer(
    ask: Ask,
    files: Files,
    name_server: NameServer,
    change: Callable[[bytes], bytes],
    line: str,
) -> None:
    name_server.records = {A: [record(A, "127.0.0.1")], AAAA: [record(AAAA, "::1")]}
    name_server.change = change
    inside = files(resolv=f"nameserver {name_server.address}\n")
    deadline = 300 if "within 300 ms" in line else UNHURRIED_MS
    said = ask("--http", "http://app.test/", "--timeout", str(deadline), inside=inside)
    assert (said.status, said.line) == (1, f"{line} agent=- ms=N")


def test_an_agent_that_cannot_be_resolved_does_not_fail(
    ask: Ask, serve: Serve, files: Files, name_server: NameServer
) -> None:
    name_server.code = NO_SUCH_NAME
    inside = files(resolv=f"nameserver {name_server.address}\n")
    flags = ("--http", serve(OK).url, "--agent", "http://healthagent:9180")
    said = ask(*flags, inside=inside)
    assert (said.status, said.line) == (0, "ok pid1=- http=200 agent=unreachable:unresolved ms=N")
