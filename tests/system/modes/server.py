"""A Postgres of the modes' own beside the stack's, so that no healthy replica depends on it."""

from __future__ import annotations

from typing import Any

import psycopg

from examples.quickstart.tour.condition import Seen, until
from provision.engine import PROJECT
from provision.images import POSTGRES
from tests.system.quickstart import Quickstart, flags

START = 120.0
CLEAN = "standby.signal"
DRAG = "drags"
TAKEN = """
SELECT (SELECT count(*) FROM pg_stat_activity JOIN pg_roles ON rolname = usename
        WHERE NOT rolsuper AND usename <> %(but)s),
       current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int
"""
"""Connections that ordinary roles have, but for one of them, and may have. That none is left is no
proof: one that has ended is still counted while its process ends."""


class Server:
    """One Postgres container, with the agent's role and the app's on it."""

    def __init__(self, stack: Quickstart, name: str, max_connections: int) -> None:
        self._stack = stack
        self._name = f"{stack.project}-{name}"
        self._max_connections = max_connections
        self._held: list[psycopg.Connection[Any]] = []

    @property
    def host(self) -> str:
        return self._name

    def start(self) -> None:
        """Start it; :meth:`prepare` waits for it."""
        self._docker(
            "run", "--detach", "--name", self._name, "--network", f"{self._stack.project}_default",
            *flags("--label", {PROJECT: self._stack.project}),
            *flags("--env", {"POSTGRES_PASSWORD": self._stack.secret("postgres")}),
            POSTGRES.tag, "postgres", "-c", f"max_connections={self._max_connections}",
            "-c", "superuser_reserved_connections=3", "-c", "fsync=off",
        )  # fmt: skip

    def prepare(self) -> None:
        self.wait_until_open()
        secret = self._stack.secret("healthagent")
        self.query(f"CREATE ROLE healthagent LOGIN PASSWORD '{secret}' IN ROLE pg_monitor")

    def create_database(self, name: str) -> str:
        """Make a database, and the role of its name that owns it; return its URL."""
        self.query(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
        self.query(f"CREATE DATABASE {name} OWNER {name}")
        return self.url(name)

    def url(self, database: str, *, role: str = "", port: int = 5432, host: str = "") -> str:
        who = role or database
        return f"postgresql://{who}:{who}@{host or self._name}:{port}/{database}"

    def query(self, sql: str) -> None:
        with self._connect("postgres", self._stack.secret("postgres")) as connection:
            connection.execute(sql.encode())

    def query_as(self, role: str, sql: str) -> None:
        """Ask as a role of :meth:`create_database`, in its database."""
        with self._connect(role, role, role) as connection:
            connection.execute(sql.encode())

    def wait_until_open(self) -> None:
        def look() -> Seen:
            try:
                self.query("SELECT 1")
            except (psycopg.OperationalError, KeyError) as error:
                return Seen(False, str(error))
            return Seen(True, "")

        until(f"{self._name} takes connections", look, within=START)

    def wait_until_left(self, role: str) -> None:
        until(f"{role} has left {self._name}", lambda: self._has_left(role), within=START)

    def _has_left(self, role: str) -> Seen:
        sessions = f"SELECT pid FROM pg_stat_activity WHERE usename = '{role}'"
        with self._connect("postgres", self._stack.secret("postgres")) as connection:
            left = connection.execute(sessions.encode()).fetchall()
        return Seen(not left, f"{len(left)} sessions")

    # Faults

    def stop(self) -> None:
        self._docker("stop", "--time", "5", self._name)

    def start_again(self) -> None:
        self._stack.engine.start(self._name)

    def pause(self) -> None:
        self._stack.engine.pause(self._name)

    def unpause(self) -> None:
        self._docker("unpause", self._name)

    def leave_network(self) -> None:
        self._docker(
            "network", "disconnect", "--force", f"{self._stack.project}_default", self._name
        )

    def join_network(self) -> None:
        self._docker("network", "connect", f"{self._stack.project}_default", self._name)

    def fill(self, role: str) -> None:
        """Take every connection that an ordinary role may have."""
        while True:
            try:
                self._held.append(self._connect(role, role))
            except psycopg.OperationalError as error:
                assert "remaining connection slots" in str(error), error
                return

    def shut_out(self, role: str, by: str) -> None:
        """Take every connection, those of ``role`` too. It dials anew as soon as its session is
        ended, and may be the quicker one: then again."""

        def look() -> Seen:
            self.end_sessions_of(role)
            self.fill(by)
            with self._connect("postgres", self._stack.secret("postgres")) as connection:
                found = connection.execute(TAKEN, {"but": role}).fetchone()
            assert found is not None
            taken, allowed = found
            return Seen(taken == allowed, f"{taken} of {allowed}")

        until(f"others than {role} have all connections to {self._name}", look, within=START)

    def hold(self, count: int) -> None:
        """Take connections as somebody whom nobody watches."""
        password = self._stack.secret("postgres")
        self._held += [self._connect("postgres", password) for _ in range(count)]

    def lock(self, role: str, table: str) -> None:
        """Let all that ask for a table of that role's database wait."""
        holder = self._connect(role, role, role)
        holder.execute(f"BEGIN; LOCK TABLE {table}".encode())
        self._held.append(holder)

    def empty(self) -> None:
        for connection in self._held:
            connection.close()
        self._held.clear()

    def end_sessions_of(self, role: str) -> None:
        self.query(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
        )

    def drag(self) -> None:
        """What the agent asks waits for a lock most of the time, and never as long as its timeout:
        0.8 s. In between it may dial, which would wait too, should a busy machine have made it
        late."""
        script = (
            "DO $$ BEGIN FOR i IN 1..600 LOOP LOCK TABLE pg_catalog.pg_database;"
            " PERFORM pg_sleep(0.55); COMMIT; PERFORM pg_sleep(0.35); COMMIT; END LOOP; END $$"
        )
        self._docker(
            "exec", "--detach", "--user", "postgres", "--env", f"PGAPPNAME={DRAG}", self._name,
            "psql", "--command", script,
        )  # fmt: skip

    def let_go(self) -> None:
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name = '{DRAG}'"
        )

    def take_no_writes(self) -> None:
        """As hosted servers do before their disk is full."""
        self._settle("SET default_transaction_read_only = on")

    def take_writes(self) -> None:
        self._settle("RESET default_transaction_read_only")

    def _settle(self, change: str) -> None:
        with self._connect("postgres", self._stack.secret("postgres")) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER SYSTEM {change}".encode())
            connection.execute("SELECT pg_reload_conf()")

    def become_standby(self, *, hot: bool) -> None:
        """Start anew as a standby of nobody: for ever in recovery, and closed unless ``hot``."""
        self.query(f"ALTER SYSTEM SET hot_standby = {'on' if hot else 'off'}")
        self._shell(f"touch $PGDATA/{CLEAN}")
        self._docker("restart", "--time", "5", self._name)

    def become_primary(self) -> None:
        self._shell(f"rm -f $PGDATA/{CLEAN}; sed -i /hot_standby/d $PGDATA/postgresql.auto.conf")
        self._docker("restart", "--time", "5", self._name)

    def _connect(
        self, user: str, password: str, database: str = "postgres"
    ) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=self._stack.address(self._name),
            user=user,
            password=password,
            dbname=database,
            autocommit=True,
            connect_timeout=30,
        )

    def _shell(self, script: str) -> None:
        self._docker("exec", self._name, "sh", "-c", script)

    def _docker(self, *arguments: str) -> str:
        return self._stack.engine.docker(*arguments)
