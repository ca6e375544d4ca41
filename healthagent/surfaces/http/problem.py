"""Errors of the HTTP surface as RFC 9457 problem details."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

_log = logging.getLogger(__name__)

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of every answer: it is true now, and what it says it is."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """What a handler raises to answer with an error. ``detail`` says what is wrong and what to do.

    ``type`` stays ``about:blank``, so that ``title`` is the status' own phrase (RFC 9457, 4.2.1);
    ``members`` are further ones, such as the names between which the caller must choose.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members or {}
        self.headers = headers or {}

    def response(self) -> web.Response:
        body = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            **self.members,
        }
        return web.Response(
            status=self.status.value,
            body=orjson.dumps(body),
            content_type="application/problem+json",
            headers={**HEADERS, **self.headers},
        )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error of a handler or of the router as a problem."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPNotFound:
        detail = f"there is no {request.path}; GET / lists what there is"
        return Problem(HTTPStatus.NOT_FOUND, detail).response()
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.path} answers {allowed} only"
        headers = {"Allow": allowed}
        return Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers=headers).response()
    except web.HTTPException as error:
        return Problem(HTTPStatus(error.status), error.text or error.reason).response()
    except Exception as error:
        if isinstance(error, ConnectionError) and _is_gone(request):
            # Nobody reads this. Raised further, aiohttp would log a fault.
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        # The last wall before the client: what gets here is a fault of the agent itself.
        _log.exception("cannot answer %s %s", request.method, request.path)
        detail = "a fault of the agent itself; its log says more"
        return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail).response()


def _is_gone(request: web.Request) -> bool:
    """Whether the client has closed its connection."""
    return request.transport is None or request.transport.is_closing()
