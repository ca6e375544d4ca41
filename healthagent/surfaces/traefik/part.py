"""What one replica adds to Traefik's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from healthagent.core.report import Notice, TargetReport
from healthagent.core.target import Target
from healthagent.surfaces.traefik.labels import PREFIX, Fault, Labels, read

Things = Mapping[str, Mapping[str, Any]]
"""Routers, services or middlewares by name."""


@dataclass(frozen=True, slots=True)
class Part:
    """``servers`` holds the replica's own server by service; it is empty while it may not serve."""

    about: str
    routers: Things = field(default_factory=dict)
    services: Things = field(default_factory=dict)
    middlewares: Things = field(default_factory=dict)
    servers: Things = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


def part_of(report: TargetReport) -> Part:
    """The replica's part, with the defaults that Traefik's Docker provider fills in."""
    target = report.target
    labels = read(target.routing)
    services = _services(target, labels)
    routers = {name: _with_service(router, services) for name, router in labels.routers.items()}
    faults = (*labels.faults, *_faults(target, routers, services))
    return Part(
        about=target.name,
        routers={name: router for name, router in routers.items() if _is_whole(router)},
        services={name: _without_server(service) for name, service in services.items()},
        middlewares=labels.middlewares,
        servers=_servers(target, services) if report.ready else {},
        notices=tuple(_notice(target, fault) for fault in faults),
    )


def _services(target: Target, labels: Labels) -> Things:
    """The declared services; with none declared, one that is called as the Compose service is."""
    if any(key.lower().startswith(f"{PREFIX}services.") for key in target.routing):
        return labels.services
    if target.origin is None and not labels.routers:
        return {}
    return {target.service: {"loadBalancer": {}}}


def _with_service(router: Mapping[str, Any], services: Things) -> Mapping[str, Any]:
    """A router that names no service means the only one there is."""
    if "service" in router or len(services) != 1:
        return router
    return {**router, "service": next(iter(services))}


def _is_whole(router: Mapping[str, Any]) -> bool:
    return "rule" in router and "service" in router


def _faults(target: Target, routers: Things, services: Things) -> Iterator[Fault]:
    for name, router in routers.items():
        key = f"{PREFIX}routers.{name}"
        if "rule" not in router:
            yield Fault(f"{key}.rule", "is missing", "write a rule such as Host(`app.example.org`)")
        elif "service" not in router:
            yield Fault(f"{key}.service", "is missing", "name one of the declared services")
    if routers and not _servers(target, services):
        problem = "is missing, so that the router has no server"
        yield Fault("healthagent.port", problem, "declare the port that the app listens on")


def _servers(target: Target, services: Things) -> Things:
    """The replica's server in each service. Its own labels ``loadbalancer.server.*`` count."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, service in services.items():
        own = dict(service.get("loadBalancer", {}).get("server", {}))
        scheme, port = own.pop("scheme", "http"), own.pop("port", target.port)
        url = own.pop("url", None) or _url(scheme, target.address, port)
        if url is not None:
            found[name] = {"url": url, **own}
    return found


def _url(scheme: str, address: str | None, port: int | None) -> str | None:
    if address is None or port is None:
        return None
    host = f"[{address}]" if ":" in address else address
    return f"{scheme}://{host}:{port}"


def _without_server(service: Mapping[str, Any]) -> Mapping[str, Any]:
    balancer = service.get("loadBalancer", {})
    return {"loadBalancer": {key: value for key, value in balancer.items() if key != "server"}}


def _notice(target: Target, fault: Fault) -> Notice:
    return Notice(
        about=target.name,
        key=fault.key,
        value=fault.value,
        problem=fault.problem,
        remedy=fault.remedy,
    )
