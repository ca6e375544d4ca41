"""Real servers and clients are shown reports that real checks have made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.surfaces.traefik import Stack, Traefik, shared, stack_on
from tests.unit.surfaces.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def traefik(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traefik]:
    with shared(tmp_path_factory.mktemp("traefik")) as running:
        yield running


@pytest.fixture
async def stack(traefik: Traefik) -> AsyncIterator[Stack]:
    async with stack_on(traefik) as running:
        yield running
