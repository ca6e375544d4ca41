"""The quickstart's stack in containers: a thin layer over ``docker compose``."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from provision import projects
from provision.command import run
from provision.engine import Engine

HERE: Final = Path(__file__).resolve().parent.parent
PROJECT: Final = "quickstart"
_UP: Final = 120.0
_STOP: Final = 60.0


class ComposeStack:
    """The stack of compose.yaml under one project name, on an engine with its images.

    ``overrides`` are Compose files that change it.
    """

    def __init__(
        self, engine: Engine, project: str = PROJECT, overrides: Sequence[Path] = ()
    ) -> None:
        self._engine = engine
        self._project = project
        self._files = [HERE / "compose.yaml", *overrides]

    def up(self, *services: str) -> None:
        """Start what does not run yet, of these services or of all, and mend what an earlier tour
        left. Raises CommandFailed."""
        run([HERE / "prepare.sh"], timeout=10, environment=self._variables)
        self._compose("up", "--detach", "--no-build", *services, timeout=_UP)
        for replica in self.incarnations:
            self.thaw(replica)

    def recreate(self, service: str) -> None:
        """Make a service's containers anew, as compose.yaml has them. Raises CommandFailed."""
        self._compose(
            "up", "--detach", "--no-build", "--no-deps", "--force-recreate", service, timeout=_UP
        )

    def down(self) -> None:
        """Remove containers, network and volumes; the images and the passwords stay."""
        for replica in self.incarnations:
            self.thaw(replica)
        projects.remove(self._engine, self._project)

    @property
    def url(self) -> str:
        return self._engine.published(f"{self._project}-traefik-1", 8000)

    @property
    def agent_url(self) -> str:
        return self._engine.published(f"{self._project}-agent-1", 9180)

    @property
    def incarnations(self) -> dict[str, str]:
        found = {}
        for name, id_ in self._engine.containers(self._project, "app").items():
            state = self._engine.inspect(id_)["State"]
            found[name] = f"{id_} {state['StartedAt']}" if state["Running"] else ""
        return found

    def freeze(self, replica: str) -> None:
        self._signal(replica, signal.SIGSTOP)

    def thaw(self, replica: str) -> None:
        self._signal(replica, signal.SIGCONT)

    def stop_database(self) -> None:
        self._compose("stop", "postgres", timeout=_STOP)

    def start_database(self) -> None:
        self._compose("start", "postgres")

    @property
    def _variables(self) -> dict[str, str]:
        socket = self._engine.socket
        return self._engine.environment | ({"DOCKER_SOCKET": str(socket)} if socket else {})

    def _compose(self, *arguments: str, timeout: float = 30.0) -> str:
        command = ["docker", "compose", "--project-name", self._project]
        files = [word for file in self._files for word in ("--file", str(file))]
        return run([*command, *files, *arguments], timeout=timeout, environment=self._variables)

    def _signal(self, replica: str, number: signal.Signals) -> None:
        """Signal the replica's process past Docker where that is allowed.

        `docker kill --signal STOP` marks the container as stopped by hand (seen with Engine
        20.10): were it to crash later, its restart policy would not bring it back.
        """
        pid = self._engine.inspect(replica)["State"]["Pid"]
        if pid == 0:
            return
        try:
            os.kill(pid, number)
        except (PermissionError, ProcessLookupError):
            self._engine.docker("kill", "--signal", number.name.removeprefix("SIG"), replica)
