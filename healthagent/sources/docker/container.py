"""What the Engine's inspect says of one container, and under which address it is reached.

Shape: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from healthagent.core.compose import ONE_OFF, PROJECT, SERVICE
from healthagent.core.declaration import Candidate, is_enabled
from healthagent.core.notice import Notice
from healthagent.core.observation import ContainerState
from healthagent.core.options import PREFIX, boolean

ENABLE = f"{PREFIX}enable"
TRAEFIK_NETWORK = "traefik.docker.network"
ROUTED = "traefik.http."
"""What the labels of a replica begin with that Traefik is to route to."""

ROUTED_BY = "HEALTHAGENT_TRAEFIK_NETWORK"
"""The agent's setting for all replicas."""

LOOPBACK = "127.0.0.1"

HOST = "host.docker.internal"
"""What a container may call its host (``extra_hosts``, ``host-gateway``), where it has no gateway.
A name that does not resolve is a replica that cannot be seen; loopback is the agent's own."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Network:
    """One attachment: the name of a network and the container's addresses in it."""

    name: str
    addresses: tuple[str, ...]
    gateway: str


@dataclass(frozen=True, slots=True)
class Vantage:
    """From where the agent looks. ``networks`` are those that its own container is attached to, by
    name; ``None`` where it runs on the host, which reaches all. ``host`` is the host's address.
    ``routed`` is the network by which Traefik reaches replicas that are on several, where the agent
    was told; a replica's own label goes before it. ``apart`` is true where that host does not reach
    any: where it has their addresses too, they are somebody else's."""

    networks: frozenset[str] | None = None
    host: str = LOOPBACK
    routed: str | None = None
    apart: bool = False

    def sees(self, network: Network) -> bool:
        return self.networks is None or network.name in self.networks


@dataclass(frozen=True, slots=True)
class Container:
    """One container as it was inspected."""

    id: str
    name: str
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    exposed: tuple[int, ...]
    networks: tuple[Network, ...]
    network_mode: str
    state: ContainerState

    @property
    def is_replica(self) -> bool:
        return is_enabled(self.labels) and self.labels.get(ONE_OFF) != "True"

    def candidate(self, vantage: Vantage) -> Candidate:
        """The container as a declaration reads it."""
        address, addresses = self._addresses(vantage)
        network = self._routed(vantage)
        return Candidate(
            id=self.id,
            name=self.name,
            service=self.labels.get(SERVICE, self.name),
            settings={
                key.removeprefix(PREFIX): value
                for key, value in self.labels.items()
                if key.startswith(PREFIX)
            },
            address=address,
            addresses=addresses,
            routed_at=network.addresses[0] if network else None,
            exposed=self.exposed,
            environment=self.environment,
            routing={key: v for key, v in self.labels.items() if key.startswith("traefik.")},
        )

    def unrouted(self, vantage: Vantage) -> Notice | None:
        """A notice where Traefik may not reach a replica that it is to route to: nothing says which
        of several networks is Traefik's, or what says so names none of them.

        To be told the wrong one is an outage of the whole service, while all replicas are ready.
        """
        if not any(key.lower().startswith(ROUTED) for key in self.labels):
            return None
        joined = [network for network in self.networks if network.addresses]
        shared = [network for network in joined if vantage.sees(network)]
        key, told = self._told(vantage)
        if self._routed(vantage) or len(joined) < 2 or (told is None and len(shared) < 2):
            return None
        names = ", ".join(network.name for network in (joined if told else shared))
        chosen = self._ordered(vantage)[0].name
        problem = f"names none of its networks, which are {names}" if told else (
            f"is not set, and it is on several networks: {names}"
        )  # fmt: skip
        return Notice(
            about=self.name,
            key=key,
            value=told or "",
            problem=f"{problem}; Traefik is given its address on {chosen}",
            remedy="name the one that Traefik is on, as its providers.docker.network does: in "
            f"{ROUTED_BY}, or the label {TRAEFIK_NETWORK}",
        )

    def _told(self, vantage: Vantage) -> tuple[str, str | None]:
        """What says which network is Traefik's, and which one that is."""
        if TRAEFIK_NETWORK in self.labels:
            return TRAEFIK_NETWORK, self.labels[TRAEFIK_NETWORK]
        return "traefik.network", vantage.routed

    def _routed(self, vantage: Vantage) -> Network | None:
        """The network that Traefik is on, as far as that was told. Compose calls the ``front`` of a
        file ``PROJECT_front``."""
        _, told = self._told(vantage)
        names = (told, f"{self.labels.get(PROJECT)}_{told}")
        return next((n for n in self.networks if n.addresses and n.name in names), None)

    def _ordered(self, vantage: Vantage) -> list[Network]:
        """Its networks: those that the agent shares ahead of others, Traefik's ahead of those."""
        routed = self._routed(vantage)
        return sorted(
            (network for network in self.networks if network.addresses),
            key=lambda network: (not vantage.sees(network), network != routed, network.name),
        )

    def _addresses(self, vantage: Vantage) -> tuple[str | None, tuple[str, ...]]:
        """The address to dial, and all. Where no network is shared any is tried, and the check that
        fails names the remedy."""
        if self.network_mode == "host":
            return vantage.host, (vantage.host,)
        ordered = self._ordered(vantage)
        addresses = tuple(address for network in ordered for address in network.addresses)
        return (addresses[0] if addresses else None), addresses


def unreadable(container: Container) -> Notice | None:
    """A notice where the label that asks to be watched cannot be read."""
    value = container.labels.get(ENABLE, "false")
    try:
        boolean(value)
    except ValueError:
        return Notice(
            about=container.name,
            key=ENABLE,
            value=value,
            problem="cannot be read, so the container is not watched",
            remedy="write true or false",
        )
    return None


def parse(document: Document) -> Container:
    """The container of an inspect document. What is missing there reads as empty."""
    config = document.get("Config") or {}
    settings = document.get("NetworkSettings") or {}
    return Container(
        id=document["Id"],
        name=str(document.get("Name", "")).lstrip("/"),
        labels=config.get("Labels") or {},
        environment=_environment(config.get("Env") or ()),
        exposed=_exposed(config.get("ExposedPorts") or {}),
        networks=tuple(
            _network(name, attached or {})
            for name, attached in sorted((settings.get("Networks") or {}).items())
        ),
        network_mode=str((document.get("HostConfig") or {}).get("NetworkMode", "")),
        state=_state(document),
    )


def _environment(pairs: Sequence[str]) -> Mapping[str, str]:
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def _exposed(ports: Mapping[str, Any]) -> tuple[int, ...]:
    """TCP ports of ``{"3000/tcp": {}}``."""
    split = (port.partition("/") for port in ports)
    return tuple(sorted(int(n) for n, _, kind in split if kind == "tcp" and n.isdigit()))


def _network(name: str, attached: Document) -> Network:
    addresses = (attached.get("IPAddress"), attached.get("GlobalIPv6Address"))
    return Network(
        name,
        tuple(str(address) for address in addresses if address),
        str(attached.get("Gateway") or attached.get("IPv6Gateway") or ""),
    )


def _state(document: Document) -> ContainerState:
    state = document.get("State") or {}
    health = state.get("Health") or {}
    return ContainerState(
        status=cast("Any", state.get("Status", "dead")),
        pid=int(state.get("Pid", 0)),
        exit_code=int(state.get("ExitCode", 0)),
        oom_killed=bool(state.get("OOMKilled", False)),
        restart_count=int(document.get("RestartCount", 0)),
        started_at=_seconds(state.get("StartedAt", "")),
        finished_at=_seconds(state.get("FinishedAt", "")),
        error=str(state.get("Error", "")),
        health=health.get("Status"),
        restarted=_policy(document) not in ("", "no"),
    )


def _policy(document: Document) -> str:
    host = document.get("HostConfig") or {}
    return str((host.get("RestartPolicy") or {}).get("Name", ""))


def _seconds(text: str) -> float:
    """Seconds since the epoch; 0 for ``0001-01-01T00:00:00Z``, which is Go's *never*."""
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp())
    except ValueError:
        return 0.0
