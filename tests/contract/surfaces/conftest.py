"""Real servers and clients are shown reports that real checks have made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.surfaces.traefik import Stack, stack_in
from tests.unit.surfaces.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with stack_in(tmp_path) as running:
        yield running
