"""What every router promises an act: the fake, and the real Traefik, asked and only polled by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from healthagent.core.report import Report
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.supervisor.fake import FakeRouter
from healthagent.supervisor.ports import Router
from healthagent.supervisor.traefik import TraefikRouter
from healthagent.surfaces.http import HttpSurface
from tests.contract.surfaces.traefik import RULE, free_ports, named, served, traefik
from tests.unit.supervisor.scenes import drained
from tests.unit.surfaces.world import World

AMPLE = 30.0
THROTTLE = 0.02  # as that Traefik is started


@dataclass
class Case:
    """A router before two replicas, of which the second can be drained."""

    router: Router
    target: Target
    whole: Report
    surface: HttpSurface | None = None
    url: str = ""
    sure: bool = False
    """Whether it was Traefik itself that told. What follows from its polls is true after the time
    that Traefik takes, which on a busy machine may be longer."""

    def show(self, *, routed: bool) -> None:
        seen = self.whole if routed else drained(self.whole, self.target.name, Drain("", "", 1.0))
        if self.surface is not None:
            self.surface.publish(seen, ())

    async def answering(self, requests: int = 8) -> set[str]:
        """Who answers users now."""
        found = set()
        async with aiohttp.ClientSession() as client:
            for _ in range(requests):
                async with client.get(self.url) as response:
                    found.add(await response.text())
        return found


@pytest.fixture(params=["fake", "polled by", "asked"])
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    world = World()
    async with AsyncExitStack() as running:
        ports = [await running.enter_async_context(served(named(f"app-{n}"))) for n in (1, 2)]
        one, two = (
            world.replica(f"app-{n}").but(
                id=f"static:app-{n}", address="127.0.0.1", port=port, routing=RULE
            )
            for n, port in enumerate(ports, 1)
        )
        whole = world.report(one, two)
        if request.param == "fake":
            yield Case(FakeRouter(), two.target, whole)
            return
        surface = HttpSurface(("127.0.0.1", free_ports(1)[0]))
        bound = await running.enter_async_context(surface.serve())
        web_port, api_port = free_ports(2)
        start = traefik(bound.listen[1], web_port, api_port, tmp_path / "log", "traefik")
        running.enter_context(start)
        api = f"http://127.0.0.1:{api_port}" if request.param == "asked" else None
        router = TraefikRouter(lambda: surface.told, api, THROTTLE)
        yield Case(
            router, two.target, whole, surface, f"http://127.0.0.1:{web_port}", api is not None
        )


async def test_a_change_is_there_once_it_says_so(case: Case) -> None:
    both = {"app-1", "app-2"}
    case.show(routed=True)
    await serves(case, both)
    for routed, who in ((False, {"app-1"}), (True, both)):
        case.show(routed=routed)
        assert await case.router.settles(case.target, routed, AMPLE) is True
        if case.sure:
            assert await case.answering() == who
        await serves(case, who)


async def serves(case: Case, names: set[str]) -> None:
    """Until Traefik, which has just been started, does."""

    async def does() -> bool:
        with suppress(aiohttp.ClientConnectionError):
            return await case.answering() == names
        await asyncio.sleep(0.05)
        return False

    async with asyncio.timeout(AMPLE):
        while case.url and not await does():
            pass
