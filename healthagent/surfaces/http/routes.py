"""The routes of the HTTP contract: each finds what is meant, renders it, and sets the status.

``docs/http.md`` describes them for users, ``openapi.py`` for machines.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import orjson
from aiohttp import hdrs, web

from healthagent.core.check import Group
from healthagent.core.notice import Notice
from healthagent.core.options import duration
from healthagent.core.report import Report, TargetReport
from healthagent.core.verdict import Status
from healthagent.surfaces import entry_text, page
from healthagent.surfaces.http import budget, health, history, kubernetes, metrics, openapi, stream
from healthagent.surfaces.http.drawn import Drawn
from healthagent.surfaces.http.events import Event, Places
from healthagent.surfaces.http.lookup import (
    find_by_address,
    find_check,
    find_service,
    find_target,
)
from healthagent.surfaces.http.problem import HEADERS, Handler, Problem, problems
from healthagent.surfaces.http.state import State
from healthagent.surfaces.http.view import View

SETTLE_WITHIN = 1.0
"""Seconds for which Traefik's poll is held while the agent makes its first judgement: after each
error Traefik waits longer before it asks again. Well under Traefik's own pollTimeout, 5 s."""

LONGEST_WAIT = 60.0
"""Seconds for which a poll may ask to be held."""

PACKED = 1
"""gzip's least effort: the page repeats itself, and is a tenth after that too."""


class Known(NamedTuple):
    """What the whole fleet is told from; ``stale_for`` as in :class:`State`, in whole seconds."""

    report: Report
    notices: tuple[Notice, ...]
    stale_for: int | None


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
        self._paths = [r.path for r in self.table() if r.public or not view.is_public]
        self._places = Places()
        self._drawn_health = Drawn(self._known, self._draw_health)
        self._drawn_metrics = {
            form: Drawn(lambda: state.metrics.known, partial(metrics.exposition, form))
            for form in metrics.FORMS
        }
        self._drawn_page = Drawn(self._known_with_past, self._draw_page)
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

    def application(self) -> web.Application:
        app = web.Application(middlewares=[problems])
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
        status, body = await self._drawn_health.newest()
        return _body(body, status, "application/health+json")

    def _known(self) -> Known:
        stale = self._state.stale_for
        return Known(self._state.report, self._state.notices, None if stale is None else int(stale))

    def _draw_health(self, known: Known) -> tuple[int, bytes]:
        document = self._health(known, self._view.report(known.report))
        return 503 if document["status"] == health.FAIL else 200, _dumped(document)

    def _health(self, known: Known, shown: Report) -> dict[str, Any]:
        return health.document(shown, self._view.notices(known.notices), known.stale_for)

    async def history(self, request: web.Request) -> web.Response:
        return _json(await history.entries(self._state.history, request.query))

    async def evidence(self, request: web.Request) -> web.Response:
        return _json(await history.evidence(self._state.history, request))

    async def budget(self, _request: web.Request) -> web.Response:
        return _json(budget.document(self._state.report.budgets))

    async def metrics(self, request: web.Request) -> web.Response:
        form = metrics.form_of(request.headers.get(hdrs.ACCEPT, ""))
        body, content_type = await self._drawn_metrics[form].newest()
        return web.Response(body=body, headers={**HEADERS, "Content-Type": content_type})

    async def traefik(self, request: web.Request) -> web.Response:
        asked = self._state.pollers.clock()
        if not await self._state.settled(SETTLE_WITHIN):
            detail = "the agent has just started; Traefik keeps the configuration that it has"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "1"})
        traefik, wait = self._state.traefik, _wait(request)
        known = {etag.value for etag in request.if_none_match or ()}
        if wait and traefik.tag in known | {self._given.get(_connection(request), "")}:
            with self._state.pollers.held(request.remote or ""):
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
        headers = {**HEADERS, hdrs.VARY: f"{hdrs.ACCEPT}, {hdrs.ACCEPT_ENCODING}"}
        if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            headers["Content-Security-Policy"] = page.CONTENT_SECURITY_POLICY
            html, packed = await self._drawn_page.newest()
            if "gzip" in map(str.strip, request.headers.get(hdrs.ACCEPT_ENCODING, "").split(",")):
                headers[hdrs.CONTENT_ENCODING] = "gzip"
                html = packed
            return web.Response(
                body=html, content_type="text/html", charset="utf-8", headers=headers
            )
        lines = [f"{path:33} {openapi.summary(path)}" for path in self._paths]
        lines += [f"{f'POST {path}':33} {openapi.summary_of_act(path)}" for path in self._acts]
        return web.Response(text="\n".join(lines) + "\n", headers=headers)

    def _known_with_past(self) -> tuple[Known, tuple[Event, ...]]:
        return self._known(), tuple(self._state.feed.kept())

    def _draw_page(self, of: tuple[Known, tuple[Event, ...]]) -> tuple[bytes, bytes]:
        """The page, plain and packed; of the entries none is made that it does not show."""
        known, kept = of
        shown = self._view.report(known.report)
        entries = (
            {**entry_text.document(self._view.entry(event.entry)), "number": event.number}
            for event in reversed(kept)
        )
        html = page.render(
            self._health(known, shown), budget.document(shown.budgets), entries, self._paths
        ).encode()
        return html, gzip.compress(html, PACKED)


def _answered(request: web.Request, answer: kubernetes.Answer) -> web.Response:
    text = answer.text(verbose="verbose" in request.query)
    return web.Response(text=text, status=200 if answer.passed else 503, headers=HEADERS)


def _json(document: dict[str, Any]) -> web.Response:
    return _body(_dumped(document), 200, "application/json")


def _dumped(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, default=str)


def _body(body: bytes, status: int, content_type: str) -> web.Response:
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
