"""The stack of compose.yaml, and what can be done to its replicas."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.routing.observed import look, until
from provision import owner, projects
from provision.command import run
from provision.engine import Engine

_COMPOSE: Final = Path(__file__).with_name("compose.yaml")
_UP: Final = 180.0
_ANSWER: Final = 3.0
_ALL_IN: Final = 90.0
"""Seconds for all replicas to be in rotation again, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Front:
    """One Traefik: where it takes requests, where its API answers, and the service behind it."""

    name: str
    service: str
    url: str
    api: str


class Stack:
    """A Compose project of its own, removed at the end of the ``with`` block however that ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._project = owner.new_name("rt")
        self.orders = Path(tempfile.mkdtemp(prefix=f"{self._project}-"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heal()
        projects.remove(self._engine, self._project)
        shutil.rmtree(self.orders, ignore_errors=True)

    def up(self) -> None:
        """Bring all of it up. Raises CommandFailed."""
        self.compose("up", "--detach", "--no-build")

    @cached_property
    def fronts(self) -> dict[str, Front]:
        services = {"agent": "app", "docker": "app", "active": "checked"}
        return {
            name: Front(name, service, *self._entries(f"front-{name}"))
            for name, service in services.items()
        }

    def _entries(self, service: str) -> tuple[str, str]:
        """Traefik past Docker's userland proxy, which would be measured too."""
        [container] = self.containers(service)
        address = self._engine.address(container)
        return f"http://{address}:8000", f"http://{address}:8080"

    def settle(self, front: Front, replicas: int = 3) -> None:
        """Wait until every replica is in rotation, and nothing else. Raises TimeoutError."""

        def all_in() -> bool:
            with suppress(OSError):
                return look(front.api).serving == self.servers(front.service) != set()
            return False

        until(f"{replicas} replicas behind {front.name}", all_in, within=_ALL_IN)

    # What there is

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, in the order of their names."""
        return list(self._engine.containers(self._project, service).values())

    def name(self, container: str) -> str:
        return str(self._engine.inspect(container)["Name"]).lstrip("/")

    def lives(self, service: str) -> set[tuple[str, str]]:
        """What is another when a replica was restarted or replaced."""
        found = map(self._engine.inspect, self.containers(service))
        return {(container["Id"], container["State"]["StartedAt"]) for container in found}

    def server(self, container: str) -> str:
        """A replica as Traefik names it."""
        return f"http://{self._engine.address(container)}:3000"

    def servers(self, service: str) -> set[str]:
        return {self.server(container) for container in self.containers(service)}

    @property
    def agent_url(self) -> str:
        """Where the agent answers; a start may change its address."""
        [container] = self.containers("agent")
        return f"http://{self._engine.address(container)}:9180"

    # What can be done

    def signal(self, container: str, number: signal.Signals) -> None:
        """Signal a replica's first process past Docker, as the kernel's OOM killer would."""
        os.kill(self._engine.inspect(container)["State"]["Pid"], number)

    def tell(self, containers: Iterable[str], what: str) -> None:
        """Have replicas turn ``sick`` or ``well``, or ``block`` their event loop."""
        for container in containers:
            with urllib.request.urlopen(f"{self.server(container)}/-/{what}", timeout=_ANSWER):
                pass

    def docker(self, *arguments: str) -> str:
        return self._engine.docker(*arguments, timeout=_UP)

    def compose(self, *arguments: str) -> str:
        command = ["docker", "compose", "--project-name", self._project, "--file", str(_COMPOSE)]
        return run([*command, *arguments], timeout=_UP, environment=self._variables)

    def agent(self, *arguments: str) -> str:
        """Run the agent's command line where the agent is."""
        return self.compose("exec", "-T", "agent", "healthagent", *arguments)

    def heal(self) -> None:
        """Undo what an arm that failed left frozen."""
        for service in ("app", "checked"):
            for container in self.containers(service):
                with suppress(ProcessLookupError, PermissionError):
                    if pid := self._engine.inspect(container)["State"]["Pid"]:
                        os.kill(pid, signal.SIGCONT)

    @property
    def _variables(self) -> dict[str, str]:
        socket = self._engine.socket or Path("/var/run/docker.sock")
        return self._engine.environment | {
            "DOCKER_SOCKET": str(socket),
            "ORDERS": str(self.orders),
        }
