"""A real Traefik that polls a provider of the tests' own, and upstreams for it to route to."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from healthagent.surfaces.traefik.policy import NAME
from tests.unit.surfaces.world import Replica, World

SOON = 20.0
REST = 0.02
"""Seconds between two looks: the machine has other tests to run."""

RULE = {"traefik.http.routers.app.rule": "PathPrefix(`/`)"}
NOBODY: Mapping[str, Any] = {"http": {"serversTransports": {NAME: {}}}}
"""Routes nothing, and is not empty, which Traefik would not take."""


@dataclass
class Provider:
    """Serves Traefik whatever the test says; ``None`` is an error. ``polls`` counts its visits."""

    configuration: Mapping[str, Any] | None = field(default_factory=lambda: NOBODY)
    polls: int = 0

    @contextmanager
    def serving(self) -> Iterator[int]:
        """The port, which a thread serves: each test has an event loop of its own."""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                provider.polls += 1
                told = provider.configuration
                body = b"" if told is None else orjson.dumps(told)
                self.send_response(503 if told is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()


@dataclass
class Traefik:
    """One that all tests share, after one another: to start is most of what it takes."""

    provider: Provider
    web: str
    api: str
    log: Path


@contextmanager
def shared(folder: Path) -> Iterator[Traefik]:
    provider, log = Provider(), folder / "log"
    web_port, api_port = free_ports(2)
    with provider.serving() as endpoint, traefik(endpoint, web_port, api_port, log):
        yield Traefik(provider, url(web_port), url(api_port), log)


@dataclass
class Stack:
    """A real Traefik that polls a provider, and the upstreams that it may route to."""

    traefik: Traefik
    client: aiohttp.ClientSession
    logged_before: int
    """Characters of Traefik's log that are other tests'."""
    upstreams: list[int] = field(default_factory=list)

    @property
    def provider(self) -> Provider:
        return self.traefik.provider

    @property
    def web(self) -> str:
        return self.traefik.web

    @property
    def said(self) -> str:
        """What Traefik has logged in this test."""
        return self.traefik.log.read_text()[self.logged_before :]

    def replica(self, world: World, number: int) -> Replica:
        port = self.upstreams[number - 1]
        return world.replica(f"app-{number}").but(address="127.0.0.1", port=port, routing=RULE)

    async def status(self) -> tuple[int, str]:
        async with self.client.get(self.web) as response:
            return response.status, await response.text()

    async def http(self) -> dict[str, Any]:
        """What Traefik runs by, as its API tells."""
        async with self.client.get(f"{self.traefik.api}/api/rawdata") as response:
            found: dict[str, Any] = await response.json()
            return found

    async def routes_nobody(self) -> bool:
        try:
            routers = (await self.http()).get("routers", {})
        except aiohttp.ClientError:  # it has just been started
            return False
        return not any(name.endswith("@http") for name in routers)

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for a condition that is asked over HTTP; else show Traefik's log."""
        try:
            async with asyncio.timeout(SOON):
                while not await condition():  # noqa: ASYNC110 - asked over HTTP, it tells no event
                    await asyncio.sleep(REST)
        except TimeoutError:
            pytest.fail(f"never came: {what}\n{self.said[-2000:]}")

    async def serves(self, *names: str) -> None:
        """Wait until answers come from exactly these upstreams, in turn."""

        async def spread() -> bool:
            answers = [await self.status() for _ in range(3 * len(names))]
            return set(answers) == {(200, name) for name in names}

        await self.until(spread, f"answers from {', '.join(names)} alone")

    async def shares(self, wanted: Mapping[str, int]) -> None:
        """Wait until this many of as many requests come from each upstream."""

        async def shared() -> bool:
            answers = [(await self.status())[1] for _ in range(sum(wanted.values()))]
            return Counter(answers) == wanted

        await self.until(shared, f"requests shared as {dict(wanted)}")

    async def answers(self, status: int, text: str = "") -> None:
        async def answered() -> bool:
            found, body = await self.status()
            return found == status and text in body

        await self.until(answered, f"status {status} {text}")

    async def polled(self, times: int = 2) -> None:
        """Wait until the provider was visited again, as often as that."""
        target = self.provider.polls + times

        async def visited() -> bool:
            return self.provider.polls >= target

        await self.until(visited, f"{times} polls")


@asynccontextmanager
async def stack_on(one: Traefik) -> AsyncIterator[Stack]:
    """The Traefik, which routes nothing yet, with upstreams of this test's own."""
    one.provider.configuration = NOBODY
    async with AsyncExitStack() as running:
        upstreams = [
            await running.enter_async_context(served(named(f"app-{n}"))) for n in (1, 2, 3)
        ]
        client = await running.enter_async_context(aiohttp.ClientSession())
        stack = Stack(one, client, len(one.log.read_text()), upstreams)
        await stack.until(stack.routes_nobody, "a Traefik that routes nothing")
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


@contextmanager
def traefik(
    endpoint: int, web_port: int, api_port: int, log: Path, path: str = ""
) -> Iterator[None]:
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
    command = ["setpriv", "--pdeathsig", "KILL", str(program), *arguments]
    with log.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as process:
        try:
            yield
        finally:
            process.kill()


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
