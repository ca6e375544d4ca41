"""Which database a Postgres URL names."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from healthagent.core.options import port
from healthagent.core.target import DatabaseRef

POSTGRES_PORT = 5432

_POSTGRES_URL = re.compile(
    r"postgres(?:ql)?://"
    r"(?:(?P<user>[^:/?#]*)(?::[^/?#]*)?@)?"
    r"(?:\[(?P<ipv6>[^\]@/?#]*)\]|(?P<host>[^:@/?#\[\]]*))"
    r"(?::(?P<port>[0-9]*))?"
    r"(?:/(?P<name>[^?#]*))?"
    r"(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.DOTALL | re.IGNORECASE,
)


def database_of(url: str) -> DatabaseRef:
    """Host, port and name of a Postgres URL; its password stays behind.

    Raises ``ValueError`` where it is no such URL. As in libpq (its manual, "Connection URIs") the
    host may stand in the query, and the name defaults to the user's. As in a browser's URL, which
    the JavaScript clients go by, a password may hold any character but ``/``, ``?`` and ``#``.
    """
    parts = _POSTGRES_URL.fullmatch(url.strip())
    if parts is None:
        raise ValueError("no Postgres URL")
    query = parse_qs(parts["query"] or "")
    host = parts["ipv6"] or unquote(parts["host"]).lower() or query.get("host", [""])[-1]
    number = parts["port"] or query.get("port", [str(POSTGRES_PORT)])[-1]
    database = parts["name"] or query.get("dbname", [""])[-1] or parts["user"]
    if not host or not database:
        raise ValueError("no Postgres URL")
    return DatabaseRef(host, port(number), unquote(database))


def role_of(url: str) -> str | None:
    """The role that a Postgres URL names; ``None`` where it names none, or is no such URL."""
    parts = _POSTGRES_URL.fullmatch(url.strip())
    return unquote(parts["user"]) if parts and parts["user"] else None
