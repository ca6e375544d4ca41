"""Sources are tested on the event loop that the agent runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from provision.local_postgres import LocalPostgres
from tests.contract.sources import postgres_server


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def server() -> Iterator[LocalPostgres]:
    with postgres_server.serving() as postgres:
        yield postgres


@pytest.fixture
def postgres(server: LocalPostgres) -> Iterator[LocalPostgres]:
    """A real server, running and thawed before and after each test."""
    yield server
    postgres_server.thaw(server)
    server.start()
