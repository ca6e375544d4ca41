"""The real stack that the system tests share, and agents of their own for those that harm one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.quickstart.tour.condition import NotReached
from provision import agent as agent_image
from provision import app, images, owner
from provision.engine import Engine
from tests import standing
from tests.system.agent import AgentProcess, assert_sound
from tests.system.quickstart import DATABASE, Quickstart

START = 180.0
HEALED = 90.0
SETTLED = 30.0

BUILT = 600.0
"""Seconds for the first test, which may find no image of the agent or of the app yet."""

StartAgent = Callable[..., AgentProcess]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-timeout counts a test's fixtures too."""
    for item in items:
        if "quickstart" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(BUILT))


@pytest.fixture(scope="module")
def quickstart(engine: Engine) -> Quickstart:
    """The stack, up once for all tests of its group."""
    return standing.for_group(running, engine)


@contextmanager
def running(engine: Engine, *services: str) -> Iterator[Quickstart]:
    """A stack, or these services of it, up and ready; gone in the end. By then its agent's whole
    log must be sound."""
    images.ensure(engine)
    agent_image.ensure(engine)
    app.ensure(engine)
    found = Quickstart(engine, owner.new_name("sys"))
    try:
        found.compose.up(*services)
        found.agent.wait_until_ready(found.replicas, within=START)
        yield found
        assert_sound(found.logs(found.container("agent")), found.secrets)
    finally:
        found.heal()
        found.compose.down()


@pytest.fixture
def stack(quickstart: Quickstart) -> Quickstart:
    """The stack with all ready and served, whatever the test before did to it."""
    try:
        quickstart.agent.wait_until_ready(quickstart.replicas, within=SETTLED)
    except (NotReached, ValueError):
        quickstart.heal()
        quickstart.agent.wait_until_ready(quickstart.replicas, within=HEALED)
    quickstart.wait_until_served_by(quickstart.replicas)
    return quickstart


@pytest.fixture
def start_agent(
    stack: Quickstart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartAgent]:
    """Starts agents of the test's own that watch the stack from outside; variables may differ.

    Whatever was done to it, an agent's log is sound in the end.
    """
    started: list[AgentProcess] = []

    def start(**variables: str) -> AgentProcess:
        folder: Path = tmp_path_factory.mktemp("agent")
        agent = AgentProcess(folder, watching(stack) | variables)
        started.append(agent)
        return agent

    try:
        yield start
    finally:
        for agent in started:
            agent.stop()
    for agent in started:
        assert_sound(agent.output, stack.secrets)


def watching(stack: Quickstart) -> dict[str, str]:
    """What lets an agent outside Docker watch the stack: it cannot resolve the name *postgres*."""
    return {
        "HEALTHAGENT_DOCKER_HOST": stack.engine.host,
        "HEALTHAGENT_DOCKER_PROJECT": stack.project,
        "HEALTHAGENT_DEFAULTS_DATABASE": DATABASE,
        f"HEALTHAGENT_DATABASES_{DATABASE.upper()}_HOST": stack.address(
            stack.container("postgres")
        ),
        "HEALTHAGENT_POSTGRES_USER": "healthagent",
        "HEALTHAGENT_POSTGRES_PASSWORD": stack.secret("healthagent"),
    }
