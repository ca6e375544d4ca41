"""From a report to a dynamic configuration for Traefik's HTTP provider.

Who calls it: the HTTP surface, for ``GET /traefik``. Traefik drops a body that did not change, and
keeps its last configuration when the answer is an error, so a dead agent freezes routing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from healthagent.core.report import Notice, Report
from healthagent.surfaces.traefik.labels import PREFIX
from healthagent.surfaces.traefik.part import Part, Things, part_of

TRANSPORT = "healthagent"
"""Name of the generated serversTransport; Traefik calls it ``healthagent@http``."""

DIAL_TIMEOUT = "1500ms"
"""A container that is gone answers no SYN, and by Traefik's default a request would hang on it for
30 s. Linux sends a lost SYN again after 1 s (RFC 6298): that one may still arrive, then it is gone.
"""

RESPONSE_HEADER_TIMEOUT = "30s"
"""A frozen replica takes a request and never answers; with Traefik's default, none, its client
hangs for as long as it is frozen. 30 s is longer than honest pages take and as long as most clients
wait; for a slower one name a serversTransport of your own in the labels."""


@dataclass(frozen=True, slots=True)
class Routing:
    """A configuration, what is wrong with the labels behind it, and what each service said last.

    That memory keeps a router, with no server, when the last container of its service goes:
    Traefik then answers 503, *not now*, instead of 404, *never heard of it*.
    """

    configuration: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    known: Mapping[str, Sequence[Part]] = field(default_factory=dict)

    def after(self, report: Report) -> Routing:
        """The routing for ``report``. Services that are missing there keep their routers."""
        living = {s.name: tuple(map(part_of, s.targets)) for s in report.services if s.targets}
        gone = [replace(p, servers={}) for s in self.known.keys() - living for p in self.known[s]]
        parts = [part for of_service in living.values() for part in of_service]
        routers, services, middlewares, conflicts = _merge(parts, gone)
        notices = [notice for part in parts for notice in part.notices]
        return Routing(
            configuration=_configuration(routers, services, middlewares, parts),
            notices=tuple(dict.fromkeys((*notices, *conflicts))),
            known={**self.known, **{name: of[:1] for name, of in living.items()}},
        )


def _merge(
    living: Sequence[Part], gone: Sequence[Part]
) -> tuple[Things, Things, Things, list[Notice]]:
    """One definition per name. Where replicas differ, that of a ready one counts, since it is the
    one in use; what only the gone ones said fills the gaps."""
    conflicts: list[Notice] = []
    parts = sorted(living, key=lambda part: not part.servers)
    routers = _claim("routers", ((p.about, p.routers) for p in parts), conflicts)
    services = _claim("services", ((p.about, p.services) for p in parts), conflicts)
    middlewares = _claim("middlewares", ((p.about, p.middlewares) for p in parts), conflicts)
    rules = {router["rule"] for router in routers.values()}
    for part in gone:
        kept = {name: r for name, r in part.routers.items() if r["rule"] not in rules}
        if kept:
            routers = {**kept, **routers}
            services = {**part.services, **services}
            middlewares = {**part.middlewares, **middlewares}
    return routers, services, middlewares, conflicts


def _claim(
    kind: str, claims: Iterable[tuple[str, Things]], conflicts: list[Notice]
) -> dict[str, Mapping[str, Any]]:
    """The first claim to each name; a later one that differs is a conflict."""
    found: dict[str, Mapping[str, Any]] = {}
    owner: dict[str, str] = {}
    for about, things in claims:
        for name, thing in things.items():
            if found.setdefault(name, thing) != thing:
                problem = f"differs from that of {owner[name]}, which is used"
                remedy = "give every replica the same labels"
                conflicts.append(Notice(about, problem, remedy, key=f"{PREFIX}{kind}.{name}"))
            owner.setdefault(name, about)
    return found


def _configuration(
    routers: Things, services: Things, middlewares: Things, parts: Sequence[Part]
) -> Mapping[str, Any]:
    """The body, in a stable order. Traefik refuses an empty ``routers``, ``services`` or
    ``middlewares`` and an empty ``http``, so that what is empty is left out."""
    http = {
        "routers": {n: _local(r, services, middlewares) for n, r in sorted(routers.items())},
        "services": {n: _service(s, _servers(n, parts)) for n, s in sorted(services.items())},
        "middlewares": dict(sorted(middlewares.items())),
        "serversTransports": {
            TRANSPORT: {
                "forwardingTimeouts": {
                    "dialTimeout": DIAL_TIMEOUT,
                    "responseHeaderTimeout": RESPONSE_HEADER_TIMEOUT,
                }
            }
        },
    }
    return {"http": {key: value for key, value in http.items() if value}}


def _servers(service: str, parts: Sequence[Part]) -> list[Mapping[str, Any]]:
    """The servers of all that may serve, in the report's order."""
    return [part.servers[service] for part in parts if service in part.servers]


def _service(service: Mapping[str, Any], servers: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    balancer = {"serversTransport": TRANSPORT, **service["loadBalancer"], "servers": servers}
    return {"loadBalancer": balancer}


def _local(router: Mapping[str, Any], services: Things, middlewares: Things) -> Mapping[str, Any]:
    """Labels may say ``auth@docker`` of what they define themselves; here it comes from ``http``,
    and a name without a provider means the same one."""
    moved = dict(router)
    moved["service"] = _here(router["service"], services)
    if "middlewares" in router:
        moved["middlewares"] = [_here(name, middlewares) for name in router["middlewares"]]
    return moved


def _here(reference: str, defined: Things) -> str:
    name = reference.removesuffix("@docker")
    return name if name in defined else reference
