"""The real Engine: what happens to containers, and to the Engine itself, is sighted."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from healthagent.core.notice import Notice
from healthagent.core.observation import ContainerState, Unseen
from healthagent.core.ports import Sighting
from healthagent.core.target import Target
from healthagent.sources.docker import ContainerStateSource, DockerDiscovery
from healthagent.sources.docker import engine as connection
from provision.engine import SERVICE, Engine
from tests.containers import HEARS_SIGTERM, ON_THE_HOST, Containers, containers

PATIENCE = 60.0
END = 8.0
"""Seconds: fewer than the ten after which ``docker stop`` kills."""


@pytest.fixture
def boxes(engine: Engine) -> Iterator[Containers]:
    with containers(engine) as made:
        yield made


class Follower:
    """Follows a discovery as the watcher does, one sighting after the other."""

    def __init__(self, discovery: DockerDiscovery, sightings: AsyncIterator[Sighting]) -> None:
        self.discovery = discovery
        self.latest = Sighting(())
        self.told: list[Notice] = []
        self._sightings = sightings

    async def until(self, holds: Callable[[Sighting], bool], what: str) -> Sighting:
        """The first sighting from now on in which it holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                async for sighting in self._sightings:
                    self.latest = sighting
                    self.told += sighting.notices
                    if holds(sighting):
                        return sighting
        except TimeoutError:
            raise AssertionError(f"never sighted: {what}; last was {self.latest}") from None
        raise AssertionError("a discovery never ends by itself")

    async def complete(self) -> Sighting:
        return await self.until(lambda sighting: sighting.complete, "all containers")

    def target(self, id_: str) -> Target | None:
        return next((target for target in self.latest.targets if target.id == id_), None)

    def state(self, id_: str) -> ContainerState | Unseen:
        return self.discovery.state_of(Target(id=id_, name="", service=""))

    def status(self, id_: str) -> str:
        state = self.state(id_)
        return state.status if isinstance(state, ContainerState) else f"unseen: {state}"


@asynccontextmanager
async def following(discovery: DockerDiscovery) -> AsyncIterator[Follower]:
    async with aclosing(discovery.sightings()) as sightings:  # type: ignore[type-var]
        yield Follower(discovery, sightings)


@pytest.fixture
async def follower(boxes: Containers) -> AsyncIterator[Follower]:
    """One that has sighted what there is, which is nothing."""
    discovery = DockerDiscovery(boxes.engine.host, project=boxes.project)
    async with following(discovery) as followed:
        await followed.complete()
        yield followed


async def started(follower: Follower, id_: str) -> Target:
    await follower.until(lambda _: follower.status(id_) == "running", "a running container")
    target = follower.target(id_)
    assert target is not None
    return target


async def test_a_labelled_container_is_sighted_as_it_is_declared(
    boxes: Containers, follower: Follower
) -> None:
    labels = {SERVICE: "app", "healthagent.readyz": "/ready"}
    id_ = boxes.run(
        labels=labels,
        options=f"--name {boxes.project}-app-1 --expose 3000 "
        "--env DATABASE_URL=postgres://app:secret@db/shop",
    )
    target = await started(follower, id_)
    assert (target.name, target.service) == (f"{boxes.project}-app-1", "app")
    assert (target.port, target.readyz) == (3000, "/ready")
    assert str(target.database) == "db:5432/shop"
    assert target.address == boxes.engine.address(id_)
    assert "secret" not in repr(target)
    assert follower.latest.notices == ()


async def test_stopped_and_unstarted_containers_are_targets_too(boxes: Containers) -> None:
    created, stopped = boxes.create(), boxes.run()
    boxes.docker("kill", stopped)
    async with following(DockerDiscovery(boxes.engine.host, project=boxes.project)) as follower:
        await follower.complete()
        assert (follower.status(created), follower.status(stopped)) == ("created", "exited")
        assert {target.id for target in follower.latest.targets} == {created, stopped}


async def test_another_projects_containers_and_one_off_ones_are_none_of_ours(
    boxes: Containers, follower: Follower
) -> None:
    boxes.run(labels={"com.docker.compose.oneoff": "True"})
    with containers(boxes.engine) as others:
        others.run()
        id_ = boxes.run()
        await started(follower, id_)
    assert [target.id for target in follower.latest.targets] == [id_]


async def test_the_sighting_that_tells_of_a_death_touches_the_target_and_knows_the_exit_code(
    boxes: Containers, follower: Follower
) -> None:
    id_ = boxes.run(*HEARS_SIGTERM)
    await started(follower, id_)
    boxes.docker("kill", id_)
    sighting = await follower.until(lambda _: follower.status(id_) == "exited", "the death")
    assert id_ in sighting.touched
    state = follower.state(id_)
    assert isinstance(state, ContainerState)
    assert (state.exit_code, state.pid) == (137, 0)


async def test_a_restart_is_sighted_with_its_new_pid_and_start(
    boxes: Containers, follower: Follower
) -> None:
    id_ = boxes.run(*HEARS_SIGTERM)
    target = await started(follower, id_)
    before, pid = follower.state(id_), follower.discovery.pid_of(target)
    boxes.docker("restart", id_)

    def restarted(_: Sighting) -> bool:
        return follower.status(id_) == "running" and follower.discovery.pid_of(target) != pid

    await follower.until(restarted, "the container under another pid")
    after = follower.state(id_)
    assert isinstance(before, ContainerState)
    assert isinstance(after, ContainerState)
    assert after.started_at > before.started_at


async def test_a_pause_is_sighted_and_its_end(boxes: Containers, follower: Follower) -> None:
    id_ = boxes.run()
    await started(follower, id_)
    boxes.docker("pause", id_)
    paused = await follower.until(lambda _: follower.status(id_) == "paused", "the pause")
    assert id_ in paused.touched
    boxes.docker("unpause", id_)
    resumed = await follower.until(lambda _: follower.status(id_) == "running", "its end")
    assert id_ in resumed.touched


async def test_what_is_executed_in_a_container_is_no_news(
    boxes: Containers, follower: Follower
) -> None:
    """Every HEALTHCHECK is an exec: some thousand events an hour and container."""
    id_ = boxes.run()
    await started(follower, id_)
    boxes.docker("pause", id_)
    await follower.until(lambda _: follower.status(id_) == "paused", "all news of its start")
    boxes.docker("unpause", id_)
    await follower.until(lambda _: follower.status(id_) == "running", "the last news")
    for _ in range(5):
        boxes.docker("exec", id_, "/bin/dash", "-c", ":")
    boxes.docker("pause", id_)
    await follower.until(lambda _: True, "the next sighting")
    assert follower.status(id_) == "paused", "the pause is the next that is heard"


async def test_a_rename_is_sighted(boxes: Containers, follower: Follower) -> None:
    id_ = boxes.run()
    await started(follower, id_)
    boxes.docker("rename", id_, f"{boxes.project}-renamed")
    sighting = await follower.until(
        lambda sighting: sighting.targets[0].name == f"{boxes.project}-renamed", "the new name"
    )
    assert [target.id for target in sighting.targets] == [id_]


async def test_a_removed_container_is_a_target_no_more(
    boxes: Containers, follower: Follower
) -> None:
    id_ = boxes.run()
    await started(follower, id_)
    boxes.engine.remove(id_)
    await follower.until(lambda sighting: sighting.targets == (), "its removal")
    assert isinstance(follower.state(id_), Unseen)


async def test_containers_that_vanish_while_they_are_inspected_are_no_fault(
    boxes: Containers, follower: Follower
) -> None:
    for _ in range(5):
        boxes.run("/bin/dash", "-c", ":", options=f"--rm {ON_THE_HOST}")
    id_ = boxes.run()
    await follower.until(
        lambda sighting: [target.id for target in sighting.targets] == [id_],
        "the one that lives, alone",
    )
    assert follower.latest.complete, "the connection to the Engine was never given up"
    assert follower.latest.notices == ()


async def test_a_label_that_cannot_be_read_is_one_notice_and_disturbs_nobody(
    boxes: Containers, follower: Follower
) -> None:
    name = f"{boxes.project}-typo"
    boxes.run(labels={"healthagent.enable": "ture"}, options=f"--name {name} {ON_THE_HOST}")
    id_ = boxes.run()
    sighting = await follower.until(lambda s: bool(s.targets and s.notices), "target and notice")
    assert [target.id for target in sighting.targets] == [id_]
    (notice,) = sighting.notices
    assert (notice.about, notice.key, notice.value) == (name, "healthagent.enable", "ture")
    assert notice.remedy == "write true or false"


async def test_the_address_is_on_a_network_that_the_agents_own_container_shares(
    boxes: Containers,
) -> None:
    aside, shared = boxes.network("a-side"), boxes.network("shared")
    own = boxes.run(labels={"healthagent.enable": "false"}, options=f"--network {shared}")
    id_ = boxes.run(options=f"--network {aside}")
    discovery = DockerDiscovery(boxes.engine.host, project=boxes.project, own_ids=("0" * 64, own))
    async with following(discovery) as follower:
        target = await started(follower, id_)
        assert target.address == boxes.engine.address(id_, aside), "none is shared: any is tried"

        boxes.docker("network", "connect", shared, id_)
        on_shared = boxes.engine.address(id_, shared)
        await follower.until(lambda s: s.targets[0].address == on_shared, "the shared address")
        assert set(follower.latest.targets[0].addresses) == {target.address, on_shared}

        boxes.docker("network", "connect", aside, own)
        boxes.docker("network", "disconnect", shared, own)
        await follower.until(
            lambda s: s.targets[0].address == target.address, "the address the agent moved to"
        )


async def test_a_container_that_shares_anothers_network_is_at_its_address(
    boxes: Containers, follower: Follower
) -> None:
    lender = boxes.run(options="--network bridge")
    id_ = boxes.run(options=f"--network container:{lender}")

    def settled(_: Sighting) -> bool:
        return {follower.status(lender), follower.status(id_)} == {"running"}

    await follower.until(settled, "both")
    borrowing, lent = follower.target(id_), follower.target(lender)
    assert borrowing is not None
    assert lent is not None
    assert borrowing.address == lent.address is not None


async def test_so_it_is_where_that_one_is_on_the_hosts(
    boxes: Containers, follower: Follower
) -> None:
    lender = boxes.run(options="--network host")
    borrowing = await started(follower, boxes.run(options=f"--network container:{lender}"))
    assert borrowing.address == "127.0.0.1"


SPOKEN = b" HTTP/1.1\r\n"
"""The end of a request's first line, as docker-py writes it."""


class Forwarder:
    """Stands between the agent and the Engine's socket, and breaks as the Engine may break."""

    def __init__(self, path: Path, engine: Engine) -> None:
        assert engine.socket is not None
        self.url = f"unix://{path}"
        self._path = path
        self._engine = engine.socket
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._version = SPOKEN

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._connect, self._path)

    async def cut(self) -> None:
        """The Engine ends: its socket file is gone, and all connections with it."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)
        await self.drop()

    async def drop(self) -> None:
        """All connections break, and whoever comes anew is let in."""
        pipes = tuple(self._pipes)
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)

    def stall(self) -> None:
        """The Engine hangs: it takes connections and says nothing."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def unchunk(self) -> None:
        """What stands before the Engine asks it in HTTP/1.0: what has no length ends with its
        connection."""
        self._version = b" HTTP/1.0\r\n"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_unix_connection(self._engine)
        for source, sink in ((reader, forth), (back, writer)):
            pipe = asyncio.create_task(self._pipe(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                await self._flowing.wait()
                sink.write(piece.replace(SPOKEN, self._version))
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()


@pytest.fixture
async def forwarder(boxes: Containers, tmp_path: Path) -> AsyncIterator[Forwarder]:
    if boxes.engine.socket is None:
        pytest.skip("the Engine has no unix socket that could be cut")
    between = Forwarder(tmp_path / "docker.sock", boxes.engine)
    await between.open()
    yield between
    await between.cut()


async def test_while_the_socket_is_gone_targets_stay_and_the_state_is_unseen(
    boxes: Containers, forwarder: Forwarder
) -> None:
    id_ = boxes.run()
    discovery = DockerDiscovery(forwarder.url, project=boxes.project)
    async with following(discovery) as follower:
        await follower.complete()
        before = follower.latest.targets
        await forwarder.cut()

        gone = await follower.until(lambda sighting: not sighting.complete, "the socket's absence")
        assert gone.targets == before
        assert [notice.about for notice in gone.notices] == ["docker"]
        assert "there is no socket" in gone.notices[0].problem, "the cause, and nothing before it"
        assert gone.notices[0].remedy
        looked = await ContainerStateSource(discovery).look(before[0], 1.0)
        assert isinstance(looked, Unseen)
        assert discovery.pid_of(before[0]), "the process can still be looked at"

        boxes.docker("kill", id_)
        boxes.run(options=f"--name {boxes.project}-newcomer")
        await forwarder.open()
        back = await follower.complete()
        assert back.notices == ()
        assert len(back.targets) == 2, "what was started meanwhile is known"
        assert follower.status(id_) == "exited", "and so is what died"


async def test_after_the_socket_came_back_events_are_heard_again(
    boxes: Containers, forwarder: Forwarder
) -> None:
    id_ = boxes.run()
    async with following(DockerDiscovery(forwarder.url, project=boxes.project)) as follower:
        await follower.complete()
        await forwarder.cut()
        await follower.until(lambda sighting: not sighting.complete, "the socket's absence")
        await forwarder.open()
        await follower.complete()
        boxes.docker("pause", id_)
        await follower.until(lambda _: follower.status(id_) == "paused", "an event")


async def test_a_connection_that_breaks_once_is_no_outage(
    boxes: Containers, forwarder: Forwarder
) -> None:
    id_ = boxes.run()
    async with following(DockerDiscovery(forwarder.url, project=boxes.project)) as follower:
        await follower.complete()
        await forwarder.drop()
        boxes.docker("pause", id_)
        paused = await follower.until(lambda _: follower.status(id_) == "paused", "an event")
        assert paused.complete
        assert follower.told == [], "nothing was said of a connection that was back at once"


async def test_an_engine_that_hangs_is_found_out_and_heard_again(
    boxes: Containers, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE", 0.3)
    monkeypatch.setattr(connection, "DEADLINE", 0.5)
    id_ = boxes.run()
    async with following(DockerDiscovery(forwarder.url, project=boxes.project)) as follower:
        await follower.complete()
        forwarder.stall()
        hung = await follower.until(lambda sighting: not sighting.complete, "that it hangs")
        assert "does not answer" in hung.notices[0].problem
        forwarder.resume()
        await follower.complete()
        assert follower.status(id_) == "running"


async def test_events_that_are_not_chunked_are_heard_as_they_come(
    boxes: Containers, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RESYNC", 2 * PATIENCE)  # which would find it too
    forwarder.unchunk()
    async with following(DockerDiscovery(forwarder.url, project=boxes.project)) as follower:
        await follower.complete()
        await started(follower, boxes.run())


async def test_silence_alone_is_no_loss(boxes: Containers, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without events they are asked for anew, and none is missed meanwhile."""
    monkeypatch.setattr(connection, "IDLE", 0.1)
    async with following(DockerDiscovery(boxes.engine.host, project=boxes.project)) as impatient:
        await impatient.complete()
        ids = []
        for _ in range(3):
            ids.append(boxes.run())
            await started(impatient, ids[-1])
        for id_ in ids:
            boxes.docker("pause", id_)
            paused = partial(lambda id_, _: impatient.status(id_) == "paused", id_)
            await impatient.until(paused, "a pause")
            assert impatient.latest.notices == ()


async def test_where_there_is_no_socket_the_first_notice_names_it_and_the_remedy(
    tmp_path: Path,
) -> None:
    path = tmp_path / "docker.sock"
    async with following(DockerDiscovery(f"unix://{path}")) as follower:
        sighting = await follower.until(lambda sighting: bool(sighting.notices), "a notice")
    assert not sighting.complete
    assert str(sighting.notices[0]) == (
        f"docker: there is no socket {path}; "
        "start the Docker Engine, or mount its socket into the agent's container"
    )


async def test_a_socket_that_nobody_listens_at_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unheard:
        unheard.bind(str(tmp_path / "docker.sock"))
        async with following(DockerDiscovery(f"unix://{tmp_path}/docker.sock")) as follower:
            sighting = await follower.until(lambda sighting: bool(sighting.notices), "a notice")
    assert sighting.notices[0].problem.startswith("nothing listens at")


def threads_of_docker() -> list[threading.Thread]:
    found = [thread for thread in threading.enumerate() if thread.name.startswith("docker")]
    return [thread for thread in found if thread.is_alive()]  # not one that is about to be


async def test_closing_ends_the_threads(boxes: Containers) -> None:
    async with following(DockerDiscovery(boxes.engine.host, project=boxes.project)) as follower:
        await follower.complete()
        async with asyncio.timeout(END):  # those that inspect begin once all were told
            while len(threads := threads_of_docker()) < 2 + connection.SIDE_BY_SIDE:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert len(threads) == 2 + connection.SIDE_BY_SIDE, (
            "one follows events, one surveys, some inspect"
        )
    for thread in threads:
        thread.join(END)
    assert threads_of_docker() == []


FOLLOWS = """
import asyncio, signal, sys
from healthagent.sources.docker import DockerDiscovery
async def follow():
    async for sighting in DockerDiscovery(sys.argv[1]).sightings():
        print(sighting.complete, flush=True)
async def main():
    task = asyncio.create_task(follow())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait([task])
asyncio.run(main())
"""


@pytest.mark.parametrize("engine_hangs", [False, True], ids=["Engine answers", "Engine hangs"])
def test_a_program_that_follows_an_engine_ends_when_it_is_told_to(
    engine: Engine, tmp_path: Path, engine_hangs: bool
) -> None:
    url = f"unix://{tmp_path}/docker.sock" if engine_hangs else engine.host
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "docker.sock"))
        mute.listen()
        with subprocess.Popen(
            [sys.executable, "-c", FOLLOWS, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout is not None
            for _ in range(1 if engine_hangs else 2):
                program.stdout.readline()
            os.kill(program.pid, signal.SIGTERM)
            try:
                _, complaint = program.communicate(timeout=END)
            finally:
                with suppress(ProcessLookupError):
                    program.kill()
    assert (program.returncode, complaint) == (0, ""), "it ends in time, and without a traceback"
