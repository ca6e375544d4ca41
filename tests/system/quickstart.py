"""The quickstart's real stack under a project of its own, and what tests do to it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg

from examples.quickstart.tour import web
from examples.quickstart.tour.compose import HERE, ComposeStack
from examples.quickstart.tour.condition import Seen, until
from provision.engine import PROJECT, SERVICE, Engine
from tests.system.client import WITHIN, AgentClient

OVERRIDE = Path(__file__).with_suffix(".yaml")
REPLICAS = 3
DATABASE = "quickstart"
ROUNDS = 12
"""Requests enough for Traefik's round robin to reach every replica several times."""

NUMBER_LABEL = "com.docker.compose.container-number"
"""What Compose gives to its own containers; those that a test adds have none."""


class Quickstart:
    """Three replicas of the app, Postgres, Traefik and the agent, all in containers."""

    def __init__(self, engine: Engine, project: str) -> None:
        self.engine = engine
        self.project = project
        self.compose = ComposeStack(engine, project, [OVERRIDE])
        self.replicas = [self.container("app", number) for number in range(1, REPLICAS + 1)]

    def container(self, service: str, number: int = 1) -> str:
        """The name of a container of Compose's, such as ``PROJECT-app-2``."""
        return f"{self.project}-{service}-{number}"

    @cached_property
    def url(self) -> str:
        """Where Traefik takes the users' requests."""
        return self.compose.url

    @cached_property
    def agent(self) -> AgentClient:
        """The stack's own agent. Docker gives it another port at each start."""
        return AgentClient(self.compose.agent_url)

    # What there is to see

    def address(self, container: str) -> str:
        return self.engine.address(container, f"{self.project}_default")

    def server(self, replica: str) -> str:
        """A replica as /traefik names it."""
        return f"http://{self.address(replica)}:3000"

    def servers(self) -> list[str]:
        return sorted(self.server(replica) for replica in self.replicas)

    def lives(self) -> dict[str, tuple[str, int]]:
        """By replica what changes when it is restarted."""
        states = {replica: self.engine.inspect(replica) for replica in self.replicas}
        return {name: (s["State"]["StartedAt"], s["RestartCount"]) for name, s in states.items()}

    def logs(self, container: str) -> str:
        """All that a container wrote, to stdout and to stderr."""
        return subprocess.run(
            ["docker", "--host", self.engine.host, "logs", container],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=True,
        ).stdout

    def connect(self) -> psycopg.Connection[Any]:
        """A session of Postgres' superuser."""
        return psycopg.connect(
            host=self.address(self.container("postgres")),
            user="postgres",
            password=self.secret("postgres"),
            dbname=DATABASE,
            autocommit=True,
            connect_timeout=5,
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What Postgres answers its superuser, who leaves again at once."""
        with self.connect() as session:
            cursor = session.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def sessions_of(self, client_address: str, role: str = "healthagent") -> list[tuple[Any, ...]]:
        """The backends that a role holds from one address, by pid."""
        return self.query(
            "SELECT pid FROM pg_stat_activity WHERE host(client_addr) = "
            f"'{client_address}' AND usename = '{role}'"
        )

    def secret(self, name: str) -> str:
        return (HERE / "secrets" / name).read_text().strip()

    @property
    def secrets(self) -> list[str]:
        """Every password of the stack."""
        settings = dict(line.split("=", 1) for line in (HERE / ".env").read_text().splitlines())
        return [self.secret("postgres"), self.secret("healthagent"), settings["APP_PASSWORD"]]

    def wait_until_served_by(self, replicas: Iterable[str]) -> None:
        """Until exactly these answer through Traefik, which polls the agent twice a second."""

        def look() -> Seen:
            answers = web.answering(self.url, ROUNDS)
            return Seen(sorted(answers) == wanted, str(dict(answers)))

        wanted = sorted(replicas)
        until(f"Traefik spreads requests over {', '.join(wanted)}", look, within=WITHIN)

    # What can be done to it

    def signal(self, container: str, number: signal.Signals) -> None:
        """Signal a container's first process past Docker."""
        os.kill(self.engine.inspect(container)["State"]["Pid"], number)

    @contextmanager
    def frozen(self, replica: str) -> Iterator[None]:
        """With a replica's process stopped where it stands."""
        self.signal(replica, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(replica, signal.SIGCONT)

    @contextmanager
    def another_replica(
        self,
        name: str,
        labels: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
        network: str = "",
    ) -> Iterator[str]:
        """With one more container of the app; its name. Labels, variables and network are those of
        the first replica but for what is given."""
        first = self.engine.inspect(self.replicas[0])
        model = first["Config"]
        told = {
            key: value
            for key, value in model["Labels"].items()
            if key.startswith(("healthagent.", "traefik.")) or key in (PROJECT, SERVICE)
        }
        variables = dict(pair.split("=", 1) for pair in model["Env"]) | dict(environment or {})
        whole = f"{self.project}-{name}"
        self.engine.docker(
            "run", "--detach", "--name", whole, "--network", network or f"{self.project}_default",
            *flags("--label", told | dict(labels)), *flags("--env", variables), first["Image"],
        )  # fmt: skip
        try:
            yield whole
        finally:
            self.engine.remove(whole)

    def start_agent(self) -> None:
        self.engine.start(self.container("agent"))
        del self.agent

    def heal(self) -> None:
        """Undo whatever a failed test left, and wait for nothing."""
        for id_ in self.engine.containers(self.project).values():
            found = self.engine.inspect(id_)
            if NUMBER_LABEL not in found["Config"]["Labels"]:
                self.engine.remove(id_)
            elif found["State"]["Paused"]:
                self.engine.docker("unpause", id_)
            elif not found["State"]["Running"]:
                self.engine.start(id_)
            else:
                os.kill(found["State"]["Pid"], signal.SIGCONT)
        self.__dict__.pop("agent", None)


def flags(option: str, values: Mapping[str, str]) -> list[str]:
    return [word for key, value in values.items() for word in (option, f"{key}={value}")]
