"""``/openapi.json``: the API's description, OpenAPI 3.1, kept by hand beside the routes.

A test holds that it and the table of routes name the same paths, and that real answers fit it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from healthagent.core.action import Outcome
from healthagent.core.report import Phase
from healthagent.release import RELEASE

Json = dict[str, Any]


def document(paths: Collection[str], acts: Collection[str] = ()) -> Json:
    """The description of those routes that a listener has; ``acts`` are its POST routes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "healthagent",
            "summary": "The truth about every replica, with reasons.",
            "version": RELEASE,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            **{path: {"get": PATHS[path]} for path in paths},
            **{path: {"post": ACTS[path]} for path in acts},
        },
        "components": {"schemas": SCHEMAS, "securitySchemes": SECURITY},
    }


def summary(path: str) -> str:
    """What a route answers, in a line."""
    text: str = PATHS[path]["summary"]
    return text


def summary_of_act(path: str) -> str:
    text: str = ACTS[path]["summary"]
    return text


def _in_path(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def _in_query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


TEXT: Json = {"type": "string"}
TARGET = _in_path("target", "container id, a prefix of it from 4 characters on, or name")
SERVICE = _in_path("service", "Compose service")
CHECK = _in_path("check", "name of a check, such as http")

VERBOSE = {
    **_in_query("verbose", "list every check, though all pass", {"type": "string"}),
    "allowEmptyValue": True,
}
NAMES: Json = {"type": "array", "items": {"type": "string"}}
EXCLUDE = _in_query("exclude", "leave this one out; may be repeated", NAMES)


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(media_type: str, schema: Json) -> Json:
    return {"content": {media_type: {"schema": schema}}}


def _problem(description: str) -> Json:
    return {"description": description, **_content("application/problem+json", _ref("Problem"))}


def _text(description: str) -> Json:
    return {"description": description, **_content("text/plain", {"type": "string"})}


NOT_FOUND = _problem("unknown, or not judged yet since the agent has just started")
AMBIGUOUS = _problem("several are meant: ask by id")


def _probe(summary: str, *parameters: Json, problems: Json | None = None) -> Json:
    return {
        "summary": summary,
        "parameters": [*parameters],
        "responses": {
            "200": _text("yes: `ok`, or with `verbose` one line a check"),
            "503": _text("no: one line a check, `[-]name failed: reason`"),
            **(problems or {}),
        },
    }


ONE = {"404": NOT_FOUND, "409": AMBIGUOUS}
SOME = {"404": NOT_FOUND}

PATHS: dict[str, Json] = {
    "/": {
        "summary": "this list; for browsers the status page",
        "responses": {
            "200": {
                "description": "the routes, or the page where Accept has text/html",
                "content": {
                    kind: {"schema": {"type": "string"}} for kind in ("text/plain", "text/html")
                },
            }
        },
    },
    "/livez": _probe("the agent itself: reports keep coming", VERBOSE, EXCLUDE),
    "/readyz": _probe("the agent itself: every replica has been judged", VERBOSE, EXCLUDE),
    "/targets/{target}/livez": _probe("does it live?", TARGET, VERBOSE, EXCLUDE, problems=ONE),
    "/targets/{target}/readyz": _probe(
        "may it serve?", TARGET, VERBOSE, EXCLUDE, problems=ONE
    ),
    "/targets/{target}/readyz/{check}": _probe(
        "does one check pass?", TARGET, CHECK, VERBOSE, problems=ONE
    ),
    "/self/livez": _probe(
        "the replica that asks, by its address: does it live?", VERBOSE, EXCLUDE, problems=SOME
    ),
    "/self/readyz": _probe(
        "the replica that asks, by its address: may it serve?", VERBOSE, EXCLUDE, problems=SOME
    ),
    "/services/{service}/readyz": _probe(
        "are as many replicas ready as its quorum asks for?",
        SERVICE, VERBOSE, EXCLUDE, problems=SOME,
    ),
    "/health": {
        "summary": "everything, as application/health+json",
        "responses": {
            "200": {
                "description": "pass or warn",
                **_content("application/health+json", _ref("Health")),
            },
            "503": {"description": "fail", **_content("application/health+json", _ref("Health"))},
        },
    },
    "/events": {
        "summary": "every transition and every act, as server-sent events",
        "parameters": [
            _in_query("target", "only of this target, by name, id or id prefix; repeatable", NAMES),
            _in_query("service", "only of this service; repeatable", NAMES),
            _in_query("replay", "first send this many of the last ones", {"type": "integer"}),
            _in_query("follow", "false ends after the replay", {"enum": ["true", "false"]}),
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "first send what came after this event",
                "schema": {"type": "string"},
            },
        ],
        "responses": {
            "200": {
                "description": "a stream; an event is a Transition or an Act, as its name says",
                **_content("text/event-stream", {"type": "string"}),
            },
            "400": _problem("a parameter that cannot be read"),
            "503": _problem("too many readers"),
        },
    },
    "/history": {
        "summary": "what was done and what changed, over restarts of the agent",
        "parameters": [
            _in_query("name", "only of this target or service", TEXT),
            _in_query("since", "only since then, as a duration: 10m", TEXT),
            _in_query("most", "the last so many, by default 500", {"type": "integer"}),
        ],
        "responses": {
            "200": {
                "description": "oldest first",
                **_content("application/json", _ref("History")),
            },
            "400": _problem("a parameter that cannot be read"),
            "503": _problem("the disk does not answer"),
        },
    },
    "/history/{act}": {
        "summary": "the evidence of an act: how the replica was before it was stopped",
        "parameters": [_in_path("act", "id of an act, as /history tells it")],
        "responses": {
            "200": {"description": "evidence", **_content("application/json", _ref("Evidence"))},
            "404": _problem("nothing is kept of that act"),
        },
    },
    "/budget": {
        "summary": "planned, held and allowed Postgres connections",
        "responses": {
            "200": {"description": "the budget", **_content("application/json", _ref("Budget"))}
        },
    },
    "/traefik": {
        "summary": "dynamic configuration for Traefik's HTTP provider",
        "parameters": [
            _in_query(
                "wait",
                "hold what this connection, or the ETag in If-None-Match, has already, until it "
                "changes or this time has passed",
                {"type": "string", "examples": ["4s"]},
            )
        ],
        "responses": {
            "200": {
                "description": "ready replicas only",
                **_content("application/json", {"type": "object"}),
            },
            "304": {"description": "unchanged since the ETag in If-None-Match"},
            "400": _problem("wait is no duration"),
            "503": _problem("not every replica has been judged yet: Traefik keeps what it has"),
        },
    },
    "/metrics": {
        "summary": "Prometheus metrics",
        "responses": {
            "200": {
                "description": "Prometheus text, or OpenMetrics where that is asked for",
                "content": {
                    kind: {"schema": {"type": "string"}}
                    for kind in ("text/plain", "application/openmetrics-text")
                },
            }
        },
    },
    "/openapi.json": {
        "summary": "this API's description",
        "responses": {
            "200": {
                "description": "OpenAPI 3.1",
                **_content("application/json", {"type": "object"}),
            }
        },
    },
}  # fmt: skip

SECURITY: Json = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "the admin token; over the admin socket none is needed",
    }
}


def _act(summary: str, parameter: Json, body: str | None = None) -> Json:
    steps = _content("application/x-ndjson", _ref("Act"))
    return {
        "summary": summary,
        "parameters": [parameter],
        **({"requestBody": _content("application/json", _ref(body))} if body else {}),
        "security": [{"token": []}, {}],
        "responses": {
            "200": {"description": "its steps as they come; the last outcome is final", **steps},
            "400": _problem("a body that cannot be read"),
            "401": _problem("no token, or another"),
            "403": _problem("nobody may act over this listener"),
            "404": NOT_FOUND,
            "409": {"description": "refused: one step, which says why", **steps},
        },
    }


ACTS: dict[str, Json] = {
    "/targets/{target}/drain": _act("take a replica out of rotation", TARGET, "Why"),
    "/targets/{target}/undrain": _act("let a drained replica serve again", TARGET),
    "/targets/{target}/restart": _act("drain, stop and start a replica", TARGET, "Why"),
    "/services/{service}/roll": _act(
        "restart or replace all replicas, one after another", SERVICE, "Plan"
    ),
}

TEXTS: Json = {"type": "object", "additionalProperties": TEXT}
FLAG: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 0}
TIME: Json = {"type": "string", "format": "date-time"}
STATUS: Json = {"enum": ["ok", "degraded", "failed", "unknown"]}
PHASE: Json = {"enum": [str(phase) for phase in Phase]}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(schema: Json) -> Json:
    return {"type": "array", "items": schema}


SCHEMAS: dict[str, Json] = {
    "Problem": _object(type=TEXT, title=TEXT, status=COUNT, detail=TEXT),
    "Health": _object(
        status={"enum": ["pass", "warn", "fail"]},
        version=TEXT,
        releaseId=TEXT,
        serviceId=TEXT,
        description=TEXT,
        output=TEXT,
        time=TIME,
        settled=FLAG,
        checks={"type": "object", "additionalProperties": _list({"type": "object"})},
        services=_list(_ref("Service")),
        targets=_list(_ref("Target")),
        notices=_list(_ref("Notice")),
    ),
    "Service": _object(
        name=TEXT,
        replicas=COUNT,
        ready=COUNT,
        quorum=COUNT,
        has_quorum=FLAG,
        shared_failures=_list(_object(check=TEXT, code=TEXT, reason=TEXT, text=TEXT)),
    ),
    "Target": _object(
        id=TEXT,
        short_id=TEXT,
        name=TEXT,
        service=TEXT,
        phase=PHASE,
        live=FLAG,
        ready=FLAG,
        starting=FLAG,
        since=_or_null(TIME),
        check=_or_null(TEXT),
        code=TEXT,
        reason=TEXT,
        checks=_list(_ref("Check")),
        container=_or_null({"type": "object"}),
        drain=_or_null(_object(by=TEXT, why=TEXT, since=TIME, lasting=FLAG)),
        disagreement=TEXT,
        settings={"type": "object", "additionalProperties": _object(value={}, origin=TEXT)},
    ),
    "Check": _object(
        name=TEXT,
        groups=_list({"enum": ["startup", "liveness", "readiness"]}),
        witness={"enum": ["replica", "agent"]},
        shared=FLAG,
        status=STATUS,
        holds=STATUS,
        code=TEXT,
        reason=TEXT,
        evidence={"type": "object"},
        since=_or_null(TIME),
        blocks=FLAG,
        awaited=FLAG,
        excused=FLAG,
        looked_at=_or_null(TIME),
        newest=_object(status=STATUS, code=TEXT, reason=TEXT),
    ),
    "Notice": _object(about=TEXT, key=TEXT, value=TEXT, problem=TEXT, remedy=TEXT, text=TEXT),
    "Transition": _object(
        time=TIME,
        event=TEXT,
        target=TEXT,
        service=TEXT,
        container_id=_or_null(TEXT),
        check=_or_null(TEXT),
        before=TEXT,
        after=TEXT,
        worse=FLAG,
        code=TEXT,
        reason=TEXT,
        evidence={"type": "object"},
    ),
    "Act": _object(
        time=TIME,
        event={"const": "act"},
        act=TEXT,
        verb=TEXT,
        by=TEXT,
        service=TEXT,
        target=_or_null(TEXT),
        outcome={"enum": [str(outcome) for outcome in Outcome]},
        text=TEXT,
        evidence={"type": "object"},
    ),
    "History": _object(entries=_list({"anyOf": [_ref("Act"), _ref("Transition")]})),
    "Evidence": _object(target=TEXT, service=TEXT, id=TEXT, log={}, process={}, stats={}),
    "Why": {"type": "object", "properties": {"why": TEXT}},
    "Plan": {
        "type": "object",
        "properties": {
            "image": _or_null(TEXT),
            "variables": TEXTS,
            "labels": TEXTS,
            "surge": FLAG,
            "back": FLAG,
            "rehearse": FLAG,
        },
    },
    "Budget": _object(fits=FLAG, servers=_list(_ref("ServerBudget"))),
    "BudgetPart": _object(
        kind={"enum": ["role", "database"]},
        name=TEXT,
        declared=COUNT,
        planned=COUNT,
        surge=COUNT,
        held=COUNT,
        allowed=_or_null(COUNT),
        agent=COUNT,
        others=COUNT,
        fits=FLAG,
    ),
    "ServerBudget": _object(
        server=TEXT,
        also=_list(TEXT),
        allowed=COUNT,
        planned=COUNT,
        declared=COUNT,
        held=COUNT,
        agent=COUNT,
        others=COUNT,
        surge=COUNT,
        fits=FLAG,
        undeclared=_list(TEXT),
        limits=_list(_ref("BudgetPart")),
        roles=_list(_ref("BudgetPart")),
        databases=_list(_ref("BudgetPart")),
        services=_list(
            _object(
                name=TEXT,
                replicas=COUNT,
                declared=_or_null(COUNT),
                held=_or_null(COUNT),
                largest=_or_null(COUNT),
            )
        ),
        replicas=_list(
            _object(
                name=TEXT,
                service=TEXT,
                declared=_or_null(COUNT),
                held=_or_null(COUNT),
                role=_or_null(TEXT),
                database=_or_null(TEXT),
                surge=COUNT,
                dbos=COUNT,
                dbos_role=_or_null(TEXT),
                dbos_database=_or_null(TEXT),
            )
        ),
    ),
}
