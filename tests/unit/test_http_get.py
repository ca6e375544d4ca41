"""A GET reaches this machine past any proxy, and what does not speak HTTP/1 is no surprise."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

import pytest

from examples.quickstart.tour import web
from healthagent import http_get
from healthagent.aside import beside
from healthagent.audit.evidence import Metrics, Router
from healthagent.audit.reading import records, traefik
from healthagent.core.observation import Unseen
from healthagent.http_get import get
from provision.local import answers
from tests.web_servers import serving

T = TypeVar("T")
SOON = 5.0
REFUSED = "http://127.0.0.1:1"
HTTP_2_SETTINGS = bytes.fromhex("00000604000000000000050000400000")


@pytest.fixture(autouse=True)
def no_proxy_of_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def url() -> Iterator[str]:
    """A server that answers an empty list, and in a header what it was asked for."""
    with serving(lambda path: (200, {"Asked": path}, b"[]")) as found:
        yield found


@contextmanager
def speaking(said: bytes) -> Iterator[str]:
    """What answers one connection with these bytes, and ends it."""

    def speak() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=speak)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@contextmanager
def dripping(begun: bytes) -> Iterator[str]:
    """What begins an answer so, and goes on with it a byte at a time for as long as it is let."""
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(begun)
            while not over.wait(0.02):
                connection.sendall(b"1")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_this_machine_is_asked_past_a_proxy(
    url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", REFUSED)
    assert get(url.replace("127.0.0.1", name), SOON).content == b"[]"


def test_any_other_machine_is_asked_through_the_proxy(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", url)
    answer = get("http://prometheus.invalid/federate", SOON)
    assert answer.headers["Asked"] == "http://prometheus.invalid/federate"


@pytest.mark.parametrize(
    "sees",
    [
        lambda url: web.get(url) == web.Answer(200, "[]"),
        answers,
        lambda url: isinstance(traefik.read(url), Router),
        lambda url: isinstance(records.metrics(url), Metrics),
    ],
    ids=["tour", "local parts", "audit --traefik", "audit --metrics"],
)
def test_nobody_who_asks_this_machine_goes_through_a_proxy(
    url: str, sees: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", REFUSED)
    assert sees(url), "ask with healthagent.http_get, which leaves the proxy out"


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.2\r\n", HTTP_2_SETTINGS, b""], ids=["SSH", "gRPC", "nothing"]
)
@pytest.mark.parametrize(
    ("ask", "flag"),
    [(traefik.read, "--traefik URL"), (records.metrics, "--metrics URL")],
    ids=["traefik", "metrics"],
)
def test_a_port_that_does_not_speak_http_is_not_seen(
    ask: Callable[[str], object], flag: str, said: bytes
) -> None:
    with speaking(said) as url:
        found = ask(url)

    assert isinstance(found, Unseen)
    assert url in found.reason
    assert found.reason.isprintable(), "what it said must not reach the terminal as it is"
    assert flag in found.remedy


def test_an_answer_that_is_cut_while_it_is_read_is_an_error_of_the_connection() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"
    with speaking(chunked) as url, pytest.raises(OSError, match="no whole answer"):
        get(url, SOON)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_drips_is_not_waited_for_beyond_its_time(begun: bytes) -> None:
    with (
        dripping(begun) as url,
        pytest.raises(TimeoutError, match=r"no whole answer within 0\.5 s"),
    ):
        get(url, 0.5)


def test_where_no_time_is_left_no_step_fails_for_want_of_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that asks may be ahead of the one that waits: it is the latter that gives up."""

    def ahead(name: str, work: Callable[[], T]) -> Future[T]:
        asked = beside(name, work)
        wait([asked], SOON)
        return asked

    monkeypatch.setattr(http_get, "beside", ahead)
    assert get(url, 0.0).content == b"[]"


@pytest.mark.timeout(20)
def test_pages_without_an_end_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traefik, "DEADLINE", 0.5)
    with serving(lambda _: (200, {"X-Next-Page": "2"}, b"[]")) as url:
        found = traefik.read(url)
    assert isinstance(found, Unseen)
    assert "gives no answer: none that is whole within 0.5 s" in found.reason


def test_an_answer_of_any_status_is_one_and_no_content() -> None:
    with serving(lambda _: (503, {}, b"not now")) as url:
        answer = get(url, SOON)
    assert (answer.status, answer.body) == (503, b"not now")
    with pytest.raises(OSError, match="503"):
        _ = answer.content


def test_a_tour_that_asks_what_speaks_no_http_gets_no_answer() -> None:
    with speaking(HTTP_2_SETTINGS) as url:
        assert web.get(url).status == web.NO_ANSWER


@pytest.mark.parametrize("url", ["http://admin:hunter2@127.0.0.1/federate", "http://[::1/hunter2"])
def test_an_address_that_is_no_url_is_refused_without_a_word_of_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as refused:
        get(url, SOON)

    assert "hunter2" not in str(refused.value)
