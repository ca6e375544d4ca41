"""A running agent's own documents, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from healthagent.audit.evidence import Agent, Replica, Server, Verdict
from healthagent.core.masking import masked
from healthagent.core.observation import Unseen
from healthagent.core.target import Pools

Document = Mapping[str, Any]


def read(url: str, health: Document, budget: Document, services: Sequence[str]) -> Agent | Unseen:
    """What ``/health`` and ``/budget`` say of these services."""
    shares = {share["name"]: share for server in budget["servers"] for share in server["replicas"]}
    replicas = tuple(
        _replica(target, shares.get(target["name"], {}))
        for target in health["targets"]
        if target["service"] in services
    )
    if not replicas:
        return Unseen(
            f"the agent at {masked(url)} watches no replica of {' or '.join(services)}",
            "start the stack, and label the service healthagent.enable",
        )
    return Agent(
        url=masked(url),
        replicas=replicas,
        servers=tuple(_server(server) for server in budget["servers"]),
    )


def _replica(target: Document, share: Document) -> Replica:
    settings = target["settings"]
    address, port = (settings.get(key, {}).get("value") for key in ("address", "port"))
    address = settings.get("server", {}).get("value") or address  # which Traefik is told
    prisma, dbos = (settings.get(f"pool.{key}", {}).get("value") for key in ("prisma", "dbos"))
    return Replica(
        name=target["name"],
        id=target["id"],
        service=target["service"],
        ready=target["ready"],
        checks={
            check["name"]: Verdict(
                check["status"], check["code"], check["reason"], check["evidence"].get("status")
            )
            for check in target["checks"]
        },
        address=address,
        port=port,
        held=share.get("held"),
        pools=Pools(prisma, dbos),
    )


def _server(server: Document) -> Server:
    fields = ("planned", "allowed", "held", "agent", "others", "surge", "fits")
    return Server(
        name=server["server"],
        replicas=frozenset(share["name"] for share in server["replicas"]),
        **{field: server[field] for field in fields},
    )
