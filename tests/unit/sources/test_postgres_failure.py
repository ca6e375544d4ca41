"""What each refusal of a Postgres server means, by its message as an English server writes it."""

from __future__ import annotations

import psycopg
import pytest

from healthagent.core.observation import DatabaseDown, DatabaseSession, Unseen
from healthagent.core.target import DatabaseRef
from healthagent.sources.postgres.failure import translate

REF = DatabaseRef("db", 5432, "shop")
RESERVED = "FATAL:  remaining connection slots are reserved for"
"""How a server that is full begins. PostgreSQL 16 and later go on in other words than 15."""


def test_what_cannot_be_read_is_the_agents_own_want_and_no_name_of_a_host() -> None:
    error = UnicodeDecodeError("utf-8", b"\xfc", 0, 1, "invalid start byte")
    seen = translate(error, REF, "healthagent", 0.1)
    assert isinstance(seen, Unseen), seen
    assert "db:5432/shop" in seen.reason
    assert "UTF-8" in seen.reason


def translated(message: str) -> DatabaseDown | Unseen:
    said = f'connection failed: connection to server at "10.0.0.2", port 5432 failed: {message}'
    seen = translate(psycopg.OperationalError(said), REF, "healthagent", 0.1)
    if isinstance(seen, DatabaseSession):
        assert isinstance(seen.outcome, DatabaseDown)
        return seen.outcome
    return seen


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("FATAL:  the database system is starting up", "starting"),
        ("FATAL:  the database system is not yet accepting connections", "starting"),
        ("FATAL:  the database system is in recovery mode", "recovering"),
        ("FATAL:  the database system is shutting down", "stopping"),
        ("FATAL:  terminating connection due to administrator command", "stopping"),
        ('FATAL:  database "shop" does not exist', "absent"),
        ('FATAL:  database "shop" is not currently accepting connections', "closed"),
        ('FATAL:  cannot connect to invalid database "shop"', "closed"),
        ("FATAL:  sorry, too many clients already", "exhausted"),
        ('FATAL:  too many connections for database "shop"', "exhausted"),
        (f"{RESERVED} non-replication superuser connections", "exhausted"),
        (f"{RESERVED} roles with the SUPERUSER attribute", "exhausted"),
        (
            f'{RESERVED} roles with privileges of the "pg_use_reserved_connections" role',
            "exhausted",
        ),
        ("Connection refused", "refused"),
        ("No route to host", "unreachable"),
        ("SSL error: certificate verify failed", "tls"),
        ("server closed the connection unexpectedly", "lost"),
        ("SSL SYSCALL error: Connection reset by peer", "lost"),
        ("SSL SYSCALL error: EOF detected", "lost"),
        ("SSL connection has been closed unexpectedly", "lost"),
        ("SSL error: unexpected eof while reading", "lost"),
        ("FATAL:  tut mir leid, schon zu viele Verbindungen", "rejected"),
    ],
)
def test_each_failure_of_the_server_has_its_own_name(message: str, error: str) -> None:
    seen = translated(message)
    assert isinstance(seen, DatabaseDown), seen
    assert seen.error == error


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ('FATAL:  password authentication failed for user "healthagent"', "correct it"),
        ('FATAL:  role "healthagent" does not exist', "make the role"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.9"', "add one"),
        ('FATAL:  permission denied for database "shop"', "GRANT CONNECT ON DATABASE shop"),
        ('FATAL:  too many connections for role "healthagent"', "CONNECTION LIMIT 3"),
        ("FATAL:  unsupported startup parameter: options", "name Postgres' own host"),
    ],
)
def test_what_is_the_agents_own_want_is_unseen_and_names_the_remedy(
    message: str, remedy: str
) -> None:
    seen = translated(message)
    assert isinstance(seen, Unseen), seen
    assert remedy in seen.remedy
