"""What the real Traefik makes of the configuration that it is given."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from healthagent.core.report import Report
from healthagent.surfaces.traefik import Routing
from healthagent.surfaces.traefik.labels import read
from healthagent.surfaces.traefik.routing import TRANSPORT
from healthagent.surfaces.traefik.schema import KINDS, Indexed, Leaf, Named, Shape, Switch
from tests.unit.surfaces.world import NOW, Replica, World

SOON = 20.0
RULE = {"traefik.http.routers.app.rule": "PathPrefix(`/`)"}
NOBODY = Report(NOW, settled=True)


@dataclass
class Provider:
    """Serves Traefik whatever the test says; ``None`` is an error. ``polls`` counts its visits."""

    configuration: Mapping[str, Any] | None = None
    polls: int = 0
    visited: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _request: web.Request) -> web.Response:
        self.polls += 1
        self.visited.set()
        if self.configuration is None:
            return web.Response(status=503)
        return web.json_response(self.configuration)


@dataclass
class Stack:
    """A real Traefik that polls a provider, and the upstreams that it may route to."""

    provider: Provider
    client: aiohttp.ClientSession
    web: str
    api: str
    log: Path
    upstreams: list[int] = field(default_factory=list)

    def replica(self, world: World, number: int) -> Replica:
        port = self.upstreams[number - 1]
        return world.replica(f"app-{number}").but(address="127.0.0.1", port=port, routing=RULE)

    async def status(self) -> tuple[int, str]:
        async with self.client.get(self.web) as response:
            return response.status, await response.text()

    async def http(self) -> dict[str, Any]:
        """What Traefik runs by, as its API tells."""
        async with self.client.get(f"{self.api}/api/rawdata") as response:
            found: dict[str, Any] = await response.json()
            return found

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for a condition that is asked over HTTP, which paces it; else show Traefik's log."""
        try:
            async with asyncio.timeout(SOON):
                while not await condition():
                    pass
        except TimeoutError:
            pytest.fail(f"never came: {what}\n{self.log.read_text()[-2000:]}")

    async def serves(self, *names: str) -> None:
        """Wait until answers come from exactly these upstreams, in turn."""

        async def spread() -> bool:
            answers = [await self.status() for _ in range(3 * len(names))]
            return set(answers) == {(200, name) for name in names}

        await self.until(spread, f"answers from {', '.join(names)} alone")

    async def answers(self, status: int, text: str = "") -> None:
        async def answered() -> bool:
            found, body = await self.status()
            return found == status and text in body

        await self.until(answered, f"status {status} {text}")

    async def polled(self, times: int = 2) -> None:
        """Wait until the provider was visited again, as often as that."""
        target = self.provider.polls + times

        async def visited() -> bool:
            await asyncio.wait_for(self.provider.visited.wait(), SOON)
            self.provider.visited.clear()
            return self.provider.polls >= target

        await self.until(visited, f"{times} polls")


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    provider, log = Provider({"http": {"serversTransports": {TRANSPORT: {}}}}), tmp_path / "log"
    async with AsyncExitStack() as running:
        endpoint = await running.enter_async_context(served(provider.answer))
        upstreams = [
            await running.enter_async_context(served(named(f"app-{n}"))) for n in (1, 2, 3)
        ]
        client = await running.enter_async_context(aiohttp.ClientSession())
        web_port, api_port = free_ports(2)
        await running.enter_async_context(traefik(endpoint, web_port, api_port, log))
        url, api = (f"http://127.0.0.1:{port}" for port in (web_port, api_port))
        stack = Stack(provider, client, url, api, log, upstreams)
        await stack.until(lambda: listens(client, api), "Traefik's API")
        yield stack


@asynccontextmanager
async def served(handler: Callable[[web.Request], Any]) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def named(name: str) -> Callable[[web.Request], Any]:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text=name)

    return handler


@asynccontextmanager
async def traefik(endpoint: int, web_port: int, api_port: int, log: Path) -> AsyncIterator[None]:
    """The process, which the kernel ends with the test's own (PR_SET_PDEATHSIG), killed or not."""
    program = Path(sys.executable).with_name("traefik")
    assert program.exists(), "Traefik is missing: run `make venv`"
    options = {
        "providers.http.endpoint": f"http://127.0.0.1:{endpoint}/",
        "providers.http.pollInterval": "50ms",
        "providers.providersThrottleDuration": "20ms",
        "entrypoints.web.address": f"127.0.0.1:{web_port}",
        "entrypoints.traefik.address": f"127.0.0.1:{api_port}",
        "api.insecure": "true",
        "global.checkNewVersion": "false",
        "global.sendAnonymousUsage": "false",
        "log.level": "WARN",
    }
    arguments = [f"--{key}={value}" for key, value in options.items()]
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "KILL", str(program), *arguments, stdout=sink, stderr=sink
        )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def listens(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(f"{url}/api/rawdata") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


async def test_requests_are_spread_over_ready_replicas_alone(stack: Stack, world: World) -> None:
    one, two, three = (stack.replica(world, n) for n in (1, 2, 3))
    routing = Routing().after(world.report(one, two, three))
    stack.provider.configuration = routing.configuration
    await stack.serves("app-1", "app-2", "app-3")

    sick = world.frozen("app-2").but(address="127.0.0.1", port=two.target.port, routing=RULE)
    routing = routing.after(world.report(one, sick, three))
    stack.provider.configuration = routing.configuration
    await stack.serves("app-1", "app-3")

    stack.provider.configuration = routing.after(world.report(one, two, three)).configuration
    await stack.serves("app-1", "app-2", "app-3")


async def test_with_none_ready_the_answer_is_not_now_and_never_not_found(
    stack: Stack, world: World
) -> None:
    one = stack.replica(world, 1)
    routing = Routing().after(world.report(one))
    stack.provider.configuration = routing.configuration
    await stack.serves("app-1")

    sick = world.frozen("app-1").but(address="127.0.0.1", port=one.target.port, routing=RULE)
    routing = routing.after(world.report(sick))
    stack.provider.configuration = routing.configuration
    await stack.answers(503, "no available server")

    routing = routing.after(NOBODY)
    stack.provider.configuration = routing.configuration
    await stack.polled()
    assert await stack.status() == (503, "no available server\n"), "all its containers are gone"

    stack.provider.configuration = routing.after(world.report(one)).configuration
    await stack.serves("app-1")


async def test_an_error_of_the_agent_freezes_routing(stack: Stack, world: World) -> None:
    one, two = (stack.replica(world, n) for n in (1, 2))
    stack.provider.configuration = Routing().after(world.report(one, two)).configuration
    await stack.serves("app-1", "app-2")
    stack.provider.configuration = None
    await stack.polled()
    await stack.serves("app-1", "app-2")
    stack.provider.configuration = Routing().after(world.report(two)).configuration
    await stack.serves("app-2")


async def test_an_agent_that_watches_nobody_gives_a_configuration_that_is_taken(
    stack: Stack, world: World
) -> None:
    stack.provider.configuration = (
        Routing().after(world.report(stack.replica(world, 1))).configuration
    )
    await stack.serves("app-1")
    stack.provider.configuration = Routing().after(NOBODY).configuration
    await stack.answers(404)
    assert "Provider error" not in stack.log.read_text()


async def test_the_generated_transport_soon_gives_up_on_who_takes_no_connection(
    stack: Stack, world: World
) -> None:
    with deaf() as port:
        gone = stack.replica(world, 1).but(port=port)
        stack.provider.configuration = Routing().after(world.report(gone)).configuration
        await stack.answers(504)


@contextmanager
def deaf() -> Iterator[int]:
    """A port whose accept queue is full: the kernel drops each further SYN, as if nobody was there.
    See listen(2) and tcp_abort_on_overflow in tcp(7)."""
    with ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = open_sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


async def test_every_label_that_is_passed_on_is_one_that_traefik_takes(
    stack: Stack, world: World
) -> None:
    """One unknown field would make Traefik refuse the whole configuration."""
    labels = dict(all_labels())
    assert read(labels).faults == ()
    replica = world.replica("app-1").but(routing=labels)
    routing = Routing().after(world.report(replica))
    assert routing.notices == ()
    stack.provider.configuration = routing.configuration

    async def taken() -> bool:
        return "all@http" in (await stack.http()).get("routers", {})

    await stack.until(taken, "the router that has every label there is")
    assert "cannot decode" not in stack.log.read_text()
    running = await stack.http()
    middlewares = {name for name in running["middlewares"] if name.endswith("@http")}
    assert middlewares == {f"{name.lower()}@http" for name in KINDS["middlewares"]}
    balancer = running["services"]["all@http"]["loadBalancer"]
    assert balancer["healthCheck"]["interval"] == "42s"
    assert running["routers"]["all@http"]["tls"]["domains"][0]["sans"] == ["a", "b"]


@pytest.mark.parametrize("label", ["routers.app.priority=high", "routers.app.nosuch=1"])
async def test_what_is_held_back_as_a_fault_traefik_would_refuse_whole(
    stack: Stack, world: World, label: str
) -> None:
    """The other half of the contract: the faults are no invention."""
    key, _, value = label.partition("=")
    assert read({f"traefik.http.{key}": value}).faults
    configuration = json.loads(
        json.dumps(Routing().after(world.report(stack.replica(world, 1))).configuration)
    )
    configuration["http"]["routers"]["app"][key.rpartition(".")[2]] = value
    stack.provider.configuration = configuration

    async def refused() -> bool:
        await stack.http()
        return "cannot decode configuration data" in stack.log.read_text()

    await stack.until(refused, "Traefik's refusal")
    assert "app@http" not in (await stack.http()).get("routers", {})


def all_labels() -> Iterator[tuple[str, str]]:
    """Every label of the schema, each with a value that fits its place."""
    for kind in ("routers", "services"):
        for path, value in _samples(KINDS[kind]):
            yield f"traefik.http.{kind}.all.{path}", value
    for name, shape in KINDS["middlewares"].items():
        for path, value in _samples(shape):
            yield f"traefik.http.middlewares.{name.lower()}.{name}{path and '.'}{path}", value


def _samples(shape: Shape) -> Iterator[tuple[str, str]]:
    match shape:
        case Leaf.ANYTHING:
            yield "some.thing", "x"
        case Leaf():
            yield "", _SAMPLE[shape]
        case Named():
            yield "500", _SAMPLE[shape.of]
        case Switch():
            yield "", "true"
            yield from _samples(shape.of)
        case Indexed():
            for path, value in _samples(shape.of):
                yield f"[0].{path}", value
        case _:
            for name, of in shape.items():
                for path, value in _samples(of):
                    dot = "." if path and not path.startswith("[") else ""
                    yield f"{name}{dot}{path}", value


_SAMPLE = {
    Leaf.TEXT: "text",
    Leaf.NUMBER: "42",
    Leaf.FLAG: "true",
    Leaf.LIST: "a, b",
    Leaf.DURATION: "42s",
}
