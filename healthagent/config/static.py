"""Static targets: replicas that the file declares and no Docker tells of."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from healthagent.config.tables import StaticTarget
from healthagent.core.declaration import Candidate, declare
from healthagent.core.notice import Notice
from healthagent.core.options import boolean
from healthagent.core.target import DatabaseRef, Target

LOOPBACK = ("127.0.0.1", "::1")


def static_targets(
    tables: Iterable[StaticTarget],
    databases: Mapping[str, DatabaseRef],
    defaults: Mapping[str, str],
) -> tuple[tuple[Target, ...], tuple[Notice, ...]]:
    """The targets that are enabled, and a notice for each setting that cannot be read."""
    targets: list[Target] = []
    notices: list[Notice] = []
    for table in tables:
        if boolean(table.options.get("enable", "true")):
            target, unreadable = declare(_candidate(table), databases, defaults)
            targets.append(target)
            notices += unreadable
    return tuple(targets), tuple(notices)


def pidfiles(tables: Iterable[StaticTarget]) -> Mapping[str, Path]:
    """The file that names a target's process, by the target's id."""
    return {_id(table): table.pidfile for table in tables if table.pidfile is not None}


def _id(table: StaticTarget) -> str:
    return f"static:{table.name}"


def _candidate(table: StaticTarget) -> Candidate:
    where = urlsplit(table.url or "")
    port = {"port": str(where.port)} if where.port else {}
    url = table.database_url
    database = {"DATABASE_URL": url.get_secret_value()} if url else {}
    return Candidate(
        id=_id(table),
        name=table.name,
        service=table.service or table.name,
        settings={**port, **table.options},
        where="[[targets]]",
        address=where.hostname,
        addresses=table.addresses or _addresses(where.hostname),
        environment=table.environment | database,
        routing={f"traefik.{key}": value for key, value in table.traefik.items()},
        pid=table.pid,
    )


def _addresses(host: str | None) -> tuple[str, ...]:
    """What Postgres sees a replica under that is reached as ``host``; no name is looked up.

    A local process may come by either loopback address.
    """
    if host is None or host == "localhost":
        return LOOPBACK
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ()
    return LOOPBACK if address.is_loopback else (str(address),)
