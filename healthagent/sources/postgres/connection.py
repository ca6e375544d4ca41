"""How the agent connects: bounded in what it may cost the server, and never waited for in vain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import monotonic
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg.waiting import wait_async

from healthagent.core.credentials import Credentials
from healthagent.core.target import DatabaseRef
from healthagent.names import Names
from healthagent.tcp_clock import answered_in, sent_again

SERVER_SETTINGS = {
    "search_path": "pg_catalog",
    "statement_timeout": "5s",
    "lock_timeout": "1s",
}
"""Bounds on what the server does for an agent that vanished in the middle of a round."""


def lenient(data: str | bytes) -> Any:
    """JSON from the server, in which a name need not be UTF-8: the names of roles belong to all
    databases of a server, each in the encoding of the one in which it was given."""
    return json.loads(data if isinstance(data, str) else data.decode(errors="replace"))


ADAPTERS = AdaptersMap(psycopg.adapters)
set_json_loads(lenient, ADAPTERS)

UNACKNOWLEDGED = 10_000
"""Milliseconds after which a server that acknowledges nothing is given up, a dial included."""

OF_SEVERAL = 1_000
"""The same for each address of a name that has several: the next one may have the server. Linux
looks at it when it sends again, which is after a second at the soonest."""

CONNECTION = {
    "application_name": "healthagent",
    "client_encoding": "utf8",
    "options": " ".join(f"-c {name}={value}" for name, value in SERVER_SETTINGS.items()),
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": UNACKNOWLEDGED,
    "autocommit": True,
    "row_factory": dict_row,
    "context": ADAPTERS,
}
"""TLS is libpq's to choose: its variables, such as PGSSLMODE and PGSSLROOTCERT, hold."""

READ_ONLY = (
    "SELECT set_config('default_transaction_read_only', 'on', false)"
    " WHERE pg_backend_pid() = {backend}"
)
"""Set once the session is there, not as it begins: so pg_settings still tells by what the sessions
of others go (reset_val). Nothing is set behind a pooler, whose clients have another pid than the
server's session (pgbouncer(1)): that session is an app's next."""

T = TypeVar("T")


async def addresses(ref: DatabaseRef, names: Names) -> tuple[str, ...]:
    """The server's; none where it is a Unix socket. Raises ``Unresolved``, or ``OSError``."""
    return () if ref.host.startswith("/") else await names.addresses(ref.host)


def parameters(
    ref: DatabaseRef, login: Credentials, addresses: Sequence[str] = ()
) -> dict[str, Any]:
    """What a connection to a database takes, the password included. ``addresses`` are the host's,
    dialled in turn; the host's name is still the one that its certificate must bear."""
    several = {"tcp_user_timeout": OF_SEVERAL} if len(addresses) > 1 else {}
    return (
        CONNECTION
        | several
        | {
            "host": ",".join([ref.host] * len(addresses)) or ref.host,
            "hostaddr": ",".join(addresses) or None,
            "port": ref.port,
            "dbname": ref.name,
            "user": login.user,
            "password": login.password,
        }
    )


class Connection(AsyncConnection[DictRow]):
    """A connection whose waits end as soon as they are cancelled.

    psycopg's own first asks the server to cancel the query and waits until it did, which a server
    that hangs never does. So whoever holds one that was cancelled must close it: it is not idle.
    """

    @classmethod
    async def connect(cls, conninfo: str = "", **parameters: Any) -> Self:
        """A connection on which nothing can be written, unless a pooler stands between."""
        made = await super().connect(conninfo, **parameters)
        try:
            await made.execute(READ_ONLY.format(backend=made.info.backend_pid).encode())
        except BaseException:
            await made.close()
            raise
        return made

    @property
    def is_idle(self) -> bool:
        return self.info.transaction_status == TransactionStatus.IDLE

    async def only_row(self, query: str) -> tuple[DictRow, float]:
        """The row that answers a query, and the seconds that the server took for it."""
        fd = self.pgconn.socket
        before, begun = sent_again(fd), monotonic()
        cursor = await self.execute(query.encode())
        took = answered_in(fd, monotonic() - begun, before)
        row = await cursor.fetchone()
        if row is None:
            raise psycopg.DataError("the server gave no row")
        return row, took

    async def wait(self, gen: PQGen[T], interval: float = 1.0, timeout: float | None = None) -> T:
        return await wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
