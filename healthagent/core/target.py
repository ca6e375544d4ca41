"""What is watched: one replica of a service, as it was declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Runtime = Literal["bun", "node"]
Supervision = Literal["observe", "restart"]
Retry = Literal["idempotent", "unsent", "none"]


LEAST_STALE = 10.0
"""Seconds that the last known state holds at least, however short the interval."""

SHORTEST_PREFIX = 4
"""Characters from which an id may be cut short: fewer would name another container tomorrow."""


def begins(id_: str, reference: str) -> bool:
    """Whether an id begins so, with as much of it as is asked for."""
    return len(reference) >= SHORTEST_PREFIX and id_.startswith(reference)


@dataclass(frozen=True, slots=True)
class Timing:
    """When to look and how often to look before believing it. Seconds, and counts of looks."""

    interval: float = 1.0
    timeout: float = 0.8
    rise: int = 1
    fall: int = 2
    grace: float = 30.0

    @property
    def stale_after(self) -> float:
        """How long the last known state holds when nothing new can be seen: longer than a round
        takes whose looks all come to their deadline, since the next one waits for it."""
        some_looks, slow_rounds = 5 * self.interval, 2 * (self.interval + self.timeout)
        longest = some_looks if some_looks > slow_rounds else slow_rounds
        return longest if longest > LEAST_STALE else LEAST_STALE


@dataclass(frozen=True, slots=True)
class Pools:
    """The most connections one replica declares to hold; ``None`` where it declares nothing."""

    prisma: int | None = None
    dbos: int | None = None

    @property
    def total(self) -> int | None:
        """The declared sum, or ``None`` where no pool is declared."""
        if self.prisma is None and self.dbos is None:
            return None
        return (self.prisma or 0) + (self.dbos or 0)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the router does with a replica's requests. Seconds; no ``slowstart`` is 0.

    ``retry``: an *unsent* request reached nobody yet, so that any of them may go to another
    replica; an *idempotent* one may be sent twice (RFC 9110, section 9.2.2).
    """

    retry: Retry = "idempotent"
    response: float = 30.0
    slowstart: float = 0.0


def url_host(host: str) -> str:
    """A host as a URL has it: an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def authority(host: str, port: int) -> str:
    """``HOST:PORT``, as a URL has it."""
    return f"{url_host(host)}:{port}"


@dataclass(frozen=True, slots=True, order=True)
class DatabaseRef:
    """Which database a replica uses: the key under which the agent keeps its one connection."""

    host: str
    port: int
    name: str

    @property
    def server(self) -> str:
        return authority(self.host, self.port)

    def __str__(self) -> str:
        return f"{self.server}/{self.name}"


def is_loopback(host: str) -> bool:
    """Whether it is, to each network namespace, that namespace itself (RFC 6890, RFC 6761)."""
    return host.startswith("127.") or host in ("::1", "localhost")


@dataclass(frozen=True, slots=True)
class Target:
    """One replica: one container, or one local process.

    ``id`` is the container's full id, or ``static:NAME``. ``addresses`` are all addresses that the
    replica may be seen under (Postgres sees the one of the network it shares with the replica);
    ``address`` is the one that the agent dials, ``routed_at`` the one that Traefik is told, where
    it is known which network that is on. ``pid`` is the process of a static target; a
    container's is known from its state. ``role`` is the one in its DATABASE_URL. ``surge`` is how
    many replicas more a rollout of its service adds for a while. ``origins`` says where each
    declared value came from, for ``explain``. ``routing`` holds the labels that are Traefik's.
    ``pidfile`` is the file that names a static target's process, where one does; while it names
    none ``pid`` is 0.
    """

    id: str
    name: str
    service: str
    runtime: Runtime = "bun"
    address: str | None = None
    addresses: tuple[str, ...] = ()
    routed_at: str | None = None
    port: int | None = None
    livez: str | None = "/livez"
    readyz: str | None = "/readyz"
    pools: Pools = Pools()
    database: DatabaseRef | None = None
    role: str | None = None
    executor: str | None = None
    timing: Timing = Timing()
    enforce: frozenset[str] = frozenset()
    supervise: Supervision = "observe"
    quorum: int = 1
    surge: int = 1
    traffic: Traffic = Traffic()
    pid: int | None = None
    pidfile: str = ""
    routing: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_container(self) -> bool:
        return not self.id.startswith("static:")

    @property
    def short_id(self) -> str:
        """The id as Docker prints it: the first twelve characters."""
        return self.id[:12] if self.is_container else self.id

    @property
    def server(self) -> str | None:
        """The address by which Traefik is to reach it."""
        return self.address if self.routed_at is None else self.routed_at

    @property
    def origin(self) -> str | None:
        """``http://ADDRESS:PORT`` of the app, or ``None`` where it serves no HTTP."""
        if self.address is None or self.port is None:
            return None
        return f"http://{authority(self.address, self.port)}"
