"""What somebody decided about a replica's traffic, beside what the checks found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from healthagent.core.target import Target


@dataclass(frozen=True, slots=True)
class Drain:
    """That a replica was taken out of rotation on purpose, and gets no new request until it is
    *undrained* (Kubernetes would call it cordoned). It lives on, and is judged on.

    ``by`` is who asked (a person, ``roll``, ``supervisor``), ``why`` their reason in words,
    ``since`` when, in seconds since the epoch. ``lasting`` marks one that somebody asked for by
    itself: it holds until it is taken back, over a restart of the agent too. The others are part of
    an act and end with it.
    """

    by: str
    why: str
    since: float
    lasting: bool = False

    def __str__(self) -> str:
        by = f"drained by {self.by}" if self.by else "drained"
        return f"{by}: {self.why}" if self.why else by


@dataclass(frozen=True, slots=True)
class Told:
    """What a router was told when it asked for its configuration.

    ``at`` is when it was first sent exactly these ``servers``, which it has to this day, in seconds
    by the monotonic clock; they are hosts with their ports.
    """

    at: float
    servers: frozenset[str]

    def has(self, target: Target) -> bool:
        return routes_to(self.servers, target)


def routes_to(servers: Iterable[str], target: Target) -> bool:
    """Whether a replica is among servers, each a host with its port. A container has its address
    for itself, on whichever port it is routed to; local processes share theirs."""
    address = target.address or ""
    host = f"[{address}]" if ":" in address else address
    if not target.is_container:
        return f"{host}:{target.port}" in servers
    return any(server.rpartition(":")[0] == host for server in servers)


def served(services: Any) -> set[str]:
    """All servers that Traefik sends requests to, each a host with its port, by what its API
    answers to ``/api/http/services``: of every provider.

    The API shows what the routers were last built from (pkg/server/routerfactory.go of Traefik),
    and what its own health check found, by URL (pkg/config/runtime/runtime_http.go).
    Raises ``ValueError`` where the answer is not what Traefik's is.
    """
    if not isinstance(services, list):
        raise ValueError("that is no list of services")
    servers: set[str] = set()
    for service in services:
        states = service.get("serverStatus") or {}
        if not states and not service.get("usedBy"):
            continue  # no router uses it, so that Traefik has not built it
        down = {urlsplit(url).netloc for url, state in states.items() if state == "DOWN"}
        listed = (service.get("loadBalancer") or {}).get("servers") or ()
        servers |= {urlsplit(server.get("url", "")).netloc for server in listed} - down
    return servers
