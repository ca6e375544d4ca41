"""One stack, and the ways to keep its sick replicas out: two Traefiks beside it, and an agent."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from examples.quickstart.tour.condition import Seen, until
from provision import owner, projects
from provision.engine import PROJECT, Engine
from provision.local import free_port
from provision.local_traefik import LocalTraefik
from tests.system.agent import AgentProcess

COMPOSE = Path(__file__).with_name("compose.yaml")
UP = 120.0
SOON = 45.0
"""Seconds for what takes one or two, on a machine that does much else."""
ANSWER = 10.0

QUICK = ("--providers.providersthrottleduration=100ms", "--log.level=WARN")


@dataclass(frozen=True, slots=True)
class Got:
    """An answer: status 0 where none came."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def replica(self) -> str:
        return str(json.loads(self.body)["replica"]) if self.status == 200 else f"{self.status}"


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer like others."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay)


def get(url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Got:
    request = urllib.request.Request(url, headers=dict(headers or {}), method=method)
    try:
        with _OPENER.open(request, timeout=ANSWER) as response:
            return Got(response.status, dict(response.headers), response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Got(error.code, dict(error.headers), error.read().decode())
    except OSError as error:
        return Got(0, body=str(error))


@dataclass(frozen=True, slots=True)
class Front:
    """A Traefik: ``web`` and ``inner`` are its entry points."""

    web: str
    inner: str
    api: str

    def get(self, host: str, path: str = "/", entry: str = "web", **headers: str) -> Got:
        url = f"{self.inner if entry == 'inner' else self.web}{path}"
        return get(url, {"Host": host, **headers})

    def things(self, kind: str) -> dict[str, dict[str, Any]]:
        """Routers, services or middlewares by name, as Traefik's API tells."""
        found = json.loads(get(f"{self.api}/api/http/{kind}?per_page=1000").body)
        return {thing["name"]: thing for thing in found}

    def serving(self, host: str, requests: int = 6) -> set[str]:
        """Who answers that many requests: replicas by host name, else statuses."""
        return {self.get(host).replica for _ in range(requests)}

    def wait(self, host: str, wanted: set[str], within: float = SOON) -> None:
        def look() -> Seen:
            found = self.serving(host)
            return Seen(found == wanted, ", ".join(sorted(found)))

        until(f"{host} is answered by {', '.join(sorted(wanted))}", look, within=within)


@contextmanager
def front(*arguments: str) -> Iterator[Front]:
    inner = f"127.0.0.1:{free_port()}"
    with LocalTraefik([f"--entrypoints.inner.address={inner}", *QUICK, *arguments]) as traefik:
        yield Front(traefik.url, f"http://{inner}", traefik.api)


class Ways:
    """The stack. ``old`` is Traefik with its Docker provider, ``new`` the same with the agent for
    what the agent watches."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.project = owner.new_name("ways")
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(projects.remove, self.engine, self.project)
            self.compose("up", "--detach", "--no-build")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.agent = AgentProcess(
                folder,
                {
                    "HEALTHAGENT_DOCKER_HOST": self.engine.host,
                    "HEALTHAGENT_DOCKER_PROJECT": self.project,
                },
            )
            stack.callback(self.agent.stop)
            mine = f"Label(`{PROJECT}`,`{self.project}`)"
            docker = f"--providers.docker.endpoint={self.engine.host}"
            self.old = stack.enter_context(front(docker, f"--providers.docker.constraints={mine}"))
            others = f"{mine} && !Label(`healthagent.enable`,`true`)"
            endpoint = f"{self.agent.client.url}/traefik?wait=4s"
            self.new = stack.enter_context(
                front(
                    docker,
                    f"--providers.docker.constraints={others}",
                    f"--providers.http.endpoint={endpoint}",
                    "--providers.http.pollinterval=100ms",
                )
            )
            stack.callback(self.agent.stop)  # first of all: Traefik ends once its poll is answered
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._open.close()

    def compose(self, *arguments: str) -> str:
        return self.engine.compose(
            "--project-name", self.project, "--file", COMPOSE, *arguments, timeout=UP
        )

    def ids(self, service: str) -> list[str]:
        """The containers of a service by their short ids, which are their host names."""
        return sorted(id_[:12] for id_ in self.engine.containers(self.project, service).values())

    def sidecar(self, path: str) -> Got:
        """What the sidecar answers to whom it asks by its replica's address, as Traefik does."""
        [solo] = self.ids("solo")
        return get(f"http://{self.engine.address(solo)}:9180{path}")

    def tell(self, container: str, what: str) -> None:
        """Tell an app past Traefik to turn ``sick`` or ``well``."""
        assert get(f"http://{self.engine.address(container)}:3000/-/{what}").status == 200

    @contextmanager
    def sick(self, *containers: str) -> Iterator[None]:
        for container in containers:
            self.tell(container, "sick")
        try:
            yield
        finally:
            for container in containers:
                self.tell(container, "well")

    @contextmanager
    def frozen(self, container: str) -> Iterator[None]:
        pid = self.engine.inspect(container)["State"]["Pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
