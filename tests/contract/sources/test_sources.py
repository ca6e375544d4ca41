"""What every source promises the watcher: the fake and the real ones, on real things."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import pytest

from healthagent.core.observation import (
    ClientPorts,
    ContainerState,
    Fact,
    Process,
    ProcessTree,
    Unseen,
)
from healthagent.core.ports import Source
from healthagent.core.target import Target
from healthagent.sources.docker import ContainerStateSource, DockerDiscovery, DockerTop, ExitsSource
from healthagent.sources.fake import FakeSource
from healthagent.sources.first_seen import FirstSeen
from healthagent.sources.procfs import ClientPortsSource, ProcessTreeSource
from provision.engine import Engine
from tests.containers import HEARS_SIGTERM, Containers, containers

AMPLE = 5.0
STRANGER = Target(id="static:stranger", name="stranger", service="stranger")
LOST_CONTAINER = Target(id="0" * 64, name="lost", service="lost")


@dataclass(frozen=True, slots=True)
class Case:
    """A source, and a target of which it has a fact."""

    source: Source
    target: Target


@pytest.fixture(scope="module")
def local() -> Iterator[Target]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield Target(id="static:app", name="app", service="app", pid=process.pid)
        process.kill()


@pytest.fixture(scope="module")
def boxes(engine: Engine) -> Iterator[Containers]:
    with containers(engine) as made:
        yield made


@pytest.fixture(scope="module")
def box(boxes: Containers) -> str:
    return boxes.run(*HEARS_SIGTERM, options="--network none")  # where nothing else listens


@pytest.fixture
async def discovery(boxes: Containers, box: str) -> AsyncIterator[DockerDiscovery]:
    found = DockerDiscovery(boxes.engine.host, project=boxes.project)
    sightings = found.sightings()
    async for sighting in sightings:
        if sighting.complete:
            break
    yield found
    await sightings.aclose()  # type: ignore[attr-defined]


def pid_of(target: Target) -> int | None:
    return target.pid


CASES: dict[str, Callable[[Target], Source]] = {
    "fake": lambda target: FakeSource(ProcessTree, {target.id: ProcessTree(())}),
    "procfs": lambda _: ProcessTreeSource(pid_of),
    "client ports": lambda _: ClientPortsSource(pid_of),
    "first seen": lambda _: FirstSeen(FakeSource(ProcessTree), ProcessTreeSource(pid_of)),
}
DOCKER_CASES: dict[str, Callable[[DockerDiscovery, str], Source]] = {
    "container state": lambda found, _: ContainerStateSource(found),
    "exits": lambda found, _: ExitsSource(found),
    "container procfs": lambda found, _: ProcessTreeSource(found.pid_of),
    "docker top": lambda found, host: DockerTop(host, found.pid_of),
}


@pytest.fixture(params=[*CASES, *DOCKER_CASES])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param in CASES:
        target: Target = request.getfixturevalue("local")
        return Case(CASES[request.param](target), target)
    found: DockerDiscovery = request.getfixturevalue("discovery")
    made: Containers = request.getfixturevalue("boxes")
    target = Target(id=request.getfixturevalue("box"), name="box", service="box")
    return Case(DOCKER_CASES[request.param](found, made.engine.host), target)


async def test_a_look_gives_the_sources_kind_of_fact(case: Case) -> None:
    fact = await case.source.look(case.target, AMPLE)
    assert isinstance(fact, case.source.kind), fact
    assert issubclass(case.source.kind, Fact)


@pytest.mark.parametrize("target", [STRANGER, LOST_CONTAINER], ids=["static", "container"])
async def test_a_target_that_it_knows_nothing_of_is_unseen_with_a_reason(
    case: Case, target: Target
) -> None:
    fact = await case.source.look(target, AMPLE)
    assert isinstance(fact, Unseen), f"{case.source.kind.__name__} of a stranger: {fact}"
    assert fact.reason


async def test_looks_at_once_do_not_disturb_one_another(case: Case) -> None:
    facts = await asyncio.gather(*(case.source.look(case.target, AMPLE) for _ in range(8)))
    assert {type(fact) for fact in facts} == {case.source.kind}


async def test_a_look_that_hangs_ends_by_its_deadline() -> None:
    source = FakeSource(ProcessTree)
    source.hang(STRANGER.id)
    assert isinstance(await source.look(STRANGER, 0.01), Unseen)


async def test_a_look_that_hangs_sees_an_answer_that_comes_in_time() -> None:
    source = FakeSource(ProcessTree)
    source.hang(STRANGER.id)
    look = asyncio.create_task(source.look(STRANGER, AMPLE))
    await asyncio.sleep(0)
    assert source.looks == [STRANGER.id], "the look has begun"
    source.answer(STRANGER.id, tree := ProcessTree(()))
    assert await look is tree


@pytest.fixture
def ended() -> int:
    """The pid of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


async def test_a_process_that_ended_is_an_empty_tree(ended: int) -> None:
    target = Target(id="static:ended", name="ended", service="ended", pid=ended)
    assert await ProcessTreeSource(pid_of).look(target, AMPLE) == ProcessTree(())
    assert await ClientPortsSource(pid_of).look(target, AMPLE) == ClientPorts(frozenset())


@pytest.fixture(params=["procfs", "docker top"])
async def trees(request: pytest.FixtureRequest, discovery: DockerDiscovery) -> Source:
    made: Containers = request.getfixturevalue("boxes")
    return DOCKER_CASES["container procfs" if request.param == "procfs" else "docker top"](
        discovery, made.engine.host
    )


async def seen(source: Source, box: str) -> tuple[Process, ProcessTree]:
    tree = await source.look(Target(id=box, name="box", service="box"), AMPLE)
    assert isinstance(tree, ProcessTree), tree
    assert tree.root is not None, "the container runs"
    return tree.root, tree


async def test_both_ways_to_see_a_container_tell_the_same_of_its_first_process(
    trees: Source, box: str, discovery: DockerDiscovery
) -> None:
    root, tree = await seen(trees, box)
    assert root.pid == discovery.pid_of(Target(id=box, name="box", service="box"))
    assert (root.comm, root.cmdline[0]) == ("dash", "/bin/dash")
    assert root.state in "SRD", "it sleeps most of the time"
    assert root.age is not None
    assert root.age >= 0
    assert all(child.ppid == root.pid for child in tree.processes[1:])


async def test_what_docker_exec_started_is_not_in_the_tree(
    trees: Source, boxes: Containers, box: str
) -> None:
    boxes.docker("exec", "--detach", box, "/bin/sleep", "7200")
    _, tree = await seen(trees, box)
    assert "7200" not in {word for process in tree.processes for word in process.cmdline}


async def test_procfs_tells_the_handler_and_the_pid_inside(
    discovery: DockerDiscovery, box: str
) -> None:
    root, tree = await seen(ProcessTreeSource(discovery.pid_of), box)
    assert (root.ns_pid, root.catches_sigterm) == (1, True)
    assert tree.accept_queue == {}, "nothing listens in the container"


async def test_a_pid_that_is_another_containers_is_not_taken_for_this_one(
    boxes: Containers, box: str, discovery: DockerDiscovery
) -> None:
    source = ProcessTreeSource(lambda _: discovery.pid_of(Target(id=box, name="b", service="b")))
    fact = await source.look(LOST_CONTAINER, AMPLE)
    assert isinstance(fact, Unseen), "a pid may have gone to another process, or be hidden"
    assert "pid: host" in fact.remedy


async def test_the_state_tells_the_pid_and_the_start(discovery: DockerDiscovery, box: str) -> None:
    state = await ContainerStateSource(discovery).look(
        Target(id=box, name="box", service="box"), AMPLE
    )
    assert isinstance(state, ContainerState)
    assert state.status == "running"
    assert state.pid > 1
    assert state.started_at > 0
