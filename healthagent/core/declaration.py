"""From what was found (a container's labels, a static target's table) to a declared target.

A value that cannot be read is one notice, and the default stays.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from healthagent.core.masking import masked
from healthagent.core.notice import Notice
from healthagent.core.options import BY_KEY, PREFIX, boolean, port
from healthagent.core.postgres_url import database_of, role_of
from healthagent.core.target import DatabaseRef, Pools, Target, Timing, Traffic

_ROUTER = "traefik.http.routers."
_ROUTED_SERVICE = re.compile(r"traefik\.http\.routers\.[^.]+\.service", re.IGNORECASE)
_SERVERS_PORT = re.compile(
    r"traefik\.http\.services\.[^.]+\.loadbalancer\.server\.port", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a discovery found, before its settings are read.

    ``settings`` are option keys (without ``healthagent.``) to texts; ``where`` names their place in
    an error (``label``, ``[[targets]]``). ``environment`` is the container's own.
    """

    id: str
    name: str
    service: str
    settings: Mapping[str, str]
    where: str = "label"
    address: str | None = None
    addresses: tuple[str, ...] = ()
    routed_at: str | None = None
    exposed: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    routing: Mapping[str, str] = field(default_factory=dict)
    pid: int | None = None


def is_enabled(labels: Mapping[str, str]) -> bool:
    """Whether a container asks to be watched; a value that cannot be read does not."""
    try:
        return boolean(labels.get(PREFIX + "enable", "false"))
    except ValueError:
        return False


def declare(
    candidate: Candidate, databases: Mapping[str, DatabaseRef], defaults: Mapping[str, str]
) -> tuple[Target, tuple[Notice, ...]]:
    """The target that a candidate declares, and a notice for each setting that cannot be read.

    ``databases`` are the agent's own by name; ``defaults`` are the agent-wide settings by key.
    """
    reader = _Reader(candidate, defaults)
    read = reader.value
    livez, readyz = read("livez", "/livez"), read("readyz", "/readyz")
    target = Target(
        id=candidate.id,
        name=candidate.name,
        service=candidate.service,
        runtime=read("runtime", "bun"),
        address=candidate.address,
        addresses=candidate.addresses,
        routed_at=candidate.routed_at,
        port=_port(reader, asked=livez is not None or readyz is not None),
        livez=livez,
        readyz=readyz,
        pools=Pools(read("pool.prisma", None), read("pool.dbos", None)),
        database=_database(reader, databases),
        role=role_of(candidate.environment.get("DATABASE_URL", "")),
        executor=_executor(reader),
        timing=_timing(reader),
        enforce=read("enforce", frozenset()),
        supervise=read("supervise", "observe"),
        quorum=read("quorum", 1),
        surge=read("surge", 1),
        traffic=_traffic(reader),
        pid=candidate.pid,
        routing=candidate.routing,
        origins=reader.origins,
    )
    return target, (*reader.notices, *_unheard_of(candidate))


class _Reader:
    """Reads one candidate's settings; keeps where each came from, as which text it was written, and
    what could not be read."""

    def __init__(self, candidate: Candidate, defaults: Mapping[str, str]) -> None:
        self.candidate = candidate
        self.origins: dict[str, str] = {}
        self.written: dict[str, str] = {}
        self.notices: list[Notice] = []
        self._defaults = defaults

    def value(self, key: str, default: Any) -> Any:
        """The value of an option from its setting, else the agent's default, else ``default``."""
        for settings, where in (
            (self.candidate.settings, self.candidate.where),
            (self._defaults, "the agent's defaults"),
        ):
            if key in settings:
                text, variable = settings[key], _variable(settings[key])
                try:
                    found = BY_KEY[key].read(self._resolved(text, variable))
                except KeyError:
                    self.complain(key, text, f"the replica has no variable {variable}")
                    continue
                except ValueError:
                    self.complain(key, text, "cannot be read" if text else "is empty")
                    continue
                self.origins[key] = f"{where}, from its variable {variable}" if variable else where
                self.written[key] = text
                return found
        self.origins[key] = "default"
        return default

    def complain(self, key: str, value: str, problem: str, remedy: str = "") -> None:
        option = BY_KEY[key]
        self.notices.append(
            Notice(
                about=self.candidate.name,
                key=_spelled(self.candidate, key),
                value=masked(value),
                problem=problem,
                remedy=remedy or f"write {option.expects}",
            )
        )

    def _resolved(self, text: str, variable: str | None) -> str:
        return text if variable is None else self.candidate.environment[variable]


def _variable(text: str) -> str | None:
    """The ``NAME`` of ``env:NAME``, which stands for the replica's own variable."""
    return text.removeprefix("env:") if text.startswith("env:") else None


def _spelled(candidate: Candidate, key: str) -> str:
    return PREFIX + key if candidate.where == "label" else key


def _timing(reader: _Reader) -> Timing:
    plain = Timing()
    interval = reader.value("interval", plain.interval)
    timeout = reader.value("timeout", min(plain.timeout, 0.8 * interval))
    return Timing(
        interval=interval,
        timeout=timeout,
        rise=reader.value("rise", plain.rise),
        fall=reader.value("fall", plain.fall),
        grace=reader.value("grace", plain.grace),
    )


def _traffic(reader: _Reader) -> Traffic:
    plain = Traffic()
    return Traffic(
        retry=reader.value("retry", plain.retry),
        response=reader.value("response", plain.response),
        slowstart=reader.value("slowstart", plain.slowstart),
    )


def _port(reader: _Reader, *, asked: bool) -> int | None:
    """The app's port. Where nobody asks it for an endpoint, nor routes to it, none is missed."""
    found: int | None = reader.value("port", None)
    if found is not None:
        return found
    labelled = _labelled_ports(reader.candidate.routing)
    if len({*labelled.values()}) == 1:
        key, found = next(iter(labelled.items()))
        reader.origins["port"] = f"label {key}"
        return found
    exposed = reader.candidate.exposed
    if len(exposed) == 1:
        reader.origins["port"] = "EXPOSE"
        return exposed[0]
    routed = any(key.lower().startswith(_ROUTER) for key in reader.candidate.routing)
    if exposed and routed and not labelled:
        reader.origins["port"] = "EXPOSE, the lowest, as Traefik takes it"
        return min(exposed)
    ports = {*(labelled.values() or exposed)}
    if ports and (asked or routed):
        who = "Traefik's services have" if labelled else "the container exposes"
        problem = f"is not declared, and {who} several: {', '.join(map(str, sorted(ports)))}"
        reader.complain("port", "", problem, "declare the port that the app listens on")
    return None


def _labelled_ports(routing: Mapping[str, str]) -> Mapping[str, int]:
    """The ports of Traefik's HTTP services by their labels: where they differ, of those alone that
    the routers name."""
    every: dict[str, int] = {}
    named: set[str] = set()
    for key, value in routing.items():
        if _ROUTED_SERVICE.fullmatch(key):
            named.add(value.removesuffix("@docker"))
        if _SERVERS_PORT.fullmatch(key):
            with suppress(ValueError):
                every[key] = port(value)
    if len({*every.values()}) < 2:
        return every
    return {key: number for key, number in every.items() if key.split(".")[3] in named} or every


def _executor(reader: _Reader) -> str | None:
    pattern: str | None = reader.value("dbos.executor", None)
    if pattern is None:
        return None
    candidate = reader.candidate
    return pattern.format(
        container_name=candidate.name,
        name=candidate.name,
        service=candidate.service,
        short_id=candidate.id[:12],
    )


def _database(reader: _Reader, databases: Mapping[str, DatabaseRef]) -> DatabaseRef | None:
    name: str | None = reader.value("database", None)
    if name is not None and name in databases:
        return databases[name]
    url = reader.candidate.environment.get("DATABASE_URL")
    spelled = "DATABASE_URL" if reader.candidate.where == "label" else "database_url"
    if url is None:
        if name is not None:
            written = reader.written["database"]
            reader.complain("database", written, "is not one of the agent's databases")
        return None
    try:
        ref = database_of(url)
    except ValueError:
        reader.notices.append(
            Notice(
                about=reader.candidate.name,
                key=spelled,
                problem="cannot be read",
                remedy="write postgresql://USER:PASSWORD@HOST:PORT/NAME",
            )
        )
        return None
    if name is None:
        reader.origins["database"] = spelled
        return ref
    return DatabaseRef(ref.host, ref.port, name)


def _unheard_of(candidate: Candidate) -> Iterator[Notice]:
    """No values: what was mistyped may have been a password."""
    for key in candidate.settings:
        if key not in BY_KEY:
            near = difflib.get_close_matches(key, BY_KEY, n=1)
            hint = f"did you mean {_spelled(candidate, near[0])}?" if near else "remove it"
            yield Notice(
                about=candidate.name,
                key=_spelled(candidate, key),
                problem="is no option",
                remedy=hint,
            )
