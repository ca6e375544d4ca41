"""Real servers and clients are shown reports that real checks have made."""

from __future__ import annotations

import pytest

from tests.unit.surfaces.world import World


@pytest.fixture
def world() -> World:
    return World()
