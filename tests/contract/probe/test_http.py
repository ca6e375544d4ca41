"""What the probe says of an application's answer."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.probe.conftest import UNHURRIED_MS

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Serve

HEAD_BOUND = 65536
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def long_header(length: int) -> bytes:
    """A header line of this length, its end included."""
    return b"X: " + b"x" * (length - len(b"X: \r\n")) + b"\r\n"


HEALTHY = {
    "200": (OK, "close", 200),
    "200 from a server that keeps the connection": (OK, "hold", 200),
    "200 and a body without end": (b"HTTP/1.1 200 OK\r\n\r\nx", "trickle", 200),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "close", 204),
    "301": (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "close", 301),
    "399": (b"HTTP/1.1 399 Almost\r\n\r\n", "close", 399),
    "no reason phrase": (b"HTTP/1.1 200\r\n\r\n", "close", 200),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nok", "close", 200),
    "lines that end in LF alone": (b"HTTP/1.1 200 OK\nA: b\n\n", "close", 200),
    "an interim answer first": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
        "hold",
        200,
    ),
    "one header of 60000 bytes": (
        b"HTTP/1.1 200 OK\r\n" + long_header(60000) + b"\r\n",
        "close",
        200,
    ),
    "a head of exactly the bound": (
        b"HTTP/1.1 200 OK\r\n" + long_header(HEAD_BOUND - 19) + b"\r\n",
        "close",
        200,
    ),
}


@pytest.mark.parametrize(("answer", "end", "status"), HEALTHY.values(), ids=HEALTHY)
def test_healthy(ask: Ask, serve: Serve, answer: bytes, end: str, status: int) -> None:
    said = ask("--http", f"{serve(answer, end).url}/livez")
    assert (said.status, said.line) == (0, f"ok pid1=- http={status} agent=- ms=N")


REFUSED = b"HTTP/1.1 503 Service Unavailable\r\n"
UNHEALTHY = {
    "503": (REFUSED + b"Content-Length: 0\r\n\r\n", "hold", "answered 503", "503"),
    "503 and a reason": (
        REFUSED + b"\r\nno database\nmore\n",
        "close",
        "answered 503: no database",
        "503",
    ),
    "503 of known length, kept open": (
        REFUSED + b"content-length: 11\r\n\r\nno database",
        "hold",
        "answered 503: no database",
        "503",
    ),
    "503 in chunks, kept open": (
        REFUSED + b"Transfer-Encoding: Chunked\r\n\r\nb\r\nno database\r\n0\r\n\r\n",
        "hold",
        "answered 503: no database",
        "503",
    ),
    "503 that names a failed check": (
        REFUSED + b"\r\n[+]process ok\n[-]http failed: 500\n[-]pool failed: x\n",
        "close",
        "answered 503: [-]http failed: 500",
        "503",
    ),
    "503, then silence": (
        REFUSED + b"\r\nno database",
        "hold",
        "answered 503: no database",
        "503",
    ),
    "503, then a reset": (REFUSED + b"\r\n", "reset", "answered 503", "503"),
    "503 with blank lines first": (
        REFUSED + b"\r\n\r\n \r\n why \r\n",
        "close",
        "answered 503: why",
        "503",
    ),
    "503 with a reason too long": (
        REFUSED + b"\r\n" + b"y" * 5000,
        "close",
        "answered 503: " + "y" * 512,
        "503",
    ),
    "control bytes in the reason": (
        REFUSED + b"\r\n\x1b[2Jred\x07 \xc2\x9b2J \x7f\x00.\n",
        "close",
        "answered 503:  [2Jred    2J   .",
        "503",
    ),
    "a reason beyond ASCII": (
        REFUSED + "\r\nzurück\n".encode(),
        "close",
        "answered 503: zurück",
        "503",
    ),
    "a reason that is no text": (
        REFUSED + b"\r\n\xff\xfe\n",
        "close",
        r"answered 503: \xff\xfe",
        "503",
    ),
    "400": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "close", "answered 400", "400"),
    "404": (b"HTTP/1.1 404 Not Found\r\n\r\n", "close", "answered 404", "404"),
    "101, which is final": (b"HTTP/1.1 101 Switching\r\n\r\n", "close", "answered 101", "101"),
    "999": (b"HTTP/1.1 999 What\r\n\r\n", "close", "answered 999", "999"),
    "nothing at all": (
        b"",
        "close",
        "closed the connection before its answer was complete",
        "closed",
    ),
    "half a status line": (
        b"HTTP/1.1 2",
        "close",
        "closed the connection before its answer was complete",
        "closed",
    ),
    "half a head": (
        b"HTTP/1.1 200 OK\r\nA: b\r\n",
        "close",
        "closed the connection before its answer was complete",
        "closed",
    ),
    "only interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        "close",
        "closed the connection before its answer was complete",
        "closed",
    ),
    "a reset": (b"", "reset", "broke the connection: connection reset", "reset"),
    "silence": (
        b"",
        "hold",
        "took the connection and then said nothing within 300 ms",
        "timeout",
    ),
    "a frozen process": (
        b"",
        "frozen",
        "took the connection and then said nothing within 300 ms",
        "timeout",
    ),
    "a head that trickles": (
        b"HTTP/1.1 200 OK\r\nA",
        "trickle",
        "did not finish its answer within 300 ms",
        "timeout",
    ),
    "another protocol": (
        b"SSH-2.0-OpenSSH_9.2\r\n",
        "hold",
        "does not answer in HTTP/1",
        "garbage",
    ),
    "a status that is no number": (
        b"HTTP/1.1 OK 200\r\n\r\n",
        "close",
        "does not answer in HTTP/1",
        "garbage",
    ),
    "a status of four digits": (
        b"HTTP/1.1 2000 OK\r\n\r\n",
        "close",
        "does not answer in HTTP/1",
        "garbage",
    ),
    "a status below 100": (
        b"HTTP/1.1 099 OK\r\n\r\n",
        "close",
        "does not answer in HTTP/1",
        "garbage",
    ),
    "a first line without status": (
        b"HTTP/1.1\r\n\r\n",
        "close",
        "does not answer in HTTP/1",
        "garbage",
    ),
    "binary": (bytes(range(256)), "hold", "does not answer in HTTP/1", "garbage"),
    "a head one byte too large": (
        b"HTTP/1.1 200 OK\r\n" + long_header(HEAD_BOUND - 18) + b"\r\n",
        "hold",
        "answered with more than 65536 bytes of headers",
        "oversized",
    ),
    "headers without end": (
        b"HTTP/1.1 200 OK\r\n" + long_header(1000) * 100,
        "hold",
        "answered with more than 65536 bytes of headers",
        "oversized",
    ),
}


@pytest.mark.parametrize(("answer", "end", "reason", "fact"), UNHEALTHY.values(), ids=UNHEALTHY)
def test_unhealthy(ask: Ask, serve: Serve, answer: bytes, end: str, reason: str, fact: str) -> None:
    url = f"{serve(answer, end).url}/livez"
    short = ("--timeout", "300") if "within 300 ms" in reason else ()
    said = ask("--http", url, *short)
    assert said.status == 1
    assert said.line == f"failed http: {url} {reason}; pid1=- http={fact} agent=- ms=N"


@pytest.mark.parametrize("status", [101, 204, 304])
def test_an_answer_that_has_no_body_is_not_waited_for(ask: Ask, serve: Serve, status: int) -> None:
    """Whatever its head says: RFC 9112, section 6.3. The server keeps the connection."""
    answer = b"HTTP/1.1 %d Bodiless\r\nContent-Length: 5\r\n\r\n" % status
    url = f"{serve(answer, 'hold').url}/livez"
    flags = ("--expect", "200", "--timeout", str(UNHURRIED_MS))
    said = ask("--http", url, *flags, within_ms=UNHURRIED_MS / 2)
    assert said.line == (
        f"failed http: {url} answered {status}, expected 200; pid1=- http={status} agent=- ms=N"
    )


def test_nothing_listens(ask: Ask, nobody: str) -> None:
    said = ask("--http", f"{nobody}/livez")
    assert said.status == 1
    assert said.line == (
        f"failed http: cannot connect to {nobody}/livez: connection refused,"
        " nothing listens there; pid1=- http=refused agent=- ms=N"
    )


def test_the_request_is_one_that_bun_and_node_accept(ask: Ask, serve: Serve) -> None:
    server = serve(OK)
    ask("--http", f"{server.url}/a/b?c=d")
    host = server.url.removeprefix("http://").encode()
    expected = (
        b"GET /a/b?c=d HTTP/1.1\r\nHost: " + host + b"\r\n"
        b"User-Agent: healthprobe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    assert server.requests == [expected, expected]


def test_ipv6(ask: Ask, serve: Serve) -> None:
    server = serve(OK, at="::1")
    assert ask("--http", f"{server.url}/livez").status == 0
    assert b"Host: [::1]:" in server.requests[0]


def test_unix_socket(ask: Ask, serve: Serve) -> None:
    server = serve(OK, at="unix")
    assert ask("--http", f"{server.url}/livez").line == "ok pid1=- http=200 agent=- ms=N"
    assert server.requests[0].startswith(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")


def test_unix_socket_that_refuses(ask: Ask, serve: Serve) -> None:
    url = serve(REFUSED + b"\r\nno database", at="unix").url
    said = ask("--http", f"{url}/readyz")
    assert said.line == (
        f"failed http: {url}/readyz answered 503: no database; pid1=- http=503 agent=- ms=N"
    )


def test_unix_socket_that_is_missing(ask: Ask, tmp_path: Path) -> None:
    said = ask("--http", f"unix:{tmp_path}/none.sock:/livez")
    assert said.status == 1
    assert ": no such socket; pid1=- http=missing" in said.line


def test_a_unix_socket_without_a_path_is_named_as_a_url_that_can_be_asked(
    ask: Ask, tmp_path: Path
) -> None:
    said = ask("--live", "--http", f"unix:{tmp_path}/none.sock")
    assert f" unix:{tmp_path}/none.sock:/livez: no such socket; " in said.line


def test_unix_socket_that_nobody_listens_on(ask: Ask, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale.sock"))
        said = ask("--http", f"unix:{tmp_path}/stale.sock:/livez")
    assert said.status == 1
    assert "http=refused" in said.line


def test_unix_socket_with_a_full_queue(ask: Ask, tmp_path: Path) -> None:
    """A frozen server whose queue is full: unlike TCP, unix(7) says so at once, with EAGAIN."""
    path = str(tmp_path / "full.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = []
        try:
            while True:
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                waiting.append(client)
                client.connect(path)
        except BlockingIOError:
            said = ask("--http", f"unix:{path}:/livez")
        finally:
            for client in waiting:
                client.close()
    assert said.status == 1
    assert "its queue of connections is full; pid1=- http=busy" in said.line
