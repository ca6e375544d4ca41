"""The routes of the HTTP contract: each finds what is meant, renders it, and sets the status.

``docs/http.md`` describes them for users, ``openapi.py`` for machines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from aiohttp import hdrs, web

from healthagent.core.check import Group
from healthagent.core.options import duration
from healthagent.core.report import Report, TargetReport
from healthagent.core.verdict import Status
from healthagent.surfaces import entry_text, page
from healthagent.surfaces.http import budget, health, history, kubernetes, openapi, stream
from healthagent.surfaces.http.events import Places
from healthagent.surfaces.http.lookup import (
    find_by_address,
    find_check,
    find_service,
    find_target,
)
from healthagent.surfaces.http.problem import Handler, Problem, problems
from healthagent.surfaces.http.state import State
from healthagent.surfaces.http.view import View

SETTLE_WITHIN = 1.0
"""Seconds for which Traefik's poll is held while the agent makes its first judgement: after each
error Traefik waits longer before it asks again. Well under Traefik's own pollTimeout, 5 s."""

LONGEST_WAIT = 60.0
"""Seconds for which a poll may ask to be held."""

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Route:
    """One GET route. ``public`` is whether a public listener has it too."""

    path: str
    handler: Handler
    public: bool


class Routes:
    """The handlers. ``view`` is what this listener may show; what is asked for is found in all.
    ``acts`` are its POST routes, by path."""

    def __init__(self, state: State, view: View, acts: Mapping[str, Handler] | None = None) -> None:
        self._state = state
        self._view = view
        self._acts = acts or {}
        self._places = Places()
        # By connection the configuration that went over it last: Traefik names none when it polls.
        self._given: WeakKeyDictionary[asyncio.BaseTransport, str] = WeakKeyDictionary()

    def table(self) -> tuple[Route, ...]:
        """Every route there is, in the order of the contract."""
        return (
            Route("/", self.index, public=True),
            Route("/livez", self.agent_livez, public=True),
            Route("/readyz", self.agent_readyz, public=True),
            Route("/targets/{target}/livez", self.target_livez, public=True),
            Route("/targets/{target}/readyz", self.target_readyz, public=True),
            Route("/targets/{target}/readyz/{check}", self.target_check, public=True),
            Route("/self/livez", self.self_livez, public=True),
            Route("/self/readyz", self.self_readyz, public=True),
            Route("/services/{service}/readyz", self.service_readyz, public=True),
            Route("/health", self.health, public=True),
            Route("/events", self.events, public=True),
            Route("/history", self.history, public=False),
            Route("/history/{act}", self.evidence, public=False),
            Route("/budget", self.budget, public=False),
            Route("/traefik", self.traefik, public=False),
            Route("/metrics", self.metrics, public=False),
            Route("/openapi.json", self.openapi, public=True),
        )

    def application(self, public: bool) -> web.Application:
        app = web.Application(middlewares=[problems])
        self._paths = [route.path for route in self.table() if route.public or not public]
        for route in self.table():
            if route.path in self._paths:
                app.router.add_get(route.path, route.handler)
        for path, handler in self._acts.items():
            app.router.add_post(path, handler)
        return app

    # The agent itself

    async def agent_livez(self, request: web.Request) -> web.Response:
        return _answered(request, kubernetes.of_agent("livez", [self._alive()], _exclude(request)))

    async def agent_readyz(self, request: web.Request) -> web.Response:
        settled = self._state.report.settled
        why = "" if settled else "not every replica has been judged yet"
        lines = [self._alive(), kubernetes.Line("settled", settled, why)]
        return _answered(request, kubernetes.of_agent("readyz", lines, _exclude(request)))

    def _alive(self) -> kubernetes.Line:
        stale = self._state.stale_for
        why = "" if stale is None else f"the last report is {stale:.0f} s old"
        return kubernetes.Line("reports", stale is None, why)

    # One replica

    async def target_livez(self, request: web.Request) -> web.Response:
        return self._probe(request, self._target(request), Group.LIVENESS)

    async def target_readyz(self, request: web.Request) -> web.Response:
        return self._probe(request, self._target(request), Group.READINESS)

    async def self_livez(self, request: web.Request) -> web.Response:
        return self._probe(request, self._asking(request), Group.LIVENESS)

    async def self_readyz(self, request: web.Request) -> web.Response:
        return self._probe(request, self._asking(request), Group.READINESS)

    async def target_check(self, request: web.Request) -> web.Response:
        target = self._target(request)
        find_check(target, request.match_info["check"])
        shown = find_check(self._view.target(target), request.match_info["check"])
        answer = kubernetes.of_check(shown, target.starting)
        self._must_be_judged(target.target.name, [target], answer)
        return _answered(request, answer)

    def _target(self, request: web.Request) -> TargetReport:
        return find_target(self._state.report, request.match_info["target"])

    def _asking(self, request: web.Request) -> TargetReport:
        return find_by_address(self._state.report, request.remote)

    def _probe(self, request: web.Request, target: TargetReport, group: Group) -> web.Response:
        answer = kubernetes.of_target(self._view.target(target), group, _exclude(request))
        self._must_be_judged(target.target.name, [target], answer)
        return _answered(request, answer)

    def _must_be_judged(
        self, name: str, missing: Iterable[TargetReport], answer: kubernetes.Answer
    ) -> None:
        """An agent that has just started has no opinion: that is not the failure of the replica or
        service ``name``, and 503 would say that it is. ``missing`` are the replicas that a yes may
        have lacked."""
        undecided = any(c.holds is Status.UNKNOWN for target in missing for c in target.checks)
        if not answer.passed and not self._state.report.settled and undecided:
            detail = f"the agent has just started and has not judged {name} yet"
            raise Problem(HTTPStatus.NOT_FOUND, detail, headers={"Retry-After": "1"})

    # All of them

    async def service_readyz(self, request: web.Request) -> web.Response:
        service = find_service(self._state.report, request.match_info["service"])
        answer = kubernetes.of_service(self._view.service(service), _exclude(request))
        missing = [target for target in service.targets if not target.ready]
        self._must_be_judged(service.name, missing, answer)
        return _answered(request, answer)

    async def health(self, _request: web.Request) -> web.Response:
        document = self._health(self._view.report(self._state.report))
        failed = document["status"] == health.FAIL
        return _json(document, 503 if failed else 200, "application/health+json")

    def _health(self, shown: Report) -> dict[str, Any]:
        notices = self._view.notices(self._state.notices)
        return health.document(shown, notices, self._state.stale_for)

    async def history(self, request: web.Request) -> web.Response:
        return _json(await history.entries(self._state.history, request.query))

    async def evidence(self, request: web.Request) -> web.Response:
        return _json(await history.evidence(self._state.history, request))

    async def budget(self, _request: web.Request) -> web.Response:
        return _json(budget.document(self._state.report.budgets))

    async def metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._state.metrics.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={**HEADERS, "Content-Type": content_type})

    async def traefik(self, request: web.Request) -> web.Response:
        asked = self._state.pollers.clock()
        if not await self._state.settled(SETTLE_WITHIN):
            detail = "the agent has just started; Traefik keeps the configuration that it has"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "1"})
        traefik, wait = self._state.traefik, _wait(request)
        known = {etag.value for etag in request.if_none_match or ()}
        if wait and traefik.tag in known | {self._given.get(_connection(request), "")}:
            await traefik.changed(wait)
        if not self._state.routes:
            self._state.pollers.keep(request.remote or "", asked)
            detail = "the routing cannot be rendered; Traefik keeps the configuration that it has"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "1"})
        response = web.Response(body=traefik.body, content_type="application/json", headers=HEADERS)
        if traefik.tag in known:
            response = web.Response(status=304, headers=HEADERS)
        response.etag = traefik.tag
        self._given[_connection(request)] = traefik.tag
        if request.method == hdrs.METH_GET:
            self._state.pollers.note(request.remote or "", traefik.body, asked)
        return response

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await stream.answer(
            request, self._state.feed, self._places, self._view.entry, HEADERS
        )

    # About the API

    async def openapi(self, _request: web.Request) -> web.Response:
        return _json(openapi.document(self._paths, self._acts))

    async def index(self, request: web.Request) -> web.Response:
        """The status page for browsers, which ask for HTML; for all others the list of routes."""
        headers = {**HEADERS, hdrs.VARY: hdrs.ACCEPT}
        if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            headers["Content-Security-Policy"] = page.CONTENT_SECURITY_POLICY
            # What is known goes on changing: it is taken here, and drawn elsewhere.
            html = await asyncio.to_thread(page.render, *self._documents(), self._paths)
            return web.Response(text=html, content_type="text/html", headers=headers)
        lines = [f"{path:33} {openapi.summary(path)}" for path in self._paths]
        lines += [f"{f'POST {path}':33} {openapi.summary_of_act(path)}" for path in self._acts]
        return web.Response(text="\n".join(lines) + "\n", headers=headers)

    def _documents(self) -> tuple[dict[str, Any], dict[str, Any], Iterator[dict[str, Any]]]:
        """Those of ``/health``, ``/budget`` and ``/events``; of the last the newest first, each
        made when it is asked for."""
        state, view = self._state, self._view
        shown = view.report(state.report)
        kept = list(state.feed.kept())
        entries = (entry_text.document(view.entry(event.entry)) for event in reversed(kept))
        return self._health(shown), budget.document(shown.budgets), entries


def _answered(request: web.Request, answer: kubernetes.Answer) -> web.Response:
    text = answer.text(verbose="verbose" in request.query)
    return web.Response(text=text, status=200 if answer.passed else 503, headers=HEADERS)


def _json(
    document: dict[str, Any], status: int = 200, content_type: str = "application/json"
) -> web.Response:
    body = orjson.dumps(document, default=str)
    return web.Response(body=body, status=status, content_type=content_type, headers=HEADERS)


def _connection(request: web.Request) -> asyncio.BaseTransport:
    if request.transport is None:
        raise ConnectionResetError("the client has gone")
    return request.transport


def _wait(request: web.Request) -> float:
    """Seconds for which to hold an answer that the client has already."""
    text = request.query.get("wait", "0")
    try:
        return min(duration(text), LONGEST_WAIT) if text != "0" else 0.0
    except ValueError:
        detail = f"wait={text!r} cannot be read; write a duration such as 4s or 500ms"
        raise Problem(HTTPStatus.BAD_REQUEST, detail) from None


def _exclude(request: web.Request) -> frozenset[str]:
    return frozenset(request.query.getall("exclude", []))
