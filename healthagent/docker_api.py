"""Speaking with the Docker Engine: the connection, and what may go wrong, in words for a person.

Shared by what looks at containers and what acts on them. docker-py blocks: call it in threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import requests
import urllib3
from docker import APIClient
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from healthagent.core.report import Notice

Api = Any
"""docker-py's APIClient, of which half is typed."""

DEADLINE = 3
"""Seconds that the Engine has for one answer."""

FAULTS = (
    DockerException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,  # no JSON
)
"""What a request to the Engine may raise."""

_JOIN = (
    "add the agent's user to the socket's group (group_add in Compose); where the Engine remaps "
    "users, also userns_mode: host"
)

_MEANING: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    (
        (FileNotFoundError,),
        "there is no socket {where}",
        "start the Docker Engine, or mount its socket into the agent's container",
    ),
    (
        (PermissionError,),
        "{where} may not be opened",
        _JOIN,
    ),
    ((ConnectionRefusedError,), "nothing listens at {where}", "start the Docker Engine"),
    (
        (TimeoutError, requests.Timeout),
        "the Engine at {where} does not answer within {within:g} s",
        "look at the log of dockerd",
    ),
    (
        (ConnectionError, urllib3.exceptions.ProtocolError),
        "the Engine at {where} ended the connection",
        "start the Docker Engine if it does not come back by itself",
    ),
)
"""The first kind that is among an error's causes explains it."""


def connect(url: str, timeout: float = DEADLINE) -> APIClient:
    """A client that speaks the newest API that both sides know; TLS is by Docker's own variables.

    Each answer has ``timeout`` seconds. Raises one of ``FAULTS``.
    """
    tls: Any = kwargs_from_env().get("tls", False)
    return APIClient(base_url=url, version="auto", timeout=timeout, tls=tls)  # type: ignore[arg-type]


def explained(error: Exception, url: str, within: float = DEADLINE) -> Notice:
    """Why the Engine cannot be asked. ``within`` is how many seconds it had for its answer."""
    where = url.removeprefix("unix://")
    causes = list(_causes(error))
    barred = _barred(causes, where)
    if barred is not None:
        return Notice(about="docker", problem=barred, remedy="see docs/configuration.md, A proxy")
    for kinds, problem, remedy in _MEANING:
        if any(isinstance(cause, kinds) for cause in causes):
            told = problem.format(where=where, within=within)
            return Notice(about="docker", problem=told, remedy=remedy)
    if isinstance(error, FAULTS):
        problem = f"the Engine at {where} cannot be asked: {error}"
        return Notice(about="docker", problem=problem, remedy="look at the log of dockerd")
    problem = f"healthagent's own source failed: {error!r}"
    return Notice(about="docker", problem=problem, remedy="please report it")


def words(error: Exception, url: str, within: float = DEADLINE) -> str:
    """Why the Engine did not do something: what it said itself, or why it cannot be asked."""
    if isinstance(error, APIError) and _barred([error], url) is None:
        return str(error.explanation or error)
    return explained(error, url, within).problem


def _barred(causes: list[BaseException], where: str) -> str | None:
    """What is said of an error that something before the Engine answered: the Engine's own are JSON
    (https://docs.docker.com/reference/api/engine, "Errors"). A proxy's page is no sentence."""
    for cause in causes:
        response = getattr(cause, "response", None)
        if response is not None and "json" not in response.headers.get("Content-Type", ""):
            path = re.sub(r"^/v[\d.]+|\?.*", "", response.request.path_url)
            asked = f"{response.request.method} {path}"
            code = response.status_code
            return f"what stands before the Engine at {where} answers {code} to {asked}"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all it came from: requests and urllib3 carry theirs as arguments."""
    pending: list[object] = [error]
    seen: list[object] = []
    while pending:
        current = pending.pop(0)
        if isinstance(current, BaseException) and current not in seen:
            seen.append(current)
            yield current
            pending += [current.__cause__, current.__context__, *current.args]
