"""What can be declared about a replica: every option is spelled once, here.

The table gives the label, the key of a static target, the agent-wide default, the text of an error
and the row in the docs. The functions ahead of it read one kind of value each, and raise
``ValueError`` for a text that they cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from string import Formatter
from typing import Any

from healthagent.core.target import Target

PREFIX = "healthagent."
"""What every label begins with."""

ENFORCEABLE = frozenset({"pool", "dbos"})

SHORTEST_INTERVAL = 0.1
"""Seconds. More looks than ten a second would be a load of their own."""

LONGEST = 9.2e9
"""Seconds, some 291 years: Traefik is told durations, and Go's end there."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be declared about a replica.

    ``read`` turns the text into a value and raises ``ValueError`` where it cannot; ``expects``
    completes the sentence *write ...* in the error. ``field`` is where a :class:`Target` keeps the
    value, if not under ``key``.
    """

    key: str
    read: Callable[[str], Any]
    default: str
    expects: str
    meaning: str
    field: str = ""

    @property
    def label(self) -> str:
        return PREFIX + self.key

    def of(self, target: Target) -> Any:
        """The value that a target declares."""
        return attrgetter(self.field or self.key)(target)


def boolean(text: str) -> bool:
    match text.strip().lower():
        case "true" | "1" | "yes" | "on":
            return True
        case "false" | "0" | "no" | "off":
            return False
        case _:
            raise ValueError(text)


def duration(text: str) -> float:
    """Seconds of a text such as ``1s``, ``500ms``, ``1.5`` or ``2m``; above zero, up to LONGEST."""
    matched = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|)\s*", text)
    if matched is None:
        raise ValueError(text)
    seconds = float(matched[1]) * _UNITS[matched[2]]
    if not 0 < seconds <= LONGEST:
        raise ValueError(text)
    return seconds


def interval(text: str) -> float:
    """A duration that leaves the replica time to do its work as well."""
    seconds = duration(text)
    if seconds < SHORTEST_INTERVAL:
        raise ValueError(text)
    return seconds


def span(text: str) -> float:
    """A duration, or 0 for ``none``."""
    return 0.0 if text == "none" else duration(text)


def count(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def size(text: str) -> int:
    """A whole number from 0 on."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise ValueError(text)
    return number


def path(text: str) -> str | None:
    """A path that begins with a slash, or ``None`` for ``none``."""
    if text == "none":
        return None
    if re.fullmatch(r"/[!-~]*", text) is None:
        raise ValueError(text)
    return text


def name(text: str) -> str:
    """A name. A URL or a connection string is none: it may hold a password, and names are shown."""
    if not text.strip() or not text.isprintable() or any(sign in text for sign in _CONNECTION):
        raise ValueError(text)
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return read


def names(text: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not found <= ENFORCEABLE:
        raise ValueError(text)
    return found


def template(text: str) -> str:
    """A text whose only fields are :data:`_FIELDS`, bare: a width could ask for any memory."""
    for _, field_name, width, conversion in Formatter().parse(text):
        if field_name is not None and (field_name not in _FIELDS or width or conversion):
            raise ValueError(text)
    return text


_CONNECTION = ("://", "@", "=")
_FIELDS = frozenset({"container_name", "name", "service", "short_id"})
_DURATION = "a duration such as 1s or 500ms"
_COUNT = "a whole number from 1 on"
_POOL = "a whole number, or env:NAME for the container's variable that holds it"

OPTIONS: tuple[Option, ...] = (
    Option("enable", boolean, "false", "true or false", "watch this service"),
    Option("runtime", one_of("bun", "node"), "bun", "bun or node", "what runs the app"),
    Option(
        "port",
        port,
        "Traefik's label, else the only EXPOSEd port; the lowest where it has a router",
        "a port from 1 to 65535",
        "the app's HTTP port; with none there is no http and no event_loop check",
    ),
    Option("livez", path, "/livez", "a path such as /livez, or none", "the liveness endpoint"),
    Option("readyz", path, "/readyz", "a path such as /readyz, or none", "the readiness endpoint"),
    Option(
        "pool.prisma",
        size,
        "undeclared",
        _POOL,
        "the most connections of the app's pg.Pool",
        "pools.prisma",
    ),
    Option(
        "pool.dbos",
        size,
        "undeclared",
        _POOL,
        "the most connections of DBOS's system pool",
        "pools.dbos",
    ),
    Option(
        "database",
        name,
        "the one in DATABASE_URL",
        "a name from [databases], or a database on the server of DATABASE_URL",
        "the database whose sessions are judged",
    ),
    Option(
        "dbos.executor",
        template,
        "not judged",
        "a text; {container_name}, {name}, {service} and {short_id} are filled in",
        "the executor id that the replica should have",
        "executor",
    ),
    Option(
        "interval",
        interval,
        "1s",
        "a duration such as 1s or 500ms, 100ms at least",
        "time from one look to the next",
        "timing.interval",
    ),
    Option(
        "timeout",
        duration,
        "800ms, or 0.8 of a shorter interval",
        _DURATION,
        "deadline of one look",
        "timing.timeout",
    ),
    Option(
        "rise",
        count,
        "1",
        _COUNT,
        "successes in a row until a failed check passes again",
        "timing.rise",
    ),
    Option(
        "fall", count, "2", _COUNT, "failures in a row until a passing check fails", "timing.fall"
    ),
    Option(
        "grace",
        duration,
        "30s",
        _DURATION,
        "time after a start in which failure is awaited",
        "timing.grace",
    ),
    Option(
        "enforce",
        names,
        "none",
        "pool, dbos or both, with a comma between",
        "agent-only faults that fail a replica instead of degrading it",
    ),
    Option(
        "supervise",
        one_of("observe", "restart"),
        "observe",
        "observe or restart",
        "what the agent may do about a replica that does not live",
    ),
    Option(
        "quorum",
        count,
        "1",
        _COUNT,
        "ready replicas below which the agent's own evidence takes nobody out",
    ),
    Option(
        "surge",
        size,
        "1",
        "a whole number from 0 on",
        "replicas more that a rollout adds for a while; the connection budget counts them",
    ),
    Option(
        "retry",
        one_of("idempotent", "unsent", "none"),
        "idempotent",
        "idempotent, unsent or none",
        "which requests Traefik tries again elsewhere when a replica fails them",
        "traffic.retry",
    ),
    Option(
        "response",
        duration,
        "30s",
        _DURATION,
        "the longest a replica takes to begin an answer; Traefik then gives up on it",
        "traffic.response",
    ),
    Option(
        "slowstart",
        span,
        "none",
        "a duration such as 30s, or none",
        "time over which a replica that has become ready gets its full share of requests",
        "traffic.slowstart",
    ),
)

BY_KEY = {option.key: option for option in OPTIONS}
