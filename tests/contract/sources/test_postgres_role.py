"""The SQL of docs/postgres-role.md, run as it stands there, makes a role that suits the agent."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from healthagent.core.observation import PendingWorkflows, Unseen
from provision.local_postgres import LocalPostgres, find
from provision.paths import ROOT
from tests.contract.sources.postgres_server import (
    PASSWORD,
    ROLE,
    database,
    sourcing,
    superuser,
    told,
    unseen,
)

SHOP = "shop"
"""The database of the page."""

ROLE_IS_MADE, MAY_CONNECT, MAY_COUNT = re.findall(
    r"^```sql\n(.*?)^```$", (ROOT / "docs/postgres-role.md").read_text(), re.M | re.S
)
"""What the page says to run, in its order."""


class Psql:
    """psql on one database, as a superuser. Who is asked for a password types that of the tests."""

    def __init__(self, postgres: LocalPostgres, folder: Path) -> None:
        self._command: list[str | Path] = [
            find() / "bin" / "psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1",
            "--dbname", postgres.dsn.rpartition("/")[0] + f"/{SHOP}",
        ]  # fmt: skip
        self._script = folder / "script.sql"

    def run(self, sql: str) -> None:
        self._script.write_text(sql)
        subprocess.run(
            [*self._command, "--file", self._script],
            input=f"{PASSWORD}\n{PASSWORD}\n",
            text=True,
            check=True,
            timeout=60,
            start_new_session=True,  # with no terminal it reads the password from its input
        )


@pytest.fixture
def psql(postgres: LocalPostgres, tmp_path: Path) -> Iterator[Psql]:
    """On the page's database, from which ``CONNECT`` was revoked, with DBOS's table in it. The role
    of the other tests stands aside."""
    with superuser(postgres) as admin:
        admin.execute(f"ALTER ROLE {ROLE} RENAME TO aside")
        admin.execute(f"CREATE DATABASE {SHOP} OWNER app")
        admin.execute(f"REVOKE CONNECT ON DATABASE {SHOP} FROM PUBLIC")
        made = Psql(postgres, tmp_path)
        made.run(
            "CREATE SCHEMA dbos; CREATE TABLE dbos.workflow_status"
            " (status text, executor_id text, application_version text);"
            "INSERT INTO dbos.workflow_status VALUES ('PENDING', 'app-1', 'v1')"
        )
        yield made
        admin.execute(f"DROP DATABASE {SHOP} WITH (FORCE)")
        admin.execute(f"DROP ROLE IF EXISTS {ROLE}")
        admin.execute(f"ALTER ROLE aside RENAME TO {ROLE}")


async def test_each_part_gives_the_agent_what_the_page_says(
    postgres: LocalPostgres, psql: Psql
) -> None:
    shop = database(postgres, SHOP)
    app = f"postgresql://app:app@127.0.0.1:{postgres.port}/{SHOP}"
    async with sourcing() as source:
        assert (await unseen(source, shop)).code == "password", "there is no such role"

        psql.run(ROLE_IS_MADE)
        assert (await unseen(source, shop)).remedy == MAY_CONNECT.strip().removesuffix(";")

        psql.run(MAY_CONNECT)
        with psycopg.connect(app, application_name="dbos_transact_app-1_v1") as held:
            seen, pid = await told(source, shop), held.info.backend_pid
        backends = {backend.pid: backend for backend in seen.backends}
        assert all(backend.visible for backend in backends.values()), "it may see all connections"
        assert backends[pid].client_address == "127.0.0.1"
        assert isinstance(seen.pending, Unseen)
        assert seen.pending.remedy.replace('"', "") == "; ".join(
            MAY_COUNT.replace(";", "").strip().split("\n")
        )
        assert seen.limits.role_limits[ROLE] == 3

    psql.run(MAY_COUNT)
    async with sourcing() as source:  # a line counts each ten seconds: another counts now
        assert (await told(source, shop)).pending == (PendingWorkflows("app-1", "v1", 1),)


def test_the_role_may_have_three_sessions_and_no_more(postgres: LocalPostgres, psql: Psql) -> None:
    psql.run(ROLE_IS_MADE + MAY_CONNECT)
    dsn = f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{postgres.port}/{SHOP}"
    held = [psycopg.connect(dsn) for _ in range(3)]
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(dsn)
    finally:
        for connection in held:
            connection.close()
