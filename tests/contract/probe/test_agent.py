"""What the agent's word changes: only its 503 fails a probe whose own checks pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.probe.conftest import SHORT_MS, UNHURRIED_MS

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SICK = b"HTTP/1.1 503 Service Unavailable\r\n\r\n[+]process ok\n[-]dbos failed: two replicas\n"


@pytest.mark.parametrize(
    ("answer", "end", "fact"),
    [
        (OK, "close", "ok"),
        (b"HTTP/1.1 299 Fine\r\n\r\n", "close", "ok"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "close", "unknown:302"),
        (b"HTTP/1.1 404 Not Found\r\n\r\nno such target", "close", "unknown:404"),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "close", "unknown:500"),
        (b"", "close", "unreachable:closed"),
        (b"", "reset", "unreachable:reset"),
        (b"", "hold", "unreachable:timeout"),
        (b"", "frozen", "unreachable:timeout"),
        (b"HTTP/1.1 503 Service Unavailable\r\n", "hold", "unreachable:timeout"),
        (b"hello\r\n", "close", "unreachable:garbage"),
    ],
)
def test_a_probe_that_passes(ask: Ask, serve: Serve, answer: bytes, end: str, fact: str) -> None:
    app, agent = serve(OK), serve(answer, end)
    deadline = SHORT_MS if fact == "unreachable:timeout" else UNHURRIED_MS
    said = ask("--http", f"{app.url}/readyz", "--agent", agent.url, "--timeout", str(deadline))
    assert (said.status, said.line) == (0, f"ok pid1=- http=200 agent={fact} ms=N")


def test_an_agent_that_is_down(ask: Ask, serve: Serve, nobody: str) -> None:
    said = ask("--http", f"{serve(OK).url}/readyz", "--agent", nobody)
    assert (said.status, said.line) == (0, "ok pid1=- http=200 agent=unreachable:refused ms=N")


def test_an_agent_that_says_no(ask: Ask, serve: Serve) -> None:
    app, agent = serve(OK), serve(SICK)
    said = ask("--http", f"{app.url}/readyz", "--agent", agent.url)
    assert said.status == 1
    assert said.line == (
        f"failed agent: {agent.url}/self/readyz answered 503: [-]dbos failed: two replicas;"
        " pid1=- http=200 agent=failed ms=N"
    )


def test_the_applications_own_word_comes_first(ask: Ask, serve: Serve, nobody: str) -> None:
    said = ask("--http", f"{nobody}/readyz", "--agent", serve(SICK).url)
    assert said.status == 1
    assert said.line.startswith("failed http: cannot connect")
    assert said.line.endswith("; pid1=- http=refused agent=failed ms=N")


@pytest.mark.parametrize(
    ("flags", "path"),
    [
        ([], b"/self/readyz"),
        (["--ready"], b"/self/readyz"),
        (["--live"], b"/self/livez"),
    ],
)
@pytest.mark.parametrize("base", ["", "/", "/healthagent", "/healthagent//"])
def test_the_route_that_is_asked(
    ask: Ask, serve: Serve, flags: list[str], path: bytes, base: str
) -> None:
    app, agent = serve(OK), serve(OK)
    ask(*flags, "--http", app.url, "--agent", agent.url + base)
    expected = b"GET " + base.rstrip("/").encode() + path + b" HTTP/1.1\r\n"
    assert [request[: len(expected)] for request in agent.requests] == [expected, expected]


def test_both_are_asked_side_by_side(ask: Ask, serve: Serve) -> None:
    """Two silent servers cost one deadline: in sequence the second would not be asked at all."""
    app, agent = serve(b"", "hold"), serve(b"", "hold")
    said = ask("--http", app.url, "--agent", agent.url, "--timeout", str(SHORT_MS))
    assert said.line.endswith("; pid1=- http=timeout agent=unreachable:timeout ms=N")
    assert len(app.requests) == len(agent.requests) == 2
