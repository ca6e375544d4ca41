"""More than one address, and more than a status: --tcp, --expect, --body, --header, --wait."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.contract.probe.conftest import SHORT_MS, run_probe

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 11\r\n\r\nno database"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RETRY_LATER = 0.3


def address(url: str) -> str:
    """HOST:PORT of a URL."""
    return url.removeprefix("http://")


def test_tcp_alone_asks_no_http(ask: Ask, serve: Serve) -> None:
    server = serve(OK)
    said = ask("--tcp", address(server.url))
    assert (said.status, said.line) == (0, "ok pid1=- http=- tcp=ok agent=- ms=N")
    assert server.requests == []


@pytest.mark.parametrize("at", ["127.0.0.1", "::1"])
def test_tcp_to_a_frozen_process_connects(ask: Ask, serve: Serve, at: str) -> None:
    """The kernel takes the connection: that is all that --tcp can tell."""
    assert ask("--tcp", address(serve(b"", "frozen", at).url)).status == 0


def test_tcp_where_nothing_listens(ask: Ask, nobody: str) -> None:
    said = ask("--tcp", address(nobody))
    assert said.status == 1
    assert said.line == (
        f"failed tcp: cannot connect to {address(nobody)}: connection refused,"
        " nothing listens there; pid1=- http=- tcp=refused agent=- ms=N"
    )


# Bring the loopback up, let connections go out from two ports alone, and become the probe.
TWO_PORTS = """import fcntl, os, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
open("/proc/sys/net/ipv4/ip_local_port_range", "w").write("40000 40001")
os.execvp(sys.argv[1], sys.argv[1:])"""


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("target", ["127.0.0.1:40000", "0.0.0.0:40000", "[::1]:40000"])
def test_tcp_that_meets_nobody_but_itself(ask: Ask, target: str) -> None:
    """Of the ports that connections go out from, one of several attempts gets that very one."""
    inside = ["unshare", "--net", sys.executable, "-IS", "-c", TWO_PORTS]
    said = ask("--tcp", target, "--wait", "--timeout", str(SHORT_MS), inside=inside)
    assert said.status == 1
    assert said.line.endswith(", nothing listens there; pid1=- http=- tcp=refused agent=- ms=N")


WRONG = {
    "no port": (["--tcp", "db"], "--tcp 'db' has no port from 1 to 65535"),
    "a URL": (["--tcp", "http://db:1/"], "--tcp 'http://db:1/' has no port from 1 to 65535"),
    "no host": (["--tcp", ":80"], "--tcp ':80' names no valid host"),
    "a blank": (
        ["--tcp", "a :1"],
        "--tcp 'a :1' holds a space, a control byte or a byte beyond ASCII",
    ),
    "nine checks": (
        ["--http=http://a/", "--tcp=a:1"] * 4 + ["--tcp=b:2"],
        "--tcp 'b:2' is one check too many: there may be 8 of --http and --tcp",
    ),
    **{
        f"expect {value!r}": (
            ["--expect", value],
            f"--expect '{value}' must read like 200-299,401, from 100 to 999",
        )
        for value in ["", "2xx", "200,", "200-", "-200", "299-200", "99", "1000", "200 - 299"]
    },
    "no text": (["--body", ""], "--body '' must have 1 to 256 bytes"),
    "a long text": (["--body", "b" * 257], f"--body '{'b' * 100}...' must have 1 to 256 bytes"),
    "no colon": (["--header", "Host"], "--header 'Host' must begin a line NAME: VALUE"),
    "no header's name": (["--header", ": a"], "--header '' must begin a line NAME: VALUE"),
    "a name in two words": (["--header", "a b: c"], "--header 'a b' must begin a line NAME: VALUE"),
    "a second request in a header": (
        ["--header", "X-Token: secret\r\n\r\nGET / HTTP/1.1"],
        "--header 'X-Token' has a value with control bytes",
    ),
    "a long header": (
        ["--header", "A: b", "--header", "X: " + "y" * 2038],
        "--header 'X' is too long: all headers together have 2048 bytes",
    ),
}


@pytest.mark.parametrize(("flags", "fault"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_named_and_a_headers_value_is_not(
    ask: Ask, flags: list[str], fault: str
) -> None:
    said = ask(*flags)
    assert said.status == 1
    assert said.line == f"failed options: {fault}; pid1=- http=- agent=- ms=N"


def test_variables(ask: Ask, serve: Serve) -> None:
    server = serve(b"HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\n\r\nshort")
    said = ask(
        variables={
            "HEALTHPROBE_HTTP": server.url,
            "HEALTHPROBE_TCP": address(server.url),
            "HEALTHPROBE_EXPECT": "418",
            "HEALTHPROBE_BODY": "short",
            "HEALTHPROBE_HEADER": "X-Shop: a",
        }
    )
    assert said.line == "ok pid1=- http=418 tcp=ok agent=- ms=N"
    assert b"\r\nX-Shop: a\r\n" in server.requests[0]


@pytest.mark.parametrize("expect", ["401", "200-299,401", "400-499", "100-999", "401-401"])
def test_an_expected_status_is_healthy(ask: Ask, serve: Serve, expect: str) -> None:
    said = ask("--http", serve(UNAUTHORIZED, "hold").url, "--expect", expect)
    assert (said.status, said.line) == (0, "ok pid1=- http=401 agent=- ms=N")


def test_a_status_that_is_not_expected(ask: Ask, serve: Serve) -> None:
    url = f"{serve(OK, 'hold').url}/livez"
    said = ask("--http", url, "--expect", "201-299,401")
    assert said.status == 1
    assert said.line == (
        f"failed http: {url} answered 200, expected 201-299,401: ok; pid1=- http=200 agent=- ms=N"
    )


def test_what_is_expected_of_the_application_is_not_expected_of_the_agent(
    ask: Ask, serve: Serve
) -> None:
    app, agent = serve(UNAUTHORIZED), serve(OK)
    flags = ["--expect", "401", "--body", "x", "--header", "Authorization: secret"]
    said = ask("--http", app.url, "--agent", agent.url, *flags)
    assert said.line.endswith("http=401 agent=ok ms=N")
    assert b"secret" not in agent.requests[0]


BODIES = {
    "of known length": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall ready", "hold"),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\nall ready", "close"),
    "of a server that never ends": (b"HTTP/1.1 200 OK\r\n\r\nready and on", "hold"),
    "on the last byte": (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 4091 + b"ready", "hold"),
    "in one chunk": (CHUNKS + b"5\r\nready\r\n0\r\n\r\n", "hold"),
    "across chunks": (CHUNKS + b"2;a=b\r\nre\r\n3\r\nady\r\n0\r\n\r\n", "hold"),
    "in a chunk with a hexadecimal size": (CHUNKS + b"000A\r\n12345ready\r\n0\r\n\r\n", "hold"),
}


@pytest.mark.parametrize(("answer", "end"), BODIES.values(), ids=BODIES)
def test_a_body_that_holds_the_text(ask: Ask, serve: Serve, answer: bytes, end: str) -> None:
    said = ask("--http", serve(answer, end).url, "--body", "ready")
    assert (said.status, said.line) == (0, "ok pid1=- http=200 agent=- ms=N")


WITHOUT = {
    "another text": (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nstarting", ": starting"),
    "no body": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    "beyond the bound": (b"HTTP/1.1 200 OK\r\n\r\n" + b"\n" * 4092 + b"ready", ": read"),
    "in capitals": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nREADY", ": READY"),
    "behind the last chunk": (CHUNKS + b"2\r\nre\r\n0\r\nready: 1\r\n\r\n", ": re"),
    "a chunk without size": (CHUNKS + b"ready\r\nready", ""),
    "a chunk too large": (CHUNKS + b"fffffffffffffffff\r\nready", ""),
}


@pytest.mark.parametrize(("answer", "reason"), WITHOUT.values(), ids=WITHOUT)
def test_a_body_without_the_text(ask: Ask, serve: Serve, answer: bytes, reason: str) -> None:
    url = f"{serve(answer).url}/livez"
    said = ask("--http", url, "--body", "ready")
    assert said.status == 1
    assert said.line == (
        f"failed http: {url} answered 200 without 'ready'{reason}; pid1=- http=200 agent=- ms=N"
    )


def test_headers_are_sent_and_replace_the_probes_own(ask: Ask, serve: Serve) -> None:
    server = serve(OK)
    headers = ["Host: shop.example", "x-token:  a b\t", "user-agent: me", "Empty:"]
    flags = [word for header in headers for word in ("--header", header)]
    ask("--http", f"{server.url}/", *flags)
    expected = (
        b"GET / HTTP/1.1\r\nAccept: */*\r\nConnection: close\r\n"
        b"Host: shop.example\r\nx-token: a b\r\nuser-agent: me\r\nEmpty: \r\n\r\n"
    )
    assert server.requests == [expected, expected]


def test_several_checks_are_asked_side_by_side(ask: Ask, serve: Serve, nobody: str) -> None:
    silent = [serve(b"", "hold") for _ in range(3)]
    flags = [word for server in silent for word in ("--http", server.url)]
    said = ask(
        "--tcp", address(nobody), *flags, "--http", serve(OK).url, "--timeout", str(SHORT_MS)
    )
    assert said.status == 1
    assert said.line.startswith("failed tcp: "), "the first that failed, as given, has the word"
    assert said.line.endswith("; pid1=- http=timeout,timeout,timeout,200 tcp=refused agent=- ms=N")
    assert [len(server.requests) for server in silent] == [2, 2, 2]


def test_eight_checks(ask: Ask, serve: Serve) -> None:
    url = serve(OK).url
    said = ask(*["--http", url, "--tcp", address(url)] * 4)
    assert said.line == "ok pid1=- http=200,200,200,200 tcp=ok,ok,ok,ok agent=- ms=N"


WAIT = ("--wait", "--timeout", "20000")


def test_wait_until_it_is_well(program: list[str], serve: Serve) -> None:
    server = serve(REFUSED)

    def heal() -> None:
        while not server.requests:
            time.sleep(0.01)
        time.sleep(RETRY_LATER)
        server.answer = OK

    threading.Thread(target=heal, daemon=True).start()
    said = run_probe([*program, "--http", server.url, *WAIT], {})
    assert (said.status, said.line) == (0, "ok pid1=- http=200 agent=- ms=N")
    assert len(server.requests) > 1, "it was to ask more than once"


def test_wait_for_somebody_to_listen(program: list[str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen([*program, "--tcp", target, *WAIT])
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(RETRY_LATER)
        listener.listen()
        assert process.wait(30) == 0


def test_wait_in_vain_tells_the_last_whole_answer(ask: Ask, serve: Serve) -> None:
    server = serve(REFUSED)
    said = ask("--http", f"{server.url}/x", "--wait", "--timeout", "500")
    assert said.status == 1
    assert said.line == (
        f"failed http: {server.url}/x answered 503: no database; pid1=- http=503 agent=- ms=N"
    )
    assert len(server.requests) >= 4


def test_one_attempt_that_hangs_does_not_take_the_whole_wait(
    program: list[str], serve: Serve
) -> None:
    server = serve(b"", "hold")

    def heal() -> None:
        while not server.requests:
            time.sleep(0.01)
        time.sleep(RETRY_LATER)
        server.answer = OK

    threading.Thread(target=heal, daemon=True).start()
    assert run_probe([*program, "--http", server.url, *WAIT], {}).status == 0
    assert len(server.requests) > 1, "the first attempt was to hang"
