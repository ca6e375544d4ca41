"""The routes that act, and who may use them.

Whoever may open the admin socket may act, as with Docker's own: its file says who that is. Over the
first listener it takes the bearer token, and without one nobody may. The public one has none.
"""

from __future__ import annotations

import asyncio
import hmac
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from healthagent.core.action import Outcome, Plan, Step
from healthagent.core.credentials import Credentials
from healthagent.core.observation import Unseen
from healthagent.core.ports import Operations
from healthagent.core.report import Report
from healthagent.core.target import Target
from healthagent.surfaces.http.lookup import find_service, find_target
from healthagent.surfaces.http.problem import HEADERS, Handler, Problem
from healthagent.surfaces.http.state import State
from healthagent.surfaces.step_text import document

KEEP_ALIVE_EVERY = 15.0
"""Seconds of silence after which an empty line is sent, against whatever drops a silent connection.
"""

FOUND_WITHIN = 30.0
"""Seconds after its start within which the agent has found the replicas there are."""

Named = TypeVar("Named")
Body = TypeVar("Body", bound=BaseModel)

_PEER = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


@dataclass(frozen=True, slots=True)
class Admin:
    """What acts, and the token that lets somebody ask for it: ``user`` is the token's name. Where
    there is none ``token`` gives ``None``; it is asked each time, so that a new one is found."""

    operations: Operations
    token: Callable[[], Credentials | Unseen | None]
    socket: str | None = None


class Guard(Protocol):
    """Says who asks. Raises :class:`Problem` where that one may not act."""

    def __call__(self, request: web.Request) -> str: ...


def peer(request: web.Request) -> str:
    """Who is at the other end of a unix socket, as the kernel says (SO_PEERCRED in unix(7))."""
    end = request.get_extra_info("socket")
    _, uid, _ = _PEER.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    with suppress(KeyError):
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    return f"uid {uid}"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Lets through who has the token."""

    admin: Admin

    def __call__(self, request: web.Request) -> str:
        token = self.admin.token()
        if isinstance(token, Unseen):
            raise Problem(HTTPStatus.FORBIDDEN, f"the admin token cannot be read: {token}")
        if token is None or token.password is None:
            where = self.admin.socket or "the admin socket (set HEALTHAGENT_ADMIN_SOCKET)"
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"nobody may act over this listener; ask over {where}, as `docker exec AGENT "
                "healthagent` does, or set HEALTHAGENT_ADMIN_TOKEN_FILE and send the token",
            )
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not _equal(given.strip(), token.password):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "acting takes the header Authorization: Bearer with the admin token",
                headers={"WWW-Authenticate": 'Bearer realm="healthagent"'},
            )
        return f"{token.user} from {request.remote}"


def _equal(given: str, wanted: str) -> bool:
    """In the same time whatever differs."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


class Why(BaseModel):
    """The body of a drain or a restart."""

    model_config = ConfigDict(extra="forbid")
    why: str = Field("", max_length=500)


class Asked(BaseModel):
    """The body of a roll, see :class:`Plan`."""

    model_config = ConfigDict(extra="forbid")
    image: str | None = Field(None, min_length=1, max_length=1000)
    variables: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    surge: bool = False
    back: bool = False
    rehearse: bool = False

    def plan(self) -> Plan:
        return Plan(**self.model_dump())


class AdminRoutes:
    """The POST routes of one listener."""

    def __init__(self, state: State, admin: Admin, guard: Guard) -> None:
        self._state = state
        self._operations = admin.operations
        self._guard = guard

    def table(self) -> Mapping[str, Handler]:
        """By path."""
        return {
            "/targets/{target}/drain": self.drain,
            "/targets/{target}/undrain": self.undrain,
            "/targets/{target}/restart": self.restart,
            "/services/{service}/roll": self.roll,
        }

    async def drain(self, request: web.Request) -> web.StreamResponse:
        by, why = self._guard(request), await _body(request, Why)
        target = await self._target(request)
        return await _stream(request, self._operations.drain(target, by, why.why))

    async def undrain(self, request: web.Request) -> web.StreamResponse:
        by = self._guard(request)
        await request.read()  # nothing is in it; but who has sent it waits for the answer
        target = await self._target(request)
        return await _stream(request, self._operations.undrain(target, by))

    async def restart(self, request: web.Request) -> web.StreamResponse:
        by, why = self._guard(request), await _body(request, Why)
        target = await self._target(request)
        return await _stream(request, self._operations.restart(target, by, why.why))

    async def roll(self, request: web.Request) -> web.StreamResponse:
        by, asked = self._guard(request), await _body(request, Asked)
        service = await self._named(find_service, request.match_info["service"])
        return await _stream(request, self._operations.roll(service.name, by, asked.plan()))

    async def _target(self, request: web.Request) -> Target:
        return (await self._named(find_target, request.match_info["target"])).target

    async def _named(self, find: Callable[[Report, str], Named], name: str) -> Named:
        """Who is meant. Right after its start the agent may not have found that one yet."""
        with suppress(Problem):
            return find(self._state.report, name)
        await self._state.settled(FOUND_WITHIN)
        return find(self._state.report, name)


async def _body(request: web.Request, shape: type[Body]) -> Body:
    """What was asked for in detail; an empty body asks for nothing. Raises :class:`Problem` 400."""
    try:
        return shape.model_validate_json(await request.read() or b"{}")
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'the body'}: {_wrong(fault)}"
            for fault in error.errors(include_url=False, include_context=False)
        )
        taken = f"the body takes {', '.join(shape.model_fields)}"
        raise Problem(HTTPStatus.BAD_REQUEST, "; ".join((*faults, taken))) from None
    except web.RequestPayloadError:
        detail = "the body is not packed as its Content-Encoding says; send it as it is"
        raise Problem(HTTPStatus.BAD_REQUEST, detail) from None


def _wrong(fault: ErrorDetails) -> str:
    return "is not known" if fault["type"] == "extra_forbidden" else fault["msg"]


async def _stream(request: web.Request, steps: AsyncIterator[Step]) -> web.StreamResponse:
    """The steps of an act as they come, a JSON object a line. 409 where it was refused at once.

    A client that goes away ends the stream and not the act.
    """
    async with aclosing(steps) as following:  # type: ignore[type-var]
        first = await anext(following)
        refused = first.outcome is Outcome.REFUSED
        status = HTTPStatus.CONFLICT if refused else HTTPStatus.OK
        response = web.StreamResponse(status=status, headers=HEADERS)
        response.content_type = "application/x-ndjson"
        await response.prepare(request)
        await response.write(_line(first))
        coming = asyncio.ensure_future(anext(following, None))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=KEEP_ALIVE_EVERY)
                if not done:
                    await response.write(b"\n")
                    continue
                step = coming.result()
                if step is None:
                    return response
                await response.write(_line(step))
                coming = asyncio.ensure_future(anext(following, None))
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming


def _line(step: Step) -> bytes:
    return orjson.dumps(document(step), default=str) + b"\n"
