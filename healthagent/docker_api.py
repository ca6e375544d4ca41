"""Speaking with the Docker Engine: the connection, and what may go wrong, in words for a person.

Shared by what looks at containers and what acts on them. docker-py blocks: call it in threads.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import requests
import urllib3
from docker import APIClient
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, TLSParameterError
from docker.transport import UnixHTTPAdapter
from docker.utils import kwargs_from_env
from requests.adapters import HTTPAdapter

from healthagent.config.tables import DOCKER_SOCKET
from healthagent.core.masking import masked
from healthagent.core.notice import Notice

Api = Any
"""docker-py's APIClient, of which half is typed."""

DEADLINE = 3
"""Seconds that the Engine has for one answer."""

KEPT = 16
"""Connections that are kept for the next request: as many as wait for an answer side by side."""

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

ANEW = (
    "if it runs, and its socket is mounted into the agent's container, it has made another since: "
    "restart the agent"
)
"""As where the Engine starts anew and leaves containers running (live-restore): what is mounted is
the file that was there, not its name."""

_SSH = "ssh://"
_NO_SSH = "run healthagent on that machine, since it asks no Engine over SSH"

_MEANING: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    (
        (TLSParameterError,),
        "ca.pem, cert.pem and key.pem for the Engine at {where} are not all there and readable",
        "see that the agent's user may read all three, in the folder that DOCKER_CERT_PATH names",
    ),
    (
        (ssl.SSLCertVerificationError,),
        "the certificate of the Engine at {where} does not hold: {why}",
        "compare it with ca.pem in DOCKER_CERT_PATH, and its names with the Engine's address",
    ),
    (
        (ssl.SSLError,),
        "the Engine at {where} and the agent find no TLS together: {why}",
        "see that the Engine has TLS there, and cert.pem in DOCKER_CERT_PATH from the CA it trusts",
    ),
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
    (
        (socket.gaierror,),
        "the name of the Engine at {where} is not found: {why}",
        "correct it, or attach the agent to a network where it is known",
    ),
    (
        (ConnectionRefusedError,),
        "nothing listens at {where}",
        f"start the Docker Engine; {ANEW}",
    ),
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
    tls: Any = False if url.startswith("unix:") else kwargs_from_env().get("tls", False)
    if tls and not all(map(_is_readable, (tls.ca_cert, *tls.cert))):
        raise TLSParameterError("a file may not be read")
    client = _Client(base_url=url, version="auto", timeout=timeout, tls=tls)  # type: ignore[arg-type]
    client.close()  # what the version was asked by
    if url.startswith("unix:"):
        client.trust_env = False  # to a socket leads no proxy, and no .netrc is for it
        client.mount("http+docker://", _Socket(url.removeprefix("unix:"), timeout))
    else:
        for scheme in ("http://", "https://"):
            client.mount(scheme, HTTPAdapter(pool_maxsize=KEPT))
    return client


class _Socket(UnixHTTPAdapter):
    """docker-py's own keeps connections by what is asked: for each container it opens one more."""

    def __init__(self, path: str, timeout: Any) -> None:
        super().__init__(path, timeout, max_pool_size=KEPT)

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:  # noqa: ARG002
        return super().get_connection("http+docker://localhost")


class _Client(APIClient):
    def merge_environment_settings(self, *given: Any) -> Any:
        """How one request is made: given as URL, proxies, stream, verify and certificate. Where
        nothing is told of the fourth, requests takes what REQUESTS_CA_BUNDLE names for the web
        ahead of the Engine's own ca.pem."""
        url, proxies, stream, verify, cert = given
        verify = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


def _is_readable(file: str) -> bool:
    return os.access(file, os.R_OK, effective_ids=True)


def explained(error: Exception, url: str, within: float = DEADLINE) -> Notice:
    """Why the Engine cannot be asked. ``within`` is how many seconds it had for its answer."""
    where = url.removeprefix("unix://")
    causes = list(_causes(error))
    barred = _barred(causes, where)
    if barred is not None:
        return Notice(about="docker", problem=barred, remedy="see docs/configuration.md, A proxy")
    for kinds, problem, remedy in _MEANING:
        if found := [cause for cause in causes if isinstance(cause, kinds)]:
            told = problem.format(where=where, within=within, why=_why(found[0]))
            return Notice(about="docker", problem=told, remedy=elsewhere(url) or remedy)
    if isinstance(error, FAULTS):
        problem = f"the Engine at {where} cannot be asked: {error}"
        remedy = _NO_SSH if url.startswith(_SSH) else "look at the log of dockerd"
        return Notice(about="docker", problem=problem, remedy=remedy)
    problem = f"healthagent's own source failed: {error!r}"
    return Notice(about="docker", problem=problem, remedy="please report it")


def elsewhere(url: str) -> str:
    """What to do where nobody said which Engine to ask, and the docker program here asks another
    than that at ``url``, by a context of its own; else it is empty.

    Contexts: https://docs.docker.com/engine/manage-resources/contexts/
    """
    if url != DOCKER_SOCKET or os.environ.get("DOCKER_HOST"):
        return ""
    try:
        context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT"))
        name, host = str(context.Name), str(context.Host or url)
    except Exception:  # no such context, or files that only the docker program understands
        return ""
    if name == "default" or host == url:
        return ""
    if host.startswith(_SSH):
        return f"`docker` here asks {masked(host)}, by its context {name}: {_NO_SSH}"
    found = f"`docker` here asks another Engine, by its context {name}"
    return f"{found}: set DOCKER_HOST={masked(host)}"


def _why(cause: BaseException) -> str:
    """What OpenSSL or the resolver has against a connection, without its codes and lines."""
    if isinstance(cause, socket.gaierror):
        return str(cause.strerror)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return str(cause.verify_message).rstrip(".")
    return str(getattr(cause, "reason", "") or cause).lower().replace("_", " ")


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
