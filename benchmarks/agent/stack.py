"""The quickstart's own stack, with the replicas and the HEALTHCHECK that a measurement wants."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from examples.quickstart.tour import web
from examples.quickstart.tour.compose import HERE as QUICKSTART
from examples.quickstart.tour.condition import Seen, until
from provision import owner, projects
from provision.command import run
from provision.engine import Engine
from provision.errors import CommandFailed

Healthcheck = Literal["none", "healthprobe", "bun"]
"""Which ``healthcheck-*.yaml`` holds."""

_HERE: Final = Path(__file__).resolve().parent
_UP: Final = 300.0
_READY: Final = 240.0
_SETTLED: Final = 10.0
"""Seconds for which nothing may have changed before a stack counts as settled."""
_PID: Final = "{{.State.Pid}}"
_COUNT: Final = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'healthagent'"


class Stack:
    """A Compose project of its own, removed at the end of the ``with`` block however that ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # One letter, since replicas are called after the project, and Postgres cuts the
        # application_name dbos_transact_REPLICA_VERSION at 63 bytes: all of REPLICA must fit.
        self._project = owner.new_name("b")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        projects.remove(self._engine, self._project)

    def up(self, replicas: int, healthcheck: Healthcheck) -> None:
        """Bring all of it up, the agent included; return once every replica has been ready, and in
        Docker's eyes healthy, for a while. Raises CommandFailed or NotReached."""
        run([QUICKSTART / "prepare.sh"], timeout=10, environment=self._variables)
        self._compose(
            "up", "--detach", "--no-build", "--scale", f"app={replicas}",
            healthcheck=healthcheck, timeout=_UP,
        )  # fmt: skip
        wanted = "running" if healthcheck == "none" else "healthy"
        until(
            f"{replicas} replicas are ready, {wanted} and settled",
            lambda: self._settled(replicas, wanted),
            within=_READY,
        )

    def stop_agent(self) -> None:
        """Leave the replicas and Postgres alone on the machine; :meth:`up` brings the rest back."""
        self._compose("stop", "agent", "traefik")

    @property
    def agent(self) -> str:
        """The id of the agent's container."""
        return self.container("agent")

    def container(self, service: str) -> str:
        """The id of a service's only container."""
        return self._compose("ps", "--quiet", service).strip()

    def url(self, service: str, port: int) -> str:
        """Where a service's published port is reached from here."""
        return f"http://{self._compose('port', service, str(port)).strip()}"

    @property
    def first_processes(self) -> list[int]:
        """The pid of each running container's first process."""
        ids = self._compose("ps", "--quiet").split()
        return [int(pid) for pid in self._engine.docker("inspect", "--format", _PID, *ids).split()]

    def agent_connections(self) -> int:
        """How many backends of the agent's role Postgres has."""
        return int(self.query("postgres", _COUNT))

    def query(self, database: str, sql: str) -> str:
        """What Postgres answers its superuser: a line for each row, ``|`` between its columns."""
        psql = ("psql", "--username=postgres", "--tuples-only", "--no-align")
        return self._compose(
            "exec", "-T", "postgres", *psql, f"--dbname={database}", f"--command={sql}"
        )

    def _settled(self, replicas: int, wanted: str) -> Seen:
        """One look at the agent; where it does not answer, at its last words."""
        with suppress(CommandFailed):  # no port: it does not run at this moment
            answer = web.get(f"{self.url('agent', 9180)}/health")
            if answer.status in (200, 503):
                return _waiting(json.loads(answer.body), replicas, wanted)
        return Seen(False, self._compose("logs", "--no-log-prefix", "--tail=1", "agent").strip())

    @property
    def _variables(self) -> dict[str, str]:
        socket = self._engine.socket
        return self._engine.environment | ({"DOCKER_SOCKET": str(socket)} if socket else {})

    def _compose(
        self, *arguments: str, healthcheck: Healthcheck = "none", timeout: float = 60.0
    ) -> str:
        files = (
            QUICKSTART / "compose.yaml",
            _HERE / "stack.yaml",
            _HERE / f"healthcheck-{healthcheck}.yaml",
        )
        command = ["docker", "compose", "--project-name", self._project]
        command += [word for file in files for word in ("--file", str(file))]
        return run([*command, *arguments], timeout=timeout, environment=self._variables)


def _waiting(health: dict[str, Any], replicas: int, wanted: str) -> Seen:
    """``wanted`` is Docker's health status of a replica, or its state where Docker checks nothing.
    ``health`` is the agent's ``/health``."""
    targets = health["targets"]
    waiting = {
        target["name"]: target["reason"] or target["phase"]
        for target in targets
        if target["phase"] != "ready"
        or wanted not in (target["container"]["health"], target["container"]["status"])
        or _seconds_between(target["since"], health["time"]) < _SETTLED
    }
    reasons = "; ".join(f"{name}: {reason}" for name, reason in waiting.items())
    settled = health["settled"] and len(targets) == replicas and not waiting
    return Seen(settled, f"{len(targets)} replicas; waiting for {reasons or 'none'}")


def _seconds_between(then: str, now: str) -> float:
    return (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds()
