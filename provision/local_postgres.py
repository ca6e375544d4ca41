"""A PostgreSQL server of one's own, with no container and no root."""

import contextlib
import os
import pwd
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from provision import tools
from provision.command import run
from provision.errors import CommandFailed, Unavailable
from provision.local import LocalProcess, becoming, free_port, new_folder

_DEBIAN: Final = Path("/usr/lib/postgresql")
_OLDEST: Final = 15
_READY: Final = 60.0
_SCRIPT: Final = 60.0


def find() -> Path:
    """The root of a PostgreSQL installation: Debian's newest, else the one from PyPI.

    psql before 15 does not know ``\\getenv``, so older ones do not count. Raises Unavailable.
    """
    versions = [
        int(path.parent.parent.name)
        for path in _DEBIAN.glob("*/bin/postgres")
        if path.parent.parent.name.isdigit()
    ]
    newest = max(versions, default=0)
    if newest >= _OLDEST:
        return _DEBIAN / str(newest)
    try:
        return tools.postgres()
    except Unavailable as error:
        raise Unavailable(
            f"no PostgreSQL {_OLDEST} or newer was found",
            "install Debian's package `postgresql`, or run `make venv`",
        ) from error


class LocalPostgres:
    """A server on a free port of 127.0.0.1 with its data in a temporary folder.

    Like the official image, it begins with one superuser, one database and SQL scripts::

        with LocalPostgres(database="app", settings={"max_connections": "40"}) as postgres:
            connect(postgres.dsn)
            postgres.stop()   # the data and the port are kept
            postgres.start()

    The data is thrown away at the end, so nothing is synced to the disk. As root the server runs
    as ``postgres`` or ``nobody``, since it refuses to be root.
    """

    def __init__(
        self,
        *,
        user: str = "postgres",
        password: str = "postgres",
        database: str = "postgres",
        scripts: Sequence[Path] = (),
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.user = user
        self.password = password
        self.database = database
        self.port = 0
        self._scripts = scripts
        self._settings = {"fsync": "off", "listen_addresses": "127.0.0.1", **(settings or {})}
        self._environment = dict(environment or {})
        self._process: LocalProcess | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._folder = new_folder("postgres")
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._account = _account()
            self._bin = self._programs()
            self._make_cluster()
            self.port = free_port()
            stack.callback(self.stop)
            self.start()
            self._run_scripts()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def dsn(self) -> str:
        """A URL that reaches the database as the superuser."""
        login = f"{quote(self.user)}:{quote(self.password, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{quote(self.database)}"

    @property
    def pid(self) -> int:
        """The postmaster's pid. Raises LookupError while the server is stopped."""
        if self._process is None:
            raise LookupError("the server is stopped")
        return self._process.pid

    def start(self) -> None:
        """Start the server and return once it takes connections. Raises ProvisionError."""
        if self._process is not None:
            return
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self._settings.items()]
        process = LocalProcess(
            [
                self._bin / "postgres",
                "-D", self._data,
                "-p", str(self.port),
                "-k", self._data,
                *options,
            ],
            log=self._folder / "postgres.log",
            directory=self._folder,
            user=self._account,
            on_stop=signal.SIGINT,
            on_orphaned=signal.SIGQUIT,
        )  # fmt: skip
        process.wait_until(self._takes_connections, timeout=_READY)
        self._process = process

    def stop(self) -> None:
        """Stop the server at once (PostgreSQL's fast shutdown); harmless when it is stopped."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _programs(self) -> Path:
        """The folder of the server's programs, where the account that runs them can reach it."""
        root = find()
        if self._account is not None and not root.is_relative_to("/usr"):
            # A checkout below /root is closed to everybody else.
            shutil.copytree(root, self._folder / "pg", symlinks=True)
            root = self._folder / "pg"
        return root / "bin"

    def _make_cluster(self) -> None:
        secret = self._folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password + "\n")
        self._data.mkdir(mode=0o700)
        if self._account is not None:
            for path in (secret, self._data):
                shutil.chown(path, self._account)
        run(
            [
                "setpriv", *becoming(self._account), "--",
                self._bin / "initdb", "--pgdata", self._data,
                "--username", self.user, "--pwfile", secret, "--auth", "scram-sha-256",
                "--encoding", "UTF8", "--locale", "C", "--no-sync",
            ],
            timeout=_READY,
            directory=self._folder,
        )  # fmt: skip

    def _run_scripts(self) -> None:
        if self.database != "postgres":
            name = '"' + self.database.replace('"', '""') + '"'
            self._psql("postgres", "--command", f"CREATE DATABASE {name}")
        for script in self._scripts:
            self._psql(self.database, "--file", str(script))

    def _psql(self, database: str, *arguments: str) -> None:
        run(
            [
                self._bin / "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1",
                "--host", "127.0.0.1", "--port", str(self.port),
                "--username", self.user, "--dbname", database, *arguments,
            ],
            timeout=_SCRIPT,
            environment=self._environment | {"PGPASSWORD": self.password},
        )  # fmt: skip

    def _takes_connections(self) -> bool:
        try:
            run(
                [self._bin / "pg_isready", "--quiet", "-h", "127.0.0.1", "-p", str(self.port)],
                timeout=5,
            )
        except CommandFailed:
            return False
        return True


def _account() -> str | None:
    """The user to run the server as; None for the one who asks."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"
