"""psycopg's errors in the words of this project: the one place where the two meet.

A server that gives no session is down. What is the agent's own want (its password, its rights, its
CONNECTION LIMIT) is no fault of the server's and none of the app's: it is unseen, with a remedy.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from healthagent.core.observation import DatabaseDown, DatabaseError, DatabaseSession, Unseen
from healthagent.core.target import DatabaseRef

# libpq does not hand out the SQLSTATE of a refused connection, so it is found by the message, as
# PostgreSQL writes it in English (src/backend/{utils/init,libpq,postmaster}). Another language
# reads "rejected".
SQLSTATE_OF_MESSAGE = {
    "authentication failed for user": "28P01",
    "no password supplied": "28P01",
    "pg_hba.conf": "28000",
    "is not permitted to log in": "28000",
    "permission denied for database": "42501",
    "unsupported startup parameter": "08P01",  # PgBouncer's own words
    "too many connections for": "53300",
    "too many clients already": "53300",
    "remaining connection slots are reserved": "53300",
    "the database system is": "57P03",
    "not currently accepting connections": "55000",
    "cannot connect to invalid database": "55000",
    'role "': "28000",
    'database "': "3D000",
    "terminating connection due to administrator command": "57P01",
}

ERROR_OF_SQLSTATE: Mapping[str, DatabaseError] = {
    "3D000": "absent",
    "53300": "exhausted",
    "55000": "closed",
    "55P03": "timeout",
    "57014": "timeout",
    "57P01": "starting",
    "57P02": "starting",
    "57P03": "starting",
}

PHASE_OF_MESSAGE: Mapping[str, DatabaseError] = {
    "in recovery mode": "recovering",
    "shutting down": "stopping",
    "administrator command": "stopping",
}
"""What a server without a session for anybody says of itself; else it is starting."""

ERROR_OF_MESSAGE: Mapping[str, DatabaseError] = {
    os.strerror(errno.ECONNREFUSED): "refused",
    os.strerror(errno.ENOENT): "refused",  # a Unix socket that is not there
    os.strerror(errno.EHOSTUNREACH): "unreachable",
    os.strerror(errno.ENETUNREACH): "unreachable",
    os.strerror(errno.ETIMEDOUT): "timeout",
    os.strerror(errno.ECONNRESET): "lost",
    "SSL SYSCALL error": "lost",  # the connection below TLS failed
    "SSL connection has been closed": "lost",
    "unexpected eof": "lost",  # OpenSSL's own words for an end without a farewell
    "invalid response to SSL negotiation": "rejected",  # no Postgres at all
    "SSL": "tls",
    "certificate": "tls",
    "server closed the connection": "lost",
}

NO_SOCKET = (os.strerror(errno.EMFILE), "no error details available")
"""What is said where no file descriptor is left: psycopg's own words, where libpq 18 finds none for
a socket that it could not make."""

T = TypeVar("T")


def translate(
    error: psycopg.Error | UnicodeError, ref: DatabaseRef, user: str, elapsed: float
) -> DatabaseSession | Unseen:
    """What an error means that a round of ``elapsed`` seconds, by role ``user``, ended with."""
    if isinstance(error, UnicodeError):
        return Unseen(f"what {ref} told the agent is no UTF-8: {error}")
    message = _message(error)
    sqlstate = getattr(error, "sqlstate", None) or _find(SQLSTATE_OF_MESSAGE, message) or ""
    own = _own_want(sqlstate, message, user, ref)
    return own or down(ref, _kind(error, sqlstate, message), elapsed, message, sqlstate)


def down(
    ref: DatabaseRef, error: DatabaseError, elapsed: float, detail: str = "", sqlstate: str = ""
) -> DatabaseSession:
    return DatabaseSession(DatabaseDown(ref, error, detail, elapsed, sqlstate))


def no_files(ref: DatabaseRef) -> Unseen:
    return Unseen(
        f"the agent cannot connect to {ref.server}: it has no file descriptor left",
        "raise its limit of open files (nofile)",
    )


def _own_want(sqlstate: str, message: str, user: str, ref: DatabaseRef) -> Unseen | None:
    """What keeps the agent alone from looking: no fault of the server's, and none of the app's."""
    server = ref.server
    if any(sign in message for sign in NO_SOCKET):
        return no_files(ref)
    match sqlstate:
        case "28P01":
            return Unseen(
                f"{server} refuses the password of the agent's role {user!r}",
                "correct it, or make the role as docs/postgres-role.md says",
                "password",
            )
        case "28000" if "pg_hba.conf" in message:
            return Unseen(
                f"{server} has no pg_hba.conf entry for the agent: {message}",
                f"add one for role {user!r}",
                "not_admitted",
            )
        case "28000":
            return Unseen(
                f"{server} does not let the agent in: {message}",
                f"make the role {user!r} as docs/postgres-role.md says",
                "not_admitted",
            )
        case "08P01" if "startup parameter" in message:
            return Unseen(
                f"{server} is a pooler, and does not take the agent's settings: {message}",
                "name Postgres' own host in [databases.NAME], and NAME in healthagent.database",
                "not_admitted",
            )
        case "42501" if "for database" in message:
            return Unseen(
                f"the agent's role {user!r} may not connect to {ref}",
                f"GRANT CONNECT ON DATABASE {ref.name} TO {user}",
                "not_granted",
            )
        case "42501":
            return Unseen(
                f"the agent's role {user!r} lacks a right: {message}",
                f"GRANT pg_monitor TO {user}",
                "not_granted",
            )
        case "53300" if "connections for role" in message:
            return Unseen(
                f"the agent's role {user!r} is at its CONNECTION LIMIT",
                f"end its other sessions, or ALTER ROLE {user} CONNECTION LIMIT 3, "
                "and 3 more for each further database that it looks at",
                "role_limit",
            )
    return None


def _kind(error: Exception, sqlstate: str, message: str) -> DatabaseError:
    if isinstance(error, PoolTimeout):
        return "timeout"
    kind = ERROR_OF_SQLSTATE.get(sqlstate)
    if kind == "starting":
        return _find(PHASE_OF_MESSAGE, message) or kind
    return kind or _find(ERROR_OF_MESSAGE, message) or "rejected"


def _message(error: Exception) -> str:
    """The first line, in the server's own words: without where it was dialled and by whom. psycopg
    begins with the last of a host's addresses: where only another had a server, that one's word."""
    lines = str(error).splitlines() or [type(error).__name__]
    said = next((line for line in lines if "FATAL:" in line), lines[0])
    return said.rpartition(" failed: ")[2].removeprefix("FATAL:").strip()


def _find(meanings: Mapping[str, T], message: str) -> T | None:
    """The meaning of the first phrase that occurs in a message."""
    return next((meaning for phrase, meaning in meanings.items() if phrase in message), None)
