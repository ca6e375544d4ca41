"""The agent, asked over HTTP with nothing but the standard library: it is quick to import."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from healthagent.core.target import begins
from healthagent.errors import AgentUnreachable, HealthagentError, Refused, UnknownTarget

DEADLINE = 5.0
"""Seconds for a whole answer."""

SILENCE = 40.0
"""Seconds without a byte after which a stream counts as cut; the agent sends one every 15 s."""

PROBLEM = "application/problem+json"
"""What every error of an agent is (RFC 9457), and few others' are."""

Document = dict[str, Any]


class NotServed(HealthagentError):
    """The agent does not serve that route here, as on its public listener."""


class Answer(NamedTuple):
    """A whole answer; ``kind`` is its media type."""

    status: int
    kind: str
    body: bytes


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=DEADLINE)
        self._unix = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self._unix)


class Agent:
    """One agent at ``url``. Raises :class:`AgentUnreachable` where it does not answer.

    ``socket`` is the path of its admin socket, asked in place of the URL's host; ``token`` its
    admin token.
    """

    def __init__(self, url: str, socket: str | None = None, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._socket = socket
        self._token = token
        self._parts = urlsplit(self.url)

    def health(self) -> Document:
        """``/health``: 503 only says that something is not well."""
        members = {"time", "status", "settled", "services", "targets", "notices"}
        return self._document("/health", (200, 503), members)

    def budget(self) -> Document:
        """``/budget``. Raises :class:`NotServed` on a public listener."""
        return self._document("/budget", (200,), {"servers"})

    def history(self, query: Mapping[str, str]) -> Document:
        """``/history``. Raises :class:`NotServed` on a public listener."""
        return self._document(f"/history?{urlencode(query)}", (200,), {"entries"})

    def evidence(self, act: str) -> Document | None:
        """``/history/{act}``: what was kept of an act, ``None`` where nothing was."""
        try:
            return self._document(f"/history/{quote(act, safe='')}", (200,), {"target"})
        except NotServed:
            return None

    def past_events(self, target: str | None, count: int) -> list[Document]:
        """The last transitions and acts that the agent remembers of one target, or of all; oldest
        first."""
        query = {"replay": str(count), "follow": "false"}
        if target is not None:
            query["target"] = target
        answer = self._get(f"/events?{urlencode(query)}")
        if answer.status != 200:
            raise self._refused(answer)
        return [event.data for event in parse_events(iter(answer.body.splitlines(keepends=True)))]

    def events(self, query: Mapping[str, str], last_id: str) -> Iterator[Event]:
        """The events as they come, until the stream is cut or ends."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        connection = self._connect()
        try:
            try:
                connection.request(
                    "GET", self._path(f"/events?{urlencode(query)}"), headers=headers
                )
                socket = connection.sock
                answer = connection.getresponse()
                if answer.status != 200 or _kind(answer) != "text/event-stream":
                    raise self._refused(Answer(answer.status, _kind(answer), answer.read1()))
                socket.settimeout(SILENCE)
            except (OSError, http.client.HTTPException) as error:
                raise AgentUnreachable(self._silent(error)) from None
            try:
                yield from parse_events(iter(answer.readline, b""))
            except (OSError, http.client.HTTPException):
                return
        finally:
            connection.close()

    def act(self, path: str, body: Document) -> Iterator[Document]:
        """The steps of an act as they are done. Raises :class:`Refused` where it may not begin.

        What is to be done is sent once the agent has answered that it takes it (RFC 9110, 10.1.1):
        one that is frozen would else find it when it thaws, and act for somebody who was told that
        nobody answers.
        """
        told = json.dumps(body).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(told)),
            "Expect": "100-continue",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connect()
        taken = False
        try:
            try:
                connection.request("POST", self._path(quote(path)), headers=headers)
                if not select.select([connection.sock], [], [], DEADLINE)[0]:
                    raise TimeoutError
                connection.sock.settimeout(SILENCE)  # the first step may take what the Engine takes
                taken = True
                connection.send(told)
                answer = connection.getresponse()
                kind = _kind(answer)
                if answer.status not in (200, 409) or kind != "application/x-ndjson":
                    raise self._forbidden(Answer(answer.status, kind, answer.read()))
                last = ""
                for line in iter(answer.readline, b""):
                    if line.strip():
                        step = json.loads(line)
                        last = step["outcome"]
                        yield step
            except TimeoutError as error:
                if not taken:
                    raise AgentUnreachable(self._silent(error)) from None
                why = f"the agent at {self.where} has said nothing for {SILENCE:g} s\n{_MAY_GO_ON}"
                raise AgentUnreachable(why) from None
            except (OSError, http.client.HTTPException) as error:
                raise AgentUnreachable(self._silent(error)) from None
            if last in ("", "begun", "going on"):
                cut = f"the agent at {self.where} ended the stream before the end\n{_MAY_GO_ON}"
                raise AgentUnreachable(cut)
        finally:
            connection.close()

    def _forbidden(self, answer: Answer) -> HealthagentError:
        detail = _detail(answer)
        if detail is None:
            return self._refused(answer)
        return UnknownTarget(detail) if answer.status in (400, 404, 409) else Refused(detail)

    @property
    def where(self) -> str:
        """Where it is asked, for people: without a login, which is not sent either."""
        from healthagent.core.masking import masked

        return self._socket or masked(self.url)

    def _document(self, path: str, expected: tuple[int, ...], members: set[str]) -> Document:
        answer = self._get(path)
        if answer.status == 404 and _detail(answer) is not None:
            raise NotServed(f"{self.where}{path} is not served; ask the agent's first listener")
        document = _json(answer.body)
        known = isinstance(document, dict) and members <= document.keys()
        if answer.status not in expected or not known:
            raise self._refused(answer)
        return dict(document)

    def _get(self, path: str) -> Answer:
        until = time.monotonic() + DEADLINE
        connection = self._connect()
        try:
            connection.request("GET", self._path(path))
            answer = connection.getresponse()
            body = bytearray()
            while part := answer.read1(65536):
                body += part
                if time.monotonic() > until:
                    raise TimeoutError(f"no whole answer within {DEADLINE:g} s")
            return Answer(answer.status, _kind(answer), bytes(body))
        except (OSError, http.client.HTTPException) as error:
            raise AgentUnreachable(self._silent(error)) from None
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._socket is not None:
            return _UnixConnection(self._socket)
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=DEADLINE)

    def _path(self, path: str) -> str:
        return self._parts.path + path

    def _silent(self, error: Exception) -> str:
        # The names' and OpenSSL's numbers are their own, not the system's: the words are with them.
        why = getattr(error, "strerror", None) or error
        if isinstance(error, TimeoutError):
            why = f"no answer within {DEADLINE:g} s"
        if isinstance(error, PermissionError) and self._socket:
            return f"user id {os.geteuid()} may not open {self._socket}: {why}\n{_AS_ANOTHER}"
        remedy = _FROZEN if isinstance(error, TimeoutError) else _ELSEWHERE
        return f"no agent answers at {self.where}: {why or type(error).__name__}\n{remedy}"

    def _refused(self, answer: Answer) -> AgentUnreachable:
        """An answer that is not the one asked for: the agent says why, or it is none."""
        detail = _detail(answer)
        if detail is None:
            stranger = f"what answers at {self.where} is no healthagent (status {answer.status})"
            return AgentUnreachable(f"{stranger}\n{_ELSEWHERE}")
        return AgentUnreachable(f"the agent at {self.where} refuses: {detail}")


_ELSEWHERE = (
    "start it with `healthagent watch`, or say where it is: --agent URL or HEALTHAGENT_AGENT_URL"
)

_FROZEN = (
    "if it is there, it is frozen or has too much to do: read its log, and restart it where it "
    "stays so; replicas and traffic go on without it"
)

_MAY_GO_ON = "it may go on with what was begun: see `healthagent history`"

_AS_ANOTHER = (
    "the agent's user and group may, and root: ask as one of them, as "
    "`docker compose exec agent healthagent` does, or name --agent URL and have the admin token"
)


def _kind(answer: http.client.HTTPResponse) -> str:
    return answer.headers.get_content_type()


def _json(body: bytes) -> Any:
    """What a body holds; ``None`` where it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _detail(answer: Answer) -> str | None:
    """What an agent says is wrong; ``None`` where the answer is no problem of an agent's."""
    problem = _json(answer.body) if answer.kind == PROBLEM else None
    return str(problem["detail"]) if isinstance(problem, dict) and "detail" in problem else None


class Event(NamedTuple):
    """One server-sent event: its id, and its data as the agent wrote it. One without data is there
    for its id, to come back with."""

    id: str
    data: Document


def parse_events(lines: Iterator[bytes]) -> Iterator[Event]:
    """The events of a stream (HTML standard, "Server-sent events"); comments are passed over."""
    last_id, data, marked = "", "", False
    for line in lines:
        field, _, value = line.decode(errors="replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        match field:
            case "id":
                last_id, marked = value, True
            case "data":
                data += value
            case "" if (data or marked) and not value:
                yield Event(last_id, json.loads(data or "{}"))
                data, marked = "", False


def find(health: Document, reference: str) -> Document:
    """The target with this name, else this id, else the only one whose id begins so.

    Raises :class:`UnknownTarget`, with the names that are near, or with what keeps the agent from
    knowing any.
    """
    targets: list[Document] = health["targets"]
    found = [t for t in targets if reference in (t["name"], t["id"])]
    if not found:
        found = [t for t in targets if begins(t["id"], reference)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(t["short_id"] for t in found)
        raise UnknownTarget(f"{reference!r} names {len(found)} targets; ask by id: {ids}")
    names = [t["name"] for t in targets]
    if not names and not health["settled"]:
        why = (notice["text"] for notice in health["notices"])
        raise UnknownTarget("; ".join(("no replica is known yet", *why)))
    raise UnknownTarget(f"no target is called {reference!r}; {near(reference, names)}")


def near(text: str, names: list[str]) -> str:
    """What could have been meant, for the end of an error."""
    if not names:
        return "none is watched"
    close = get_close_matches(text, names, n=3) or [name for name in names if text in name]
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
