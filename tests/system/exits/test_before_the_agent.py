"""What happened before the agent looked is told as far as Docker still knows it, and no further."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from examples.quickstart.tour.condition import Seen, until
from healthagent.checks import exit as exit_check
from healthagent.core.exits import Exits
from healthagent.core.observation import ContainerState, Fact, Observation, Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Status, Verdict
from healthagent.sources.docker import ContainerStateSource, DockerDiscovery, ExitsSource
from provision.engine import Engine
from tests.containers import HEARS_SIGTERM, ON_THE_HOST, Containers, containers

PATIENCE = 90.0

THIRD_TIME_LUCKY = "read n </n || n=0; echo $((n + 1)) >/n; [ $n -ge 2 ] && exec sleep 600; exit 3"
"""It ends twice, and then stays: nothing happens while the agent looks."""


@pytest.fixture
def boxes(engine: Engine) -> Iterator[Containers]:
    with containers(engine) as made:
        yield made


async def judged(boxes: Containers, id_: str) -> tuple[Verdict, Exits]:
    """What an agent that starts now says of it, by its first survey alone."""
    discovery = DockerDiscovery(boxes.engine.host, project=boxes.project)
    target = Target(id=id_, name="box", service="box")
    async with asyncio.timeout(PATIENCE), aclosing(discovery.sightings()) as sightings:  # type: ignore[type-var]
        async for sighting in sightings:
            if sighting.complete:
                break
    facts: dict[type[Fact], Fact | Unseen] = {
        ContainerState: await ContainerStateSource(discovery).look(target, 1.0),
        Exits: await ExitsSource(discovery).look(target, 1.0),
    }
    exits = facts[Exits]
    assert isinstance(exits, Exits), exits
    return exit_check.judge(Observation(target, facts)), exits


async def test_a_stop_that_nobody_saw_is_not_called_a_crash(boxes: Containers) -> None:
    id_ = boxes.run(*HEARS_SIGTERM)
    boxes.docker("kill", id_)
    verdict, exits = await judged(boxes, id_)
    assert (verdict.status, verdict.code) == (Status.UNKNOWN, "unclear")
    (end,) = exits.ends
    assert (end.exit_code, end.asked, end.oom) == (137, None, False)
    assert end.ran_for is not None


async def test_an_error_is_one_whoever_watched(boxes: Containers) -> None:
    id_ = boxes.run("/bin/dash", "-c", "exit 3")
    boxes.docker("wait", id_)
    verdict, _ = await judged(boxes, id_)
    assert (verdict.status, verdict.code) == (Status.FAILED, "error")


async def test_what_docker_restarts_had_not_been_stopped(boxes: Containers) -> None:
    id_ = boxes.run("/bin/dash", "-c", THIRD_TIME_LUCKY, options=f"--restart always {ON_THE_HOST}")

    def stays() -> Seen:
        """Docker counts a restart before it is done."""
        found = boxes.engine.inspect(id_)
        status, count = found["State"]["Status"], found["RestartCount"]
        return Seen(status == "running" and count >= 2, f"{status}, restarted {count} times")

    until("Docker has restarted it twice", stays, within=PATIENCE)
    _, exits = await judged(boxes, id_)
    assert exits.ends[-1].asked is False


async def test_a_replica_that_never_ended_has_no_past(boxes: Containers) -> None:
    verdict, exits = await judged(boxes, boxes.run())
    assert (verdict.status, exits.ends) == (Status.OK, ())
