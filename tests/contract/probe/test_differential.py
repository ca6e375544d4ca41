"""The native probe and its twin say the same of whatever hypothesis thinks of."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.probe.conftest import Server, asker

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Programs

EXAMPLES = 60
HTTP_WORDS = st.sampled_from(
    [
        b"HTTP/1.",
        b"1 200",
        b" OK",
        b"\r\n",
        b"\n",
        b"503 No",
        b"Content-Length: 3",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 500 No\r\n",
        b"HTTP/1.1 100 Go\r\n\r\n",
        b"a;b\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\nfoo\r\n",
        b"0\r\n\r\n",
        b"[-]x failed\n",
    ]
)
ANSWERS = st.lists(HTTP_WORDS | st.binary(max_size=20), max_size=12).map(b"".join)
ARGUMENT_WORDS = st.sampled_from(
    [
        "--http",
        "--tcp",
        "--expect",
        "--body",
        "--header",
        "--pid1",
        "--agent",
        "--timeout",
        "--x",
        "--live",
        "--ready",
        "=",
        "http://",
        "https://",
        "unix:/",
        "[::1]",
        "127.0.0.1",
        ":",
        "/",
        "200-299",
        ",",
        "401",
        "a: b",
        "bun",
        "0",
        "1",
        "99999",
    ]
)
WORDS = st.lists(ARGUMENT_WORDS | st.text("aA1.-:/[]= \t", max_size=4), max_size=5).map("".join)
ASKS_NOBODY = "--never"  # no option: so a probe that would find all well asks nobody


@pytest.fixture(scope="module")
def ask_both(both: Programs) -> Ask:
    """As `ask`, for hypothesis, which runs many examples in one test."""
    return asker(both)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server whose answer each example changes."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Server(listener, url, b"", "close")
    server.start()
    yield server
    server.stop()


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(answer=ANSWERS, body=st.sampled_from(["", "foo", "x"]))
def test_answers(ask_both: Ask, server: Server, answer: bytes, body: str) -> None:
    server.answer = answer
    wanted = ["--body", body] if body else []
    ask_both("--http", server.url, "--expect", "200-299,500", *wanted)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(arguments=st.lists(WORDS, max_size=6))
def test_arguments(ask_both: Ask, arguments: list[str]) -> None:
    if not {"--help", "-h"} & set(arguments):
        assert ask_both(*arguments, ASKS_NOBODY).status == 1
