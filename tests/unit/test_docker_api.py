"""Why the Engine cannot be asked, in words."""

from __future__ import annotations

import socket

import pytest
import requests
from docker.errors import APIError
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NameResolutionError

from healthagent.docker_api import explained, words

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


def test_what_the_engine_says_itself_is_told_as_it_is() -> None:
    error = refused("application/json", "{}")
    denied = APIError("403 Client Error", error.response, "authorization denied by plugin opa")
    assert words(denied, URL) == "authorization denied by plugin opa"
