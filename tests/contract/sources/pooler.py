"""A real PgBouncer between an app and Postgres."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from typing import Literal

import pytest

from provision import apt
from provision.errors import ProvisionError
from provision.local import LocalProcess, free_port, new_folder
from provision.local_postgres import LocalPostgres
from provision.progress import Progress
from tests.contract.sources.postgres_server import PASSWORD, PATIENCE, ROLE

PROGRAM = "/usr/sbin/pgbouncer"

LOGINS = f'"app" "app"\n"{ROLE}" "{PASSWORD}"\n'

SETTINGS = """
[databases]
* = host=127.0.0.1 port={upstream} {shared}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/logins
pool_mode = {mode}
default_pool_size = {connections}
ignore_startup_parameters = {ignored}
"""


@contextlib.contextmanager
def pooling(
    postgres: LocalPostgres,
    mode: Literal["session", "transaction"],
    connections: int,
    shared: str = "",
    ignored: str = "",
) -> Iterator[int]:
    """The port of a PgBouncer that keeps so many connections to the server for each role, or for
    all roles together where a login is ``shared``; what clients ask for as they begin and is
    ``ignored`` it does not refuse. Skips where there is none and none can be installed."""
    _install()
    folder, port = new_folder("pgbouncer"), free_port()
    settings = folder / "pgbouncer.ini"
    (folder / "logins").write_text(LOGINS)
    settings.write_text(
        SETTINGS.format(
            upstream=postgres.port,
            port=port,
            folder=folder,
            mode=mode,
            connections=connections,
            shared=shared,
            ignored=ignored,
        )
    )
    process = LocalProcess(
        [PROGRAM, settings],
        log=folder / "log",
        user="nobody" if os.geteuid() == 0 else None,  # it refuses to be root
    )
    try:
        process.wait_until(lambda: _listens(port), timeout=PATIENCE)
        yield port
    finally:
        process.stop()
        shutil.rmtree(folder)


def _install() -> None:
    try:
        if shutil.which(PROGRAM) is None:
            with Progress().step("PgBouncer") as step:
                apt.install(step, "pgbouncer")
    except ProvisionError as error:
        pytest.skip(f"no PgBouncer: {error}")


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
