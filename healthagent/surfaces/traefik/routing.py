"""From a report to a dynamic configuration for Traefik's HTTP provider.

Who calls it: the HTTP surface, for ``GET /traefik``. Traefik drops a body that did not change, and
keeps its last configuration when the answer is an error, so a dead agent freezes routing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from healthagent.core.notice import Notice
from healthagent.core.report import Report
from healthagent.core.target import Traffic
from healthagent.surfaces.traefik import policy, references, slowstart
from healthagent.surfaces.traefik.labels import PREFIX
from healthagent.surfaces.traefik.part import Part, part_of
from healthagent.surfaces.traefik.policy import Things

MOST_GONE = 100
"""How many services that are gone keep their routers: those that went last. No stack has so many,
but who gives each deployment a name of its own would have them for the life of the agent."""


@dataclass(frozen=True, slots=True)
class Routing:
    """A configuration, what is wrong with the labels behind it, and what must be remembered.

    ``known`` is what each service said last, who is gone for the longest first. It keeps a router,
    with no server, when the last container of its service goes: Traefik then answers 503, *not
    now*, instead of 404, *never heard of it*. ``ready_since`` is by target when it became ready,
    for its slow start.
    """

    configuration: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    known: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    ready_since: Mapping[str, float] = field(default_factory=dict)
    settled: bool = False

    def after(self, report: Report) -> Routing:
        """The routing for ``report``. Services that are missing there keep their routers, the last
        ``MOST_GONE`` of them."""
        ready_since = slowstart.ready_since(self.ready_since, report, anew=self.settled)
        living = {
            service.name: tuple(
                part_of(target, slowstart.tenths(target, ready_since, report.at))
                for target in service.targets
            )
            for service in report.services
            if service.targets
        }
        missing = [name for name in self.known if name not in living][-MOST_GONE:]
        gone = {name: tuple(replace(p, servers={}) for p in self.known[name]) for name in missing}
        parts = [part for of_service in living.values() for part in of_service]
        configuration, conflicts = _configuration(
            parts, [part for of_service in reversed(gone.values()) for part in of_service]
        )
        notices = [notice for part in parts for notice in part.notices]
        return Routing(
            configuration=configuration,
            notices=tuple(dict.fromkeys((*notices, *conflicts))),
            known={**gone, **{name: of[:1] for name, of in living.items()}},
            ready_since=ready_since,
            settled=self.settled or report.settled,
        )


def _configuration(
    living: Sequence[Part], gone: Sequence[Part]
) -> tuple[Mapping[str, Any], list[Notice]]:
    """The body, in a stable order, and where replicas contradict each other.

    One definition stands per name. Where replicas differ, that of a ready one counts, since it is
    the one in use; what only the gone ones said fills the gaps. Traefik refuses an empty
    ``routers``, ``services`` or ``middlewares`` and an empty ``http``: what is empty is left out.
    """
    conflicts: list[Notice] = []
    parts = sorted(living, key=lambda part: not part.servers)
    routers = _claim("routers", ((p.about, p.routers) for p in parts), conflicts)
    services = _claim("services", ((p.about, p.services) for p in parts), conflicts)
    middlewares = _claim("middlewares", ((p.about, p.middlewares) for p in parts), conflicts)
    transports = {**policy.transports(Traffic())}
    for part in reversed(parts):
        transports |= part.transports
    rules = {router["rule"] for router in routers.values()}
    for part in gone:
        kept = {name: r for name, r in part.routers.items() if r["rule"] not in rules}
        if kept:
            routers = {**kept, **routers}
            services = {**part.services, **services}
            middlewares = {**part.middlewares, **middlewares}
            transports |= part.transports
    routers = {n: references.router(r, services, middlewares) for n, r in routers.items()}
    middlewares = {
        name: references.middleware(middleware, services, middlewares)
        for name, middleware in references.needed(routers, middlewares).items()
    }
    http = {
        "routers": dict(sorted(routers.items())),
        "services": {
            name: _service(references.service(service, middlewares), _servers(name, living))
            for name, service in sorted(services.items())
        },
        "middlewares": dict(sorted(middlewares.items())),
        "serversTransports": dict(sorted(transports.items())),
    }
    return {"http": {key: value for key, value in http.items() if value}}, conflicts


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


def _servers(service: str, parts: Sequence[Part]) -> list[Mapping[str, Any]]:
    """The servers of all that may serve, in the report's order. They get weights only while their
    shares differ, so that the body is the same once all have their full one."""
    serving = [part for part in parts if service in part.servers]
    if len({part.tenths for part in serving}) < 2:
        return [part.servers[service] for part in serving]
    return [
        {**part.servers[service], "weight": part.servers[service].get("weight", 1) * part.tenths}
        for part in serving
    ]


def _service(service: Mapping[str, Any], servers: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {**service, "loadBalancer": {**service["loadBalancer"], "servers": servers}}
