"""Why the Engine cannot be asked, in words."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests
from docker.errors import APIError, DockerException
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NameResolutionError

from healthagent.config.tables import DOCKER_SOCKET
from healthagent.docker_api import KEPT, connect, elsewhere, explained, words

URL = "unix:///run/docker.sock"


@pytest.mark.parametrize("within", [3.0, 40.0])
def test_an_engine_that_does_not_answer_is_told_with_the_time_that_it_had(within: float) -> None:
    notice = explained(requests.ReadTimeout("read timed out"), URL, within)
    said = f"the Engine at /run/docker.sock does not answer within {within:g} s"
    assert notice.problem == said, "name the deadline that the request had"


def test_a_name_that_does_not_resolve_is_told_as_one() -> None:
    """As that of a proxy before the Engine's socket which is on another network."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    failed = NameResolutionError("proxy", HTTPConnection("proxy"), unknown)
    failed.__cause__ = unknown
    notice = explained(requests.ConnectionError(failed), "tcp://proxy:2375")
    said = "the name of the Engine at tcp://proxy:2375 is not found: Name or service not known"
    assert notice.problem == said
    assert "attach the agent to a network" in notice.remedy


def test_a_socket_that_nobody_listens_at_may_be_that_of_an_engine_which_has_another_by_now(
    tmp_path: Path,
) -> None:
    """As of one that started anew under the agent's container, into which its file is mounted."""
    with socket.socket(socket.AF_UNIX) as before:
        before.bind(str(tmp_path / "docker.sock"))
    with socket.socket(socket.AF_UNIX) as asking, pytest.raises(ConnectionRefusedError) as failed:
        asking.connect(str(tmp_path / "docker.sock"))
    notice = explained(failed.value, f"unix://{tmp_path}/docker.sock")
    assert notice.problem == f"nothing listens at {tmp_path}/docker.sock"
    assert notice.remedy.startswith("start the Docker Engine; if it runs")
    assert notice.remedy.endswith("restart the agent")


def refused(content_type: str, text: str) -> requests.HTTPError:
    """To create a container is answered 403."""
    request = requests.Request("POST", "http://proxy:2375/v1.41/containers/create?name=x").prepare()
    response = requests.Response()
    response.status_code, response.request = 403, request
    response.headers["Content-Type"] = content_type
    response._content = text.encode()
    return requests.HTTPError("403 Client Error", response=response)


def test_a_page_of_a_proxy_is_told_as_what_it_does_not_let_pass() -> None:
    error = refused("text/html", "<html><h1>403 Forbidden</h1></html>")
    denied = APIError("403 Client Error", error.response, "<html><h1>403 Forbidden</h1></html>")
    before = "what stands before the Engine at tcp://proxy:2375"
    said = f"{before} answers 403 to POST /containers/create"
    assert words(denied, "tcp://proxy:2375") == said
    assert explained(error, "tcp://proxy:2375").problem == said


WITHIN = 30.0
"""Seconds for one answer, on a machine that has much else to do."""


class Answering(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Answers as an Engine does, and keeps connections as it does. What is asked of a container is
    answered once ``meeting`` is complete."""

    daemon_threads = True
    request_queue_size = 2 * KEPT

    def __init__(self, address: str | tuple[str, int], meeting: threading.Barrier) -> None:
        self.meeting = meeting
        self.taken = 0
        self.headers: list[str] = []
        if isinstance(address, str):
            self.address_family = socket.AF_UNIX
        super().__init__(address, Answer)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        where = self.server_address
        return f"tcp://127.0.0.1:{where[1]}" if isinstance(where, tuple) else f"unix://{where!s}"

    def verify_request(self, request: object, client_address: object) -> bool:
        self.taken += 1
        return True


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering

    def do_GET(self) -> None:
        if "/containers/" in self.path:
            self.server.meeting.wait(WITHIN)
        self.server.headers += self.headers.keys()
        body = b'{"ApiVersion": "1.41"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def answering(address: str | tuple[str, int], at_once: int = 1) -> Iterator[Answering]:
    with Answering(address, threading.Barrier(at_once)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_connections_are_kept_whichever_containers_are_asked_for(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    address = str(tmp_path / "engine") if way == "unix" else ("127.0.0.1", 0)
    with answering(address, KEPT) as server:
        client = connect(server.url, WITHIN)
        of_the_version = server.taken
        with ThreadPoolExecutor(KEPT) as threads:
            for of in "ab":
                ids = [f"{of}{number}" for number in range(KEPT)]
                list(threads.map(client.inspect_container, ids))
        client.close()
    assert server.taken - of_the_version == KEPT
    assert not caplog.records, "that a connection is not kept is no line for an operator"


def test_a_socket_is_asked_as_it_is_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's passwords for other servers of this machine are none of the Engine's."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password swordfish\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with answering(str(tmp_path / "engine")) as server:
        client = connect(server.url, WITHIN)
        server.headers.clear()
        client.inspect_container("a1")
        client.close()
    assert server.headers
    assert "Authorization" not in server.headers


def test_what_the_engine_says_itself_is_told_as_it_is() -> None:
    error = refused("application/json", "{}")
    denied = APIError("403 Client Error", error.response, "authorization denied by plugin opa")
    assert words(denied, URL) == "authorization denied by plugin opa"


Context = Callable[[str, str], None]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Puts down a context as ``docker context create NAME --docker host=HOST`` and ``use`` do."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def used(name: str, host: str) -> None:
        folder = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        document = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}}
        (folder / "meta.json").write_text(json.dumps(document))
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": name}))

    return used


ROOTLESS = "unix:///run/user/1000/docker.sock"


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(2, "none"), ConnectionRefusedError(111, "no"), PermissionError(13, "no")],
    ids=lambda error: type(error).__name__,
)
def test_where_the_docker_program_goes_by_a_context_that_is_the_remedy(
    context: Context, error: OSError
) -> None:
    assert "context" not in explained(error, DOCKER_SOCKET).remedy
    context("rootless", ROOTLESS)
    found = "`docker` here asks another Engine, by its context rootless"
    assert explained(error, DOCKER_SOCKET).remedy == f"{found}: set DOCKER_HOST={ROOTLESS}"
    assert "context" not in explained(error, URL).remedy, "that Engine was named"


def test_an_engine_over_ssh_is_one_to_go_to(context: Context) -> None:
    context("far", "ssh://deploy@shop.example")
    assert "run healthagent on that machine" in elsewhere(DOCKER_SOCKET)
    assert "deploy" not in elsewhere(DOCKER_SOCKET), "who logs in there is nobody's business"
    not_by_ssh = DockerException("Install paramiko package to enable ssh:// support")
    remedy = explained(not_by_ssh, "ssh://deploy@shop.example").remedy
    assert "run healthagent on that machine" in remedy


def test_docker_s_own_variables_go_ahead_of_the_context_in_use(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    context("rootless", ROOTLESS)
    context("far", "tcp://far:2376")
    monkeypatch.setenv("DOCKER_CONTEXT", "rootless")
    assert "by its context rootless" in elsewhere(DOCKER_SOCKET)
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert elsewhere(DOCKER_SOCKET) == ""
    monkeypatch.setenv("DOCKER_HOST", DOCKER_SOCKET)
    monkeypatch.delenv("DOCKER_CONTEXT")
    assert elsewhere(DOCKER_SOCKET) == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"currentContext": "gone"}'])
def test_a_configuration_of_docker_s_that_cannot_be_read_is_no_fault(
    context: Context, tmp_path: Path, text: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    assert elsewhere(DOCKER_SOCKET) == ""
