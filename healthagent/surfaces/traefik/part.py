"""What one replica adds to Traefik's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from healthagent.core.notice import Notice
from healthagent.core.report import TargetReport
from healthagent.core.target import Target, authority
from healthagent.surfaces.traefik import policy
from healthagent.surfaces.traefik.labels import PREFIX, Fault, Labels, enabled, is_name, read
from healthagent.surfaces.traefik.policy import Things

FULL = 10
"""Tenths of its requests that a replica gets whose slow start is over."""


@dataclass(frozen=True, slots=True)
class Part:
    """``servers`` holds the replica's own server by service; it is empty while it may not serve.
    ``tenths`` is how many of its requests it is to get, from 1 to :data:`FULL`."""

    about: str
    routers: Things = field(default_factory=dict)
    services: Things = field(default_factory=dict)
    middlewares: Things = field(default_factory=dict)
    transports: Things = field(default_factory=dict)
    servers: Things = field(default_factory=dict)
    tenths: int = FULL
    notices: tuple[Notice, ...] = ()


def part_of(report: TargetReport, tenths: int = FULL) -> Part:
    """The replica's part, with the defaults that Traefik's Docker provider fills in."""
    target = report.target
    labels = read(target.routing)
    if not enabled(target.routing):
        return Part(target.name, notices=_notices(target, labels.faults))
    services = _services(target, labels)
    routers = {name: _with_service(router, services) for name, router in labels.routers.items()}
    retries, transports = policy.retries(target.traffic), policy.transports(target.traffic)
    return Part(
        about=target.name,
        routers={name: _retrying(r, retries) for name, r in routers.items() if _is_whole(r)},
        services={name: _generic(service, transports) for name, service in services.items()},
        middlewares={**retries, **labels.middlewares},
        transports=transports,
        servers=_servers(target, services) if report.ready else {},
        tenths=tenths,
        notices=_notices(target, (*labels.faults, *_faults(target, routers, services))),
    )


def offered(target: Target) -> bool:
    """Whether its labels make a replica a server of Traefik's, once it is ready."""
    labels = read(target.routing)
    return enabled(target.routing) and bool(_servers(target, _services(target, labels)))


def _services(target: Target, labels: Labels) -> Things:
    """The declared services; with none declared, one that is called as the Compose service is."""
    if any(key.lower().startswith(f"{PREFIX}services.") for key in target.routing):
        return labels.services
    if (target.origin is None and not labels.routers) or not is_name(target.service):
        return {}
    return {target.service: {"loadBalancer": {}}}


def _with_service(router: Mapping[str, Any], services: Things) -> Mapping[str, Any]:
    """A router that names no service means the only one there is."""
    if "service" in router or len(services) != 1:
        return router
    return {**router, "service": next(iter(services))}


def _is_whole(router: Mapping[str, Any]) -> bool:
    return "rule" in router and "service" in router


def _retrying(router: Mapping[str, Any], retries: Things) -> Mapping[str, Any]:
    return {**router, "middlewares": [*router.get("middlewares", ()), *retries]}


def _faults(target: Target, routers: Things, services: Things) -> Iterator[Fault]:
    for name, router in routers.items():
        key = f"{PREFIX}routers.{name}"
        if "rule" not in router:
            yield Fault(f"{key}.rule", "is missing", "write a rule such as Host(`app.example.org`)")
        elif "service" not in router:
            yield Fault(f"{key}.service", "is missing", "name one of the declared services")
    if routers and target.port is None and not any(map(_names_its_server, services.values())):
        problem = "is missing, so that the router has no server"
        yield Fault("healthagent.port", problem, "declare the port that the app listens on")


def _servers(target: Target, services: Things) -> Things:
    """The replica's server in each service. Its own labels ``loadbalancer.server.*`` count."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, service in services.items():
        own = dict(_own(service))
        scheme, port = own.pop("scheme", "http"), own.pop("port", target.port)
        url = own.pop("url", None) or _url(scheme, target.server, port)
        if url is not None:
            found[name] = {"url": url, **own}
    return found


def _own(service: Mapping[str, Any]) -> Mapping[str, Any]:
    server: Mapping[str, Any] = service.get("loadBalancer", {}).get("server", {})
    return server


def _names_its_server(service: Mapping[str, Any]) -> bool:
    return not _own(service).keys().isdisjoint(("port", "url"))


def _url(scheme: str, address: str | None, port: int | None) -> str | None:
    if address is None or port is None:
        return None
    return f"{scheme}://{authority(address, port)}"


def _generic(service: Mapping[str, Any], transports: Things) -> Mapping[str, Any]:
    """What a service is for all its replicas: without the server of this one."""
    balancer = {"serversTransport": next(iter(transports)), **service.get("loadBalancer", {})}
    balancer.pop("server", None)
    return {**service, "loadBalancer": balancer}


def _notices(target: Target, faults: tuple[Fault, ...]) -> tuple[Notice, ...]:
    return tuple(
        Notice(target.name, fault.problem, fault.remedy, fault.key, fault.value) for fault in faults
    )
