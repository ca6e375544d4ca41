"""The quickstart's stack as processes on this machine, for where there is no Docker Engine.

The same app, the same SQL, Traefik by the same provider; what Compose would do is done here.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from provision import app, tools
from provision.local import LocalProcess, answers, free_port, new_folder
from provision.local_postgres import LocalPostgres
from provision.local_traefik import LocalTraefik
from provision.progress import Progress

HERE: Final = Path(__file__).resolve().parent.parent
REPLICAS: Final = ("app-1", "app-2", "app-3")
PRISMA_POOL_MAX: Final = 5
DBOS_POOL_MAX: Final = 3
_READY: Final = 60.0


@dataclass(frozen=True, slots=True)
class Replica:
    """One process of the app."""

    name: str
    process: LocalProcess
    url: str


class LocalStack:
    """Postgres, three replicas, the agent and Traefik on free ports of 127.0.0.1.

    ::

        with LocalStack() as stack:
            stack.freeze("app-2")
            stack.stop_database()

    Everything ends with the block, or with the process that runs it, however that ends.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress or Progress()
        self.agent_url = ""
        self.replicas: dict[str, Replica] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._folder = new_folder("quickstart")
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            source = app.prepare(self._progress)
            with self._progress.step("PostgreSQL") as step:
                self._postgres = stack.enter_context(self._make_postgres())
                step.outcome = f"127.0.0.1:{self._postgres.port}"
            with self._progress.step("the app") as step:
                for name in REPLICAS:
                    self.replicas[name] = replica = self._start_replica(name, source)
                    stack.callback(replica.process.stop)
                step.outcome = ", ".join(replica.url for replica in self.replicas.values())
            with self._progress.step("healthagent") as step:
                agent = self._start_agent()
                stack.callback(agent.stop)
                step.outcome = self.agent_url
            with self._progress.step("Traefik") as step:
                self._traefik = stack.enter_context(LocalTraefik(self._provider()))
                step.outcome = self._traefik.url
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
    def url(self) -> str:
        """Where Traefik takes the users' requests."""
        return self._traefik.url

    @property
    def incarnations(self) -> dict[str, str]:
        """What would change if a replica were restarted, by its name; empty for one that ended."""
        return {
            name: str(replica.process.pid) if replica.process.running else ""
            for name, replica in self.replicas.items()
        }

    def freeze(self, replica: str) -> None:
        """Stop the replica's process where it stands: its port still accepts, nobody answers."""
        os.kill(self.replicas[replica].process.pid, signal.SIGSTOP)

    def thaw(self, replica: str) -> None:
        """Let a frozen replica go on."""
        os.kill(self.replicas[replica].process.pid, signal.SIGCONT)

    def stop_database(self) -> None:
        """Shut Postgres down."""
        self._postgres.stop()

    def start_database(self) -> None:
        """Bring Postgres back, with its data and on its port."""
        self._postgres.start()

    def _make_postgres(self) -> LocalPostgres:
        self._app_password = secrets.token_hex(24)
        self._agent_secret = self._folder / "healthagent"
        self._agent_secret.touch(mode=0o600)
        self._agent_secret.write_text(secrets.token_hex(24))
        return LocalPostgres(
            password=secrets.token_hex(24),
            scripts=[HERE / "initdb.sql"],
            settings={"max_connections": "40"},
            environment={
                "APP_PASSWORD": self._app_password,
                "HEALTHAGENT_POSTGRES_PASSWORD_FILE": str(self._agent_secret),
            },
        )

    def _start_replica(self, name: str, source: Path) -> Replica:
        log = self._folder / f"{name}.log"
        port = self._postgres.port
        process = LocalProcess(
            [tools.bun(), "src/main.ts"],
            log=log,
            directory=source,
            environment={
                "HOST": "127.0.0.1",
                "PORT": "0",
                "DATABASE_URL": f"postgresql://app:{self._app_password}@127.0.0.1:{port}/quickstart",
                "PRISMA_POOL_MAX": str(PRISMA_POOL_MAX),
                "DBOS_POOL_MAX": str(DBOS_POOL_MAX),
                "APP_VERSION": "1.0.0",
                # Replicas share one address here, so the name is given and not asked of DNS.
                "DBOS__VMID": name,
            },
        )
        process.wait_until(lambda: _listening(log) is not None, timeout=_READY)
        return Replica(name, process, str(_listening(log)))

    def _start_agent(self) -> LocalProcess:
        address = f"127.0.0.1:{free_port()}"
        self.agent_url = f"http://{address}"
        config = self._folder / "healthagent.toml"
        config.write_text(self._agent_config(address))
        process = LocalProcess(
            [sys.executable, "-m", "healthagent", "watch", "--config", config],
            log=self._folder / "healthagent.log",
        )
        process.wait_until(lambda: answers(f"{self.agent_url}/livez"), timeout=_READY)
        return process

    def _agent_config(self, address: str) -> str:
        general = {"listen": address, "docker.enabled": False}
        database: Mapping[str, Any] = {
            "host": "127.0.0.1",
            "port": self._postgres.port,
            "dbname": "quickstart",
            "user": "healthagent",
            "password_file": str(self._agent_secret),
        }
        lines = [*_assignments(general), "", "[databases.quickstart]", *_assignments(database)]
        for replica in self.replicas.values():
            target: Mapping[str, Any] = {
                "name": replica.name,
                "service": "app",
                "pid": replica.process.pid,
                "url": replica.url,
                "runtime": "bun",
                "livez": "/livez",
                "readyz": "/readyz",
                "pool.prisma": PRISMA_POOL_MAX,
                "pool.dbos": DBOS_POOL_MAX,
                "database": "quickstart",
                "dbos.executor": replica.name,
                "quorum": 2,
                "traefik.http.routers.app.rule": "PathPrefix(`/`)",
            }
            lines += ["", "[[targets]]", *_assignments(target)]
        return "\n".join(lines) + "\n"

    def _provider(self) -> list[str]:
        return [
            f"--providers.http.endpoint={self.agent_url}/traefik",
            "--providers.http.pollinterval=500ms",
            "--providers.providersthrottleduration=100ms",
        ]


def _assignments(table: Mapping[str, Any]) -> list[str]:
    # JSON's strings, numbers and truth values are TOML's too; a dotted key is a table in it.
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


def _listening(log: Path) -> str | None:
    """The URL in the app's line ``listening``; None before it is written."""
    for line in log.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if entry["message"] == "listening":
                return str(entry["url"]).rstrip("/")
    return None
