"""What every discovery promises the watcher: the fake and the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from healthagent.core.ports import Discovery, Sighting
from healthagent.core.target import Target
from healthagent.sources.docker import DockerDiscovery
from healthagent.sources.fake import FakeDiscovery
from healthagent.sources.static import StaticDiscovery
from provision.engine import Engine
from tests.containers import Containers, containers

AMPLE = 20.0
TARGET = Target(id="static:app", name="app", service="app")


@pytest.fixture(scope="module")
def boxes(engine: Engine) -> Iterator[Containers]:
    with containers(engine) as made:
        made.run(options=f"--name {made.project}-app-1")
        yield made


CASES: dict[str, Callable[[Path], Discovery]] = {
    "fake": lambda _: FakeDiscovery(TARGET),
    "static": lambda _: StaticDiscovery([TARGET]),
    "pid file": lambda folder: StaticDiscovery([TARGET], pidfiles={TARGET.id: folder / "pid"}),
}


@pytest.fixture(params=[*CASES, "docker"])
def discovery(request: pytest.FixtureRequest, tmp_path: Path) -> Discovery:
    if request.param in CASES:
        return CASES[request.param](tmp_path)
    made: Containers = request.getfixturevalue("boxes")
    return DockerDiscovery(made.engine.host, project=made.project)


def closing(sightings: AsyncIterator[Sighting]) -> Any:
    """Ends it at the end of the block: every discovery's sightings are a generator."""
    return aclosing(sightings)


async def complete(sightings: AsyncIterator[Sighting]) -> Sighting:
    async with asyncio.timeout(AMPLE):
        async for sighting in sightings:
            if sighting.complete:
                return sighting
    raise AssertionError("a discovery never ends by itself")


async def test_it_has_a_name(discovery: Discovery) -> None:
    assert discovery.name


async def test_a_sighting_comes_at_once(discovery: Discovery) -> None:
    async with closing(discovery.sightings()) as sightings, asyncio.timeout(AMPLE):
        assert isinstance(await anext(sightings), Sighting)


async def test_a_complete_sighting_has_every_target_once(discovery: Discovery) -> None:
    async with closing(discovery.sightings()) as sightings:
        targets = (await complete(sightings)).targets
    assert len(targets) == 1
    assert targets[0].name.endswith(("app", "app-1"))


async def test_it_can_be_closed_while_it_waits(discovery: Discovery) -> None:
    sightings = discovery.sightings()
    await complete(sightings)
    waiting = asyncio.create_task(complete(sightings))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=AMPLE)
    assert waiting.cancelled(), "a discovery lets itself be cancelled"


async def test_it_can_be_followed_again(discovery: Discovery) -> None:
    if isinstance(discovery, FakeDiscovery):
        discovery.show([TARGET])
    for _ in range(2):
        async with closing(discovery.sightings()) as sightings:
            assert len((await complete(sightings)).targets) == 1


async def test_the_fake_tells_what_it_was_shown() -> None:
    fake = FakeDiscovery()
    async with closing(fake.sightings()) as sightings:
        assert await anext(sightings) == Sighting(())
        fake.show([TARGET], touched=[TARGET.id], complete=False)
        assert await anext(sightings) == Sighting((TARGET,), frozenset({TARGET.id}), complete=False)
