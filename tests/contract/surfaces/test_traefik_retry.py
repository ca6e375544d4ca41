"""What the real Traefik repeats by the generated middlewares, and what it must never repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from healthagent.core.target import Traffic
from healthagent.surfaces.traefik import Routing
from tests.contract.surfaces.traefik import RULE, SOON, Stack, free_ports, served
from tests.unit.surfaces.world import Replica, World

ROUNDS = 12
"""Requests of which each replica in turn gets several."""

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")
OTHERS = ("POST", "PATCH")


@dataclass
class Deadly:
    """An upstream that reads a request and dies over it: its connection ends without an answer."""

    methods: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        self.methods.append(line.split()[0].decode())
        writer.transport.abort()


@asynccontextmanager
async def listening(serve: Callable[..., Any]) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def at(world: World, number: int, port: int, traffic: Traffic = Traffic()) -> Replica:  # noqa: B008
    return world.replica(f"app-{number}").but(
        address="127.0.0.1", port=port, routing=RULE, traffic=traffic
    )


async def statuses(stack: Stack, method: str, times: int = ROUNDS) -> list[int]:
    found = []
    for _ in range(times):
        async with stack.client.request(method, stack.web, data=_body(method)) as response:
            found.append(response.status)
    return found


def _body(method: str) -> bytes | None:
    return b"x" if method in ("POST", "PUT", "PATCH") else None


async def routed(stack: Stack, *replicas: Replica, world: World) -> None:
    """Until Traefik runs by the configuration for these."""
    stack.provider.configuration = Routing().after(world.report(*replicas)).configuration
    wanted = {f"http://127.0.0.1:{replica.target.port}" for replica in replicas}

    async def taken() -> bool:
        services: Mapping[str, Any] = (await stack.http()).get("services", {})
        balancer = services.get("app@http", {}).get("loadBalancer", {})
        return {server["url"] for server in balancer.get("servers", [])} == wanted

    await stack.until(taken, f"servers {wanted}")


@pytest.fixture
async def dead() -> int:
    """A port where nobody listens: the kernel refuses each connection."""
    return free_ports(1)[0]


async def test_what_was_not_sent_yet_goes_to_another_replica_whatever_its_method(
    stack: Stack, world: World, dead: int
) -> None:
    async with served(_anything) as alive:
        traffic = Traffic(retry="unsent")
        await routed(stack, at(world, 1, alive, traffic), at(world, 2, dead, traffic), world=world)
        for method in (*IDEMPOTENT, *OTHERS):
            assert set(await statuses(stack, method)) == {200}, method


async def test_without_retry_every_request_to_a_dead_replica_is_lost(
    stack: Stack, world: World, dead: int
) -> None:
    """The fault is real: what the test before saw is the retry's doing."""
    async with served(_anything) as alive:
        traffic = Traffic(retry="none")
        await routed(stack, at(world, 1, alive, traffic), at(world, 2, dead, traffic), world=world)
        found = await statuses(stack, "GET")
        assert found.count(502) == ROUNDS // 2


async def test_what_a_replica_died_over_is_repeated_for_idempotent_methods_alone(
    stack: Stack, world: World
) -> None:
    deadly = Deadly()
    async with served(_anything) as alive, listening(deadly.serve) as dying:
        await routed(stack, at(world, 1, alive), at(world, 2, dying), world=world)
        for method in IDEMPOTENT:
            assert set(await statuses(stack, method)) == {200}, method
        for method in OTHERS:
            deadly.methods.clear()
            found = await statuses(stack, method)
            assert found.count(502) == len(deadly.methods) > 0, (
                f"each {method} that the dying replica has read is lost, and none was sent twice"
            )


async def test_a_page_that_begins_no_answer_in_time_is_asked_for_elsewhere_once(
    stack: Stack, world: World
) -> None:
    asked: list[str] = []

    async def slow(request: web.Request) -> web.Response:
        asked.append(request.method)
        await asyncio.sleep(SOON)
        return web.Response()

    async with served(_anything) as alive, served(slow) as frozen:
        quick = Traffic(response=0.3)
        await routed(stack, at(world, 1, alive, quick), at(world, 2, frozen, quick), world=world)
        assert set(await statuses(stack, "GET", 4)) == {200}
        asked.clear()
        assert 504 in await statuses(stack, "POST", 2)
        assert asked == ["POST"], "what the frozen replica may still do must not be done twice"


async def test_a_slow_page_is_not_asked_for_twice(stack: Stack, world: World) -> None:
    """Where an answer may take longer than the retry's own time, a second try only adds load."""
    asked: list[str] = []

    async def slow(request: web.Request) -> web.Response:
        asked.append(request.method)
        await asyncio.sleep(SOON)
        return web.Response()

    async with served(slow) as first, served(slow) as second:
        patient = Traffic(response=3.2)
        await routed(
            stack, at(world, 1, first, patient), at(world, 2, second, patient), world=world
        )
        assert await statuses(stack, "GET", 1) == [504]
        assert asked == ["GET"]


async def test_an_apps_own_errors_reach_its_users_at_the_first_try(
    stack: Stack, world: World
) -> None:
    asked: list[str] = []

    async def broken(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.Response(status=503 if "not-now" in request.path else 500)

    async with served(broken) as first, served(broken) as second:
        await routed(stack, at(world, 1, first), at(world, 2, second), world=world)
        assert await statuses(stack, "GET", 2) == [500, 500]
        assert len(asked) == 2


async def test_streams_and_websockets_pass_through_the_retries(stack: Stack, world: World) -> None:
    async def both(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade"):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str(f"heard {await socket.receive_str()}")
            return socket
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: first\n\n")
        await gate.wait()
        await stream.write(b"data: second\n\n")
        return stream

    gate = asyncio.Event()
    async with served(both) as port:
        await routed(stack, at(world, 1, port), world=world)
        async with stack.client.ws_connect(stack.web) as ws:
            await ws.send_str("hello")
            assert await ws.receive_str(timeout=SOON) == "heard hello"
        async with stack.client.get(stack.web) as response, asyncio.timeout(SOON):
            assert await response.content.readline() == b"data: first\n", "it is not held back"
            gate.set()
            assert b"second" in await response.content.read()


async def test_why_the_agent_declares_no_passive_check_one_broken_page_takes_healthy_replicas_out(
    stack: Stack, world: World
) -> None:
    """Traefik's passive check counts an app's own 500 as a failure of the replica. Who wants it all
    the same has Traefik's label."""
    passive = "traefik.http.services.app.loadbalancer.passivehealthcheck"
    labels = RULE | {f"{passive}.failurewindow": "10s", f"{passive}.maxfailedattempts": "2"}

    async def page(request: web.Request) -> web.Response:
        return web.Response(status=500 if "broken" in request.path else 200)

    async with served(page) as first, served(page) as second:
        replicas = [at(world, n, port).but(routing=labels) for n, port in ((1, first), (2, second))]
        await routed(stack, *replicas, world=world)
        assert set(await statuses(stack, "GET")) == {200}
        for _ in range(4):
            async with stack.client.get(f"{stack.web}/broken") as response:
                await response.read()
        assert await stack.status() == (503, "no available server\n")


async def _anything(_request: web.Request) -> web.Response:
    return web.Response()
