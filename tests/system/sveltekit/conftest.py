"""The order desk's real stack, up once for all tests that need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.acceptance.collector import Collector
from benchmarks.acceptance.desk import Desk
from provision import agent, desk, images, owner, projects
from provision.engine import Engine
from tests import standing

REPLICAS = 3
START = 120.0
HEALED = 90.0
BUILT = 600.0
"""Seconds for the first test, which may find no image yet."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-timeout counts a test's fixtures too."""
    for item in items:
        if "order_desk" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(BUILT))


@pytest.fixture(scope="module")
def collector() -> Collector:
    return standing.for_group(Collector)


@pytest.fixture(scope="module")
def order_desk(engine: Engine, collector: Collector) -> Desk:
    return standing.for_group(running, engine, collector)


@contextmanager
def running(engine: Engine, collector: Collector) -> Iterator[Desk]:
    """The stack, up and ready; gone in the end."""
    projects.sweep(engine)
    images.ensure(engine)
    agent.ensure(engine)
    desk.ensure(engine)
    found = Desk(
        engine,
        owner.new_name("desk"),
        {
            # The machine has other tests to run.
            "PRISMA_POOL_CONNECT_MS": "8000",
            "READY_TIMEOUT_MS": "5000",
            "WORK_MS": "200",
            "ORPHANED_MS": "4000",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url(engine),
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        },
    )
    try:
        found.up(REPLICAS)
        found.wait_until_ready(REPLICAS, within=START)
        yield found
    finally:
        found.down()


@pytest.fixture(scope="session")
def node(engine: Engine) -> str:
    """The image of the way back."""
    desk.ensure(engine, wanted=(desk.NODE,))
    return desk.NODE


@pytest.fixture
def stack(order_desk: Desk) -> Desk:
    """Three replicas, all ready, whatever the test before did to them."""
    if not order_desk.is_ready(REPLICAS):
        order_desk.scale(REPLICAS)
        order_desk.wait_until_ready(REPLICAS, within=HEALED)
    return order_desk
