"""GET for whoever asks once and waits: the audit, what sets up local parts, and the tour."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.request
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from healthagent.aside import beside

LARGEST = 50_000_000
"""Bytes of an answer that are read."""

SLACK = 1.0
"""Seconds by which one step may outlast the whole: what ends first is always the same, and has a
time also where none is left."""


class Answer(NamedTuple):
    """A whole answer, of any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> bytes:
        """The body of a success. Raises ``OSError`` where it is none."""
        if not 200 <= self.status < 300:
            raise OSError(f"it answers with status {self.status}")
        return self.body


def get(url: str, within: float) -> Answer:
    """What comes of a GET within so many seconds, name, redirects and body included.

    Whatever ``http_proxy`` says, this machine is asked without a proxy, as Go's programs and
    browsers do: a proxy elsewhere has another loopback. Raises ``OSError`` where there is no whole
    answer in HTTP/1, and ``ValueError`` where that is no URL.
    """
    try:
        # urllib gives each step its time anew, so that who drips would never come to an end.
        return beside("get", partial(_answered, url, within + SLACK)).result(within)
    except TimeoutError:
        raise TimeoutError(f"no whole answer within {within:g} s") from None


def _answered(url: str, step: float) -> Answer:
    handlers: list[Any] = [_AnyStatus]
    try:
        if _is_here(urlsplit(url).hostname or ""):
            handlers.append(urllib.request.ProxyHandler({}))
        with urllib.request.build_opener(*handlers).open(url, timeout=step) as answer:
            return Answer(answer.status, answer.headers, answer.read(LARGEST))
    except OSError:
        raise  # RemoteDisconnected is an HTTPException as well
    except http.client.InvalidURL:
        # Its text holds a part of the URL, and that may be a password.
        raise ValueError("that is no URL such as http://HOST:PORT/PATH") from None
    except http.client.HTTPException as error:
        raise OSError(f"no whole answer in HTTP/1: {error!r}") from error


class _AnyStatus(urllib.request.HTTPDefaultErrorHandler):
    """Takes an answer that is no success for one; urllib raises it."""

    def http_error_default(self, _request: Any, answer: Any, *_told: Any) -> Any:
        return answer


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
