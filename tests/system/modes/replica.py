"""One more replica of the real stack, made to be harmed: what it is, and what can be done to it."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from examples.quickstart.tour import web
from examples.quickstart.tour.condition import Seen, until
from provision.app import TAG
from provision.engine import PROJECT, SERVICE
from provision.errors import CommandFailed
from tests.system.modes.server import Server
from tests.system.quickstart import Quickstart, flags

APP = Path(__file__).parent / "app"
CONTROL = 9000
ANSWER = 60.0


@dataclass(frozen=True, slots=True)
class Spec:
    """What a replica is started with: its command, variables, labels and Docker's options."""

    command: tuple[str, ...] = ("bun", "/modes/main.ts")
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()


class Replica:
    """A container of the app in ``app/``, watched by the stack's own agent.

    ``struck_at`` is when the last fault began, in seconds since the epoch: when somebody began to
    inflict it, or when Docker was asked to start the container that has it.
    """

    def __init__(
        self,
        stack: Quickstart,
        name: str,
        spec: Spec,
        server: Server | None = None,
        service: str = "",
    ) -> None:
        self.stack = stack
        self.name = f"{stack.project}-{name}"
        self._service = service or name
        self._spec = spec
        self._server = server
        self.struck_at = 0.0

    @property
    def server(self) -> Server:
        """The Postgres that it uses."""
        assert self._server is not None, f"{self.name} has no database"
        return self._server

    def start(self) -> None:
        self._run(self._spec, self.name, {"healthagent.enable": "true"})

    def remove(self) -> None:
        self.stack.engine.remove(self.name)

    def docker(self, *arguments: str) -> str:
        return self.stack.engine.docker(*arguments)

    # Faults

    def replace(self, *, started: bool = True, **changes: Any) -> None:
        """Another container takes its place, with these parts of its specification changed. What
        Docker cannot start is created all the same."""
        self.remove()
        spec = replace(self._spec, **changes)
        self._create(spec, self.name, {"healthagent.enable": "true"})
        if started:
            with suppress(CommandFailed):
                self._start(self.name)

    def beside(self, suffix: str, *, watched: bool, **changes: Any) -> None:
        """One more container of its service, called after it."""
        labels = {"healthagent.enable": "true"} if watched else {}
        self._run(replace(self._spec, **changes), f"{self.name}-{suffix}", labels)

    def environment(self, **changes: str) -> dict[str, str]:
        """Its variables, with these changed."""
        return dict(self._spec.environment) | changes

    def labels(self, **changes: str) -> dict[str, str]:
        """Its labels, with these changed; ``__`` stands for a dot."""
        told = {f"healthagent.{key.replace('__', '.')}": text for key, text in changes.items()}
        return dict(self._spec.labels) | told

    def ask(self, fault: str) -> None:
        """Tell the app to fail in one way."""
        self.wait_until_up()
        url = f"http://{self.stack.address(self.name)}:{CONTROL}/{fault}"
        request = urllib.request.Request(url, method="POST")
        with urllib.request.urlopen(request, timeout=ANSWER) as response:
            response.read()

    def wait_until_up(self) -> None:
        """Until the app has started, its signal handler included."""

        def look() -> Seen:
            answer = web.get(f"http://{self.stack.address(self.name)}:{CONTROL}/")
            return Seen(answer.status == 404, answer.body)

        until(f"{self.name} has started", look, within=ANSWER)

    def signal(self, number: signal.Signals) -> None:
        """Signal its first process past Docker."""
        os.kill(self.pid, number)

    def pause(self) -> None:
        self.stack.engine.pause(self.name)

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        started = self.stack.engine.inspect(self.name)["State"]["StartedAt"]
        return time.time() - datetime.fromisoformat(started[:19] + "+00:00").timestamp()

    @property
    def pid(self) -> int:
        return int(self.stack.engine.inspect(self.name)["State"]["Pid"])

    # Healing

    def restore(self) -> None:
        """A sound container takes its place."""
        self.remove()
        self.start()

    def start_again(self) -> None:
        self.stack.engine.start(self.name)

    def _run(self, spec: Spec, name: str, labels: Mapping[str, str]) -> None:
        self._create(spec, name, labels)
        self._start(name)

    def _start(self, name: str) -> None:
        self.struck_at = time.time()
        self.stack.engine.start(name)

    def _create(self, spec: Spec, name: str, labels: Mapping[str, str]) -> None:
        told = {
            PROJECT: self.stack.project,
            SERVICE: self._service,
            "healthagent.port": "3000",
            **spec.labels,
            **labels,
        }
        self.docker(
            "create", "--name", name, "--network", f"{self.stack.project}_default",
            "--volume", f"{APP}:/modes:ro", "--env", "NODE_PATH=/app/node_modules",
            "--no-healthcheck",
            *flags("--label", told), *flags("--env", spec.environment), *spec.options,
            TAG, *spec.command,
        )  # fmt: skip
