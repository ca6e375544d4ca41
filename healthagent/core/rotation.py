"""What somebody decided about a replica's traffic, beside what the checks found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from healthagent.core.target import Target, url_host


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


KEPT = 600.0
"""Seconds for which it is known when a server was taken away: longer than any router takes."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a router was told whenever it asked for its configuration.

    ``since`` is when it was first told anything, ``listed`` by server since when it has that one
    without a break, ``gone`` since when it has one no longer that it had. Servers are hosts with
    their ports; times are seconds by the monotonic clock. ``pause`` is how many seconds it lets
    pass from an answer to its next question.
    """

    since: float
    listed: Mapping[str, float] = field(default_factory=dict)
    gone: Mapping[str, float] = field(default_factory=dict)
    pause: float = 0.0

    def again(self, at: float, servers: Iterable[str], pause: float = 0.0) -> Told:
        """With what it was told at another time: all the servers that there were then."""
        listed = {server: self.listed.get(server, at) for server in servers}
        gone = {**self.gone, **dict.fromkeys(self.listed.keys() - listed, at)}
        lately = {s: t for s, t in gone.items() if s not in listed and at - t < KEPT}
        return Told(self.since, listed, lately, pause)

    def has(self, target: Target) -> bool:
        return routes_to(self.listed, target)

    def settled(self, target: Target) -> float:
        """Since when it has had the target without a break, or not had it."""
        times = self.listed if self.has(target) else self.gone
        of_it = (at for server, at in times.items() if routes_to((server,), target))
        return max(of_it, default=self.since)


def routes_to(servers: Iterable[str], target: Target) -> bool:
    """Whether a replica is among servers, each a host with its port. A container has its addresses
    for itself, whichever of them Traefik goes by, and on whichever port; local processes share
    theirs."""
    address = target.server or ""
    if not target.is_container:
        return f"{url_host(address)}:{target.port}" in servers
    hosts = {url_host(each) for each in (address, *target.addresses)}
    return any(server.rpartition(":")[0] in hosts for server in servers)


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
    try:
        for service in services:
            listed, states = _listed(service), service.get("serverStatus") or {}
            down = {urlsplit(url).netloc for url, state in states.items() if state == "DOWN"}
            if not _is_unused(service):
                servers |= listed - down
    except (AttributeError, TypeError) as error:
        raise ValueError("that is no list of Traefik's services") from error
    return servers


def unused(services: Iterable[Any]) -> set[str]:
    """All servers of services, as above, that no router uses: Traefik has not built those."""
    return {server for each in services if _is_unused(each) for server in _listed(each)}


def _is_unused(service: Any) -> bool:
    return not service.get("serverStatus") and not service.get("usedBy")


def _listed(service: Any) -> set[str]:
    servers = (service.get("loadBalancer") or {}).get("servers") or ()
    return {urlsplit(server.get("url", "")).netloc for server in servers}
