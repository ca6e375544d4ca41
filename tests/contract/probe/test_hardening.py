"""Hostile servers, arguments and surroundings: one table for every build of the probe.

Each case runs on the native probe for x86_64, on the one for aarch64 under qemu, on the native one
under AddressSanitizer and UndefinedBehaviorSanitizer, and on the Python twin. All must say the
same, byte for byte, within the deadline, and nothing on stderr, where sanitizers tell what they
find.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision.errors import Unavailable
from provision.progress import Progress
from tests.contract.probe.conftest import UNHURRIED_MS, asker
from tests.fuzz import fuzzer

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Programs, Serve

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

OK = b"HTTP/1.1 200 OK\r\n"
DEADLINE_MS = 400
DEFAULT_DEADLINE_MS = 2000
MANY_CHILDREN = 10_000
GIGABYTE = 1 << 30
KERNELS_BUFFERS = 1 << 24  # what both sockets of a connection may hold, and more


@pytest.fixture(scope="session")
def builds(both: Programs, aarch64: list[str]) -> Programs:
    """Every build of the probe, by the words that start it."""
    try:
        with Progress().step("the probe under sanitizers") as step:
            sanitized = fuzzer.build_probe(step)
    except Unavailable as error:
        pytest.skip(f"no clang: {error}")
    return {**both, "aarch64": aarch64, "sanitized": [str(sanitized)]}


@pytest.fixture
def ask(builds: Programs) -> Ask:
    """Ask all builds, here in place of the two that other tests ask."""
    return asker(builds)


def latest(deadline_ms: int) -> float:
    """When a probe has ended by its own clock, which runs on while others have the processor."""
    return 1.5 * deadline_ms + 200


SERVERS = {
    "sends nothing": (b"", "hold", 1, "took the connection and then said nothing"),
    "is frozen": (b"", "frozen", 1, "took the connection and then said nothing"),
    "trickles a status line": (b"HTTP/1.1 2", "trickle", 1, "did not finish its answer"),
    "trickles a header": (OK + b"A: b", "trickle", 1, "did not finish its answer"),
    "trickles a body": (OK + b"\r\nx", "trickle", 0, "http=200"),
    "sends without end": (OK + b"\r\n" + b"x" * 65536, "flood", 0, "http=200"),
    "refuses without end": (b"HTTP/1.1 500 No\r\n\r\n" + b"x" * 9000, "flood", 1, "500: xxx"),
    "sends headers without end": (OK + b"A: b\r\n" * 20000, "flood", 1, "http=oversized"),
    "sends one header without end": (OK + b"A: " + b"b" * 99999, "flood", 1, "http=oversized"),
    "sends no line's end": (b"HTTP/1.1 200 " + b"O" * 99999, "flood", 1, "http=oversized"),
    "sends no status": (b"\r\n\r\n", "close", 1, "http=garbage"),
    "speaks HTTP/0.9": (b"<html>ok</html>", "close", 1, "http=garbage"),
    "speaks HTTP/2": (b"\0\0\x12\4\0\0\0\0\0", "hold", 1, "http=garbage"),
    "speaks TLS": (b"\x15\3\3\0\2\2\x28", "close", 1, "http=garbage"),
    "has status 99999999999": (b"HTTP/1.1 99999999999 OK\r\n\r\n", "close", 1, "http=garbage"),
    "has status -1": (b"HTTP/1.1 -1 OK\r\n\r\n", "close", 1, "http=garbage"),
    "sends NULs": (bytes(100), "close", 1, "http=garbage"),
    "sends NULs in the head": (OK + b"A: \0\0\r\n\r\n", "close", 0, "http=200"),
    "sends NULs in the body": (b"HTTP/1.1 500 No\r\n\r\na\0b\n", "close", 1, "500: a b;"),
    "drives a terminal": (b"HTTP/1.1 500 No\r\n\r\n\x1b]0;x\x07\r", "close", 1, "500:  ]0;x ;"),
    "says 100-continue first": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n", "hold", 0, "=200"),
    "resets": (b"", "reset", 1, "http=reset"),
    "resets within the head": (OK, "reset", 1, "http=reset"),
    "redirects": (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "close", 0, "http=302"),
    "has a negative length": (
        b"HTTP/1.1 500 No\r\nContent-Length: -1\r\n\r\nwhy",
        "close",
        1,
        "500: why",
    ),
    "has an endless length": (
        b"HTTP/1.1 500 No\r\nContent-Length: " + b"9" * 50 + b"\r\n\r\nwhy",
        "close",
        1,
        "500: why",
    ),
    "has an endless chunk": (
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 50 + b"\r\nwhy",
        "close",
        1,
        "answered 500;",
    ),
    "sends chunks of nothing but extensions": (
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n" + b";" * 99999,
        "flood",
        1,
        "answered 500;",
    ),
}


@pytest.mark.parametrize(("answer", "end", "status", "part"), SERVERS.values(), ids=SERVERS)
def test_a_server_that(
    ask: Ask, serve: Serve, answer: bytes, end: str, status: int, part: str
) -> None:
    late = "said nothing" in part or "did not finish" in part
    deadline = DEADLINE_MS if late else UNHURRIED_MS
    url = f"{serve(answer, end).url}/livez"
    said = ask("--http", url, "--timeout", str(deadline), within_ms=latest(deadline))
    assert said.status == status
    assert part in said.line
    if late:
        assert said.took_ms >= DEADLINE_MS, "it was to have all the time that it had"


@pytest.mark.parametrize(
    ("text", "status", "part"),
    [("ready", 0, "ok pid1=- http=200"), ("early", 1, "answered 200 without 'early': read")],
    ids=["that ends the first 4096 bytes", "behind them"],
)
def test_a_gigabyte_of_body_is_read_no_further_than_a_text_may_stand(
    builds: Programs, ask: Ask, serve: Serve, text: str, status: int, part: str
) -> None:
    """The server sends all of it, unless the probe hangs up."""
    head = OK + b"Content-Length: %d\r\n\r\n" % GIGABYTE
    server = serve(head + b"\n" * 4091 + b"ready" + b"early" + bytes(65536), "flood")
    flags = ["--http", server.url, "--body", text, "--timeout", str(UNHURRIED_MS)]
    said = ask(*flags, within_ms=latest(UNHURRIED_MS))
    assert said.status == status
    assert part in said.line
    assert server.flooded < len(builds) * KERNELS_BUFFERS


CHECK_FLAGS = ("--http", "--tcp", "--expect", "--body", "--header")
ARGUMENTS = {
    **{
        f"{flag} without value": ([flag], f"{flag} needs a value")
        for flag in (*CHECK_FLAGS, "--pid1", "--agent", "--timeout")
    },
    "a socket's path of 108 bytes": (
        ["--http", "unix:/" + "a" * 107],
        "names a socket by more than 107 bytes",
    ),
    "an argument of 100000 bytes": (["x" * 100_000], "unknown argument 'xxx"),
    "a URL of 100000 bytes": (["--http", "http://" + "x" * 100_000], "has more than 1024 bytes"),
    "a body of 100000 bytes": (["--body", "x" * 100_000], "must have 1 to 256 bytes"),
    "a header of 100000 bytes": (["--header", "a:" + "x" * 100_000], "is too long"),
    "a name of 100000 bytes": (["--pid1", "x" * 100_000], "has more than 256 bytes"),
    "statuses without end": (["--expect", "200," * 20_000], "must read like 200-299,401"),
    "a number without end": (["--timeout", "9" * 100_000], "is no whole number"),
    "a thousand flags": (["--tcp", "a:1"] * 1000, "is one check too many"),
    "bytes that are no text": ([b"--http", b"\xff\xfe"], "must"),
    "a terminal's controls": (["\x1b]0;x\x07"], "unknown argument ' ]0;x '"),
}


@pytest.mark.parametrize(("flags", "part"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(ask: Ask, flags: list[str | bytes], part: str) -> None:
    said = ask(*flags)
    assert said.status == 1
    assert said.line.startswith("failed options: ")
    assert part in said.line or b"\xff" in b"".join(
        flag if isinstance(flag, bytes) else flag.encode() for flag in flags
    )


def test_a_socket_path_of_107_bytes_is_asked(ask: Ask) -> None:
    assert "http=missing" in ask("--http", "unix:/" + "a" * 106 + ":/livez").line


def test_interim_answers_without_end(ask: Ask, serve: Serve) -> None:
    """They count towards the bound of all headers."""
    server = serve(b"HTTP/1.1 100 Continue\r\n\r\n", "flood")
    said = ask("--http", server.url, "--timeout", "5000")
    assert (said.status, "http=oversized" in said.line) == (1, True)


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Callable[[str, str], list[str]]]:
    """Start a PID 1 that runs a Python program under the name bun; return how to enter it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str, mount: str) -> list[str]:
        (tmp_path / "bun").symlink_to(os.path.realpath(sys.executable))
        ready = tmp_path / "ready"
        script = f"{mount} && exec -a bun {tmp_path}/bun -IS -c '{program}' {ready}"
        process = subprocess.Popen(
            ["unshare", "--pid", "--mount", "--fork", "--kill-child", "bash", "-c", script]
        )
        started.append(process)
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, "PID 1 ended"
            assert time.monotonic() < deadline, "waited 60 s for PID 1"
            time.sleep(0.02)
        first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        return ["nsenter", "--target", first, "--pid", "--mount"]

    yield start
    for process in started:
        process.kill()
        process.wait()


PROC = "mount -t proc proc /proc"
WAIT = 'open(sys.argv[1], "w"); signal.pause()'


@pytest.mark.usefixtures("as_root")
def test_ten_thousand_children(
    ask: Ask, serve: Serve, container: Callable[[str, str], list[str]]
) -> None:
    """None of those that are looked at is the application; the deadline holds all the same."""
    fork = f"""import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
for _ in range({MANY_CHILDREN}): os.fork() or os._exit(0)
{WAIT}"""
    inside = container(fork, PROC)
    url = serve(OK + b"\r\n").url
    within_ms = latest(DEFAULT_DEADLINE_MS)
    said = ask("--http", url, "--pid1", "bun", inside=inside, within_ms=within_ms)
    assert said.status == 1
    assert said.line.startswith("failed pid1: PID 1 (bun) has no bun below it; pid1=bun http=200")


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("mount", [f"{PROC} -o hidepid=2", "mount -t tmpfs none /proc"])
def test_a_proc_that_is_hidden_or_empty(
    builds: Programs, serve: Serve, container: Callable[[str, str], list[str]], mount: str
) -> None:
    inside = container(f"import signal, sys; {WAIT}", mount)
    as_nobody = [*inside, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    # AddressSanitizer itself warns where there is no /proc.
    ask = asker({name: words for name, words in builds.items() if name != "sanitized"})
    said = ask("--http", serve(OK + b"\r\n").url, "--pid1", "bun", inside=as_nobody)
    assert (said.status, said.line) == (0, "ok pid1=unknown http=200 agent=- ms=N")
