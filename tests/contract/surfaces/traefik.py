"""A real Traefik that polls a provider of the test's own, and upstreams for it to route to."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from healthagent.surfaces.traefik.policy import NAME
from tests.unit.surfaces.world import Replica, World

SOON = 20.0
REST = 0.02
"""Seconds between two looks: the machine has other tests to run."""

RULE = {"traefik.http.routers.app.rule": "PathPrefix(`/`)"}


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
        """Wait for a condition that is asked over HTTP; else show Traefik's log."""
        try:
            async with asyncio.timeout(SOON):
                while not await condition():  # noqa: ASYNC110 - asked over HTTP, it tells no event
                    await asyncio.sleep(REST)
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


@asynccontextmanager
async def stack_in(tmp_path: Path) -> AsyncIterator[Stack]:
    provider, log = Provider({"http": {"serversTransports": {NAME: {}}}}), tmp_path / "log"
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
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
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
async def traefik(
    endpoint: int, web_port: int, api_port: int, log: Path, path: str = ""
) -> AsyncIterator[None]:
    """The process, which the kernel ends with the test's own (PR_SET_PDEATHSIG), killed or not."""
    program = Path(sys.executable).with_name("traefik")
    assert program.exists(), "Traefik is missing: run `make venv`"
    options = {
        "providers.http.endpoint": f"http://127.0.0.1:{endpoint}/{path}",
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
