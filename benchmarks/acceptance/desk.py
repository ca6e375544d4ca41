"""The order desk's real stack under a project of its own: brought up, asked, and looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from examples.quickstart.tour import web
from examples.quickstart.tour.condition import Seen, until
from healthagent.core.rotation import served
from provision import desk, projects
from provision.command import run
from provision.engine import Engine
from provision.errors import CommandFailed

PRISMA, DBOS, AGENT = 5, 3, 1
"""Connections that compose.yaml declares for each replica, and for the agent."""

STEPS: Final = ("reserve", "charge", "pack", "ship")
"""What the app does with an order, in order."""

STATES: Final = ("placed", "reserved", "paid", "packed", "shipped")
"""What an order goes through."""

_UP: Final = 180.0
_ANSWER: Final = 15.0
_COUNTED: Final = "usename <> 'postgres' AND backend_type = 'client backend'"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user got; status 0 where nothing answered in time."""

    status: int
    body: str
    replica: str


@dataclass(frozen=True, slots=True)
class Order:
    """What became of an order, as Postgres has it."""

    state: str
    attempts: dict[str, int]
    """By step how often somebody began it."""
    effects: dict[str, int]
    """By step how often it took effect."""
    executor: str
    """Who began the last step."""


class Desk:
    """A stack of compose.yaml, under ``overrides`` such as compose.node.yaml."""

    def __init__(
        self, engine: Engine, project: str, variables: Mapping[str, str] | None = None
    ) -> None:
        self.engine = engine
        self.project = project
        self._variables = dict(variables or {})

    # Bringing it up, and down

    def let(self, **variables: str) -> None:
        """Have what is brought up from now on see these variables of compose.yaml."""
        self._variables |= variables

    def up(self, replicas: int, *overrides: str) -> None:
        """Start the whole stack, or make it what these files say. Raises CommandFailed."""
        run([desk.SOURCE / "prepare.sh"], timeout=10, environment=self.environment)
        self.compose("up", "--detach", "--no-build", "--scale", f"app={replicas}",
                     overrides=overrides, timeout=_UP)  # fmt: skip

    def scale(self, replicas: int, *overrides: str) -> None:
        """Have so many replicas; those that are there stay as they are. Nothing is built."""
        self.compose("up", "--detach", "--no-build", "--no-deps", "--no-recreate", "--scale",
                     f"app={replicas}", "app", overrides=overrides, timeout=_UP)  # fmt: skip

    def down(self) -> None:
        projects.remove(self.engine, self.project)

    def compose(
        self, *arguments: str, overrides: tuple[str, ...] = (), timeout: float = 30.0
    ) -> str:
        files = [("--file", str(desk.SOURCE / name)) for name in ("compose.yaml", *overrides)]
        return run(
            ["docker", "compose", "--project-name", self.project,
             *(word for pair in files for word in pair), *arguments],
            timeout=timeout, environment=self.environment,
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """The variables under which its Compose files mean this stack, on this engine."""
        socket = self.engine.socket
        place = {"DOCKER_SOCKET": str(socket)} if socket else {}
        return self.engine.environment | place | self._variables

    # Where it is

    @property
    def url(self) -> str:
        """Where Traefik takes the users' requests."""
        return self.engine.published(f"{self.project}-traefik-1", 8000)

    @property
    def agent_url(self) -> str:
        return self.engine.published(f"{self.project}-agent-1", 9180)

    @property
    def traefik_api(self) -> str:
        return self.engine.published(f"{self.project}-traefik-1", 8080)

    def replicas(self) -> list[str]:
        """The names of the replicas there are now."""
        return list(self.engine.containers(self.project, "app"))

    def address(self, container: str) -> str:
        return self.engine.address(container, f"{self.project}_default")

    def logs(self, container: str) -> str:
        """What a container wrote to stdout."""
        return self.engine.docker("logs", container)

    def kill(self, container: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a container's first process a signal; quiet where it is gone already.

        Not through the Engine, which takes any signal for a stop by hand (seen with 20.10), and
        then starts the container again no more.
        """
        with suppress(ProcessLookupError, subprocess.SubprocessError):
            pid = self.engine.inspect(container)["State"]["Pid"]
            if pid:
                os.kill(pid, number)

    def remove(self, container: str) -> None:
        """Remove a container. One that dies while the Engine kills it is refused: then again."""

        def look() -> Seen:
            try:
                self.engine.remove(container)
            except CommandFailed as error:
                if "is not running" not in str(error):
                    raise
                return Seen(False, str(error))
            return Seen(True, "")

        until(f"{container} is removed", look, within=30)

    def wait_until_ready(self, replicas: int, *, within: float) -> None:
        """Until :meth:`is_ready`."""
        agent, api = self.agent_url, self.traefik_api
        what = f"{replicas} replicas are ready and routed"
        until(what, lambda: _ready(agent, api, replicas), within=within)

    def is_ready(self, replicas: int) -> bool:
        """Whether the agent knows exactly so many, holds all of them ready, and Traefik has
        them."""
        return _ready(self.agent_url, self.traefik_api, replicas).holds

    # What its users do

    def order(self, url: str, shop: str = "north", quantity: int = 1, id_: str = "") -> Answer:
        """Send an order to Traefik, or to a replica; the same id again is the same order."""
        said = {"id": id_ or str(uuid.uuid4()), "sku": "card", "customer": "Ada"}
        body = json.dumps(said | {"quantity": quantity}).encode()
        return ask(f"{url}/{shop}/orders", body)

    # What there is in Postgres

    def connect(self, role: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A session of one's own."""
        secret = desk.SOURCE / "secrets" / "postgres"
        password = secret.read_text().strip()
        if role != "postgres":
            lines = (desk.SOURCE / ".env").read_text().splitlines()
            password = dict(line.split("=", 1) for line in lines)["APP_PASSWORD"]
        return psycopg.connect(
            host=self.address(f"{self.project}-postgres-1"), dbname="desk", user=role,
            password=password, autocommit=True, connect_timeout=5,
        )  # fmt: skip

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(sql.encode()).fetchall()


def _ready(agent: str, traefik_api: str, replicas: int) -> Seen:
    said = web.get(f"{agent}/health").body
    targets = json.loads(said).get("targets", []) if said.startswith("{") else []
    states = [f"{t['name']} {t['phase']} {t['reason']}" for t in targets]
    ready = sum(target["phase"] == "ready" for target in targets)
    routed = len(routed_by(traefik_api)) if ready else 0
    return Seen(ready == len(targets) == routed == replicas, "; ".join(states) or said)


def routed_by(traefik_api: str) -> set[str]:
    """The servers that Traefik sends requests to, each a host with its port, by its own word: who
    asks the agent for them is one more router to it, which drains then wait for."""
    answer = ask(f"{traefik_api}/api/http/services")
    return served(json.loads(answer.body)) if answer.status == 200 else set()


def held(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, int]:
    """How many connections each role holds now; the superuser's, which are those that look and the
    health check of its container, have places of their own in Postgres."""
    counted = connection.execute(
        f"SELECT usename, count(*) FROM pg_stat_activity WHERE {_COUNTED} GROUP BY usename".encode()
    )
    return {role: int(count) for role, count in counted}


def orders(connection: psycopg.Connection[tuple[Any, ...]], ids: list[str]) -> dict[str, Order]:
    """What became of these orders; those that do not exist are left out."""
    wanted = {"ids": ids}
    states = connection.execute(
        "SELECT id::text, state FROM orders WHERE id = ANY(%(ids)s::uuid[])", wanted
    )
    found = {id_: Order(state, {}, {}, "") for id_, state in states}
    rows = connection.execute(
        "SELECT order_id::text, step, executor FROM attempt"
        " WHERE order_id = ANY(%(ids)s::uuid[]) ORDER BY id", wanted,
    )  # fmt: skip
    for id_, step, executor in rows.fetchall():
        one = found[id_]
        counted = one.attempts | {step: one.attempts.get(step, 0) + 1}
        found[id_] = Order(one.state, counted, one.effects, executor)
    rows = connection.execute(
        "SELECT order_id::text, step, count(*) FROM effect"
        " WHERE order_id = ANY(%(ids)s::uuid[]) GROUP BY 1, 2", wanted,
    )  # fmt: skip
    for id_, step, count in rows.fetchall():
        found[id_].effects[step] = int(count)
    return found


def stocked(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[tuple[str, str], int]:
    """By shop and goods what is in stock, with what was reserved added to it again.

    Orders do not change it, however many there are, as long as each takes its goods exactly once:
    a row of `effect` says that a step took effect, not that it did so no second time.
    """
    counted = connection.execute("""
        SELECT shop, sku, stock + coalesce((
            SELECT sum(quantity) FROM orders JOIN effect ON order_id = id AND step = 'reserve'
            WHERE orders.shop = product.shop AND orders.sku = product.sku
        ), 0) FROM product
    """)
    return {(shop, sku): int(count) for shop, sku, count in counted}


def ask(url: str, body: bytes | None = None) -> Answer:
    """GET, or POST of JSON; whatever comes of it."""
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER) as response:
            text = response.read().decode()
            return Answer(response.status, text, response.headers.get("x-replica", ""))
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode(errors="replace")
            return Answer(error.code, text, error.headers.get("x-replica", ""))
    except OSError as error:
        return Answer(0, str(error), "")
