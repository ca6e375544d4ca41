"""One container of which the Engine does not tell is no loss of the Engine."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from docker.errors import APIError
from urllib3.exceptions import ReadTimeoutError

from healthagent.core.notice import Notice
from healthagent.core.target import Target
from healthagent.docker_api import ANEW
from healthagent.sources.docker import DockerDiscovery, discovery
from healthagent.sources.docker import engine as connection
from healthagent.sources.docker.engine import Engine
from healthagent.sources.docker.messages import Inspected, Lost, Message, Surveyed, Untold

AMPLE = 30.0
SICK = "b" * 64


def document(id_: str) -> dict[str, Any]:
    return {"Id": id_, "Name": f"/app-{id_[:1]}", "State": {"Status": "running", "Pid": 7}}


@dataclass(frozen=True)
class Stream:
    """What one subscription brings before it goes idle or ends; times in nanoseconds."""

    times: tuple[int, ...]
    goes_idle: bool

    @property
    def pieces(self) -> Iterator[bytes]:
        """Each event in two, since nothing promises that they come whole."""
        for at in self.times:
            told = {"Type": "container", "Action": "kill", "Actor": {"ID": SICK}, "timeNano": at}
            line = json.dumps(told).encode()
            yield line[:9]
            yield line[9:] + b"\n"


class Daemon:
    """In place of docker-py's client, of an Engine with these containers. ``inspecting`` is what
    happens to who inspects one; ``own`` is what is told of the second one beside the usual."""

    base_url, api_version = "http+docker://localhost", "1.41"

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.inspecting: Callable[[str], None] = lambda _: None
        self.own: dict[str, Any] = {}
        self.options: list[str] | requests.RequestException = ["name=seccomp,profile=default"]
        self.pings = True
        self.subscriptions: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.streams: list[Stream] = []
        self._pieces: Iterator[bytes] = iter(())
        self._ended = threading.Event()

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return [{"Id": id_, "Names": [f"/app-{id_[:1]}"]} for id_ in self.ids]

    def inspect_container(self, id_: str) -> dict[str, Any]:
        self.inspecting(id_)
        return document(id_) | (self.own if id_ == SICK else {})

    def info(self) -> dict[str, Any]:
        if isinstance(self.options, requests.RequestException):
            raise self.options
        return {"SecurityOptions": self.options}

    def ping(self) -> bool:
        if not self.pings:
            raise requests.ConnectionError(ConnectionRefusedError())
        return True

    def get(self, url: str, params: Mapping[str, str], **_: object) -> Daemon:
        assert url.endswith("/events")
        self.subscriptions.put(params["since"])
        self._pieces = self._told()
        return self

    def raise_for_status(self) -> None:
        pass

    @property
    def raw(self) -> Daemon:
        return self

    def read1(self) -> bytes:
        return next(self._pieces, b"")

    def _told(self) -> Iterator[bytes]:
        if not self.streams:
            self._ended.wait(AMPLE)
            return
        stream = self.streams.pop(0)
        yield from stream.pieces
        if stream.goes_idle:
            raise ReadTimeoutError(None, None, None)  # type: ignore[arg-type]

    def close(self) -> None:
        pass

    def end(self) -> None:
        self._ended.set()


async def learned(engine: Engine) -> AsyncIterator[Message]:
    async with asyncio.timeout(AMPLE):
        while True:
            for message in await engine.messages():
                yield message


async def first(engine: Engine) -> Message:
    return await anext(learned(engine))


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    daemon = Daemon("a" * 64, SICK, "c" * 64)
    monkeypatch.setattr(connection, "connect", lambda _: daemon)
    yield daemon
    daemon.end()


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine("unix:///none", None, ())
    yield engine
    engine.close()


def fails(error: Exception) -> Callable[[str], None]:
    def inspecting(id_: str) -> None:
        if id_ == SICK:
            raise error

    return inspecting


def said(message: Message) -> dict[str, str]:
    """The containers of a survey by the first letter of their ids: their names, or why not."""
    assert isinstance(message, Surveyed), message
    return {told.id[:1]: _said(told) for told in message.containers}


def _said(told: Inspected | Untold) -> str:
    if isinstance(told, Untold):
        return told.why
    return told.container.name if told.container else "there is none"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (requests.ReadTimeout(), "the Engine at /none does not answer within 3 s"),
        (APIError("500", explanation="layer does not exist"), "layer does not exist"),
        (KeyError("Id"), "healthagent's own source failed: KeyError('Id')"),
    ],
    ids=["it hangs", "it fails", "it cannot be read"],
)
async def test_a_survey_tells_of_all_others(
    daemon: Daemon, engine: Engine, error: Exception, why: str
) -> None:
    daemon.inspecting = fails(error)
    engine.open()
    assert said(await first(engine)) == {"a": "app-a", "b": why, "c": "app-c"}


async def test_who_is_not_told_of_is_named_as_the_list_names_it(
    daemon: Daemon, engine: Engine
) -> None:
    daemon.inspecting = fails(requests.ReadTimeout())
    engine.open()
    survey = await first(engine)
    assert isinstance(survey, Surveyed)
    assert [each.name for each in survey.containers if isinstance(each, Untold)] == ["app-b"]


async def test_one_over_which_the_engine_hangs_keeps_no_other_waiting(
    daemon: Daemon, engine: Engine
) -> None:
    others = threading.Semaphore(0)

    def inspecting(id_: str) -> None:
        if id_ != SICK:
            others.release()
        elif not all(others.acquire(timeout=AMPLE / 3) for _ in range(2)):
            raise requests.ReadTimeout

    daemon.inspecting = inspecting
    engine.open()
    assert said(await first(engine))["b"] == "app-b", "it was waited for before others were asked"


async def test_a_survey_waits_for_an_end_that_it_knows(
    daemon: Daemon, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(connection, "WITHIN", 0.0)
    daemon.ids = (SICK,)
    daemon.inspecting = lambda _: assert_waited(let_go)
    engine.open()
    assert said(await first(engine)) == {"b": "the Engine did not tell of it within 0 s"}
    let_go.set()


def assert_waited(let_go: threading.Event) -> None:
    assert let_go.wait(AMPLE)


async def test_one_that_an_event_asked_for_holds_up_nothing_that_was_asked_for_with_it(
    daemon: Daemon, engine: Engine
) -> None:
    engine.open()
    await first(engine)
    let_go = threading.Event()
    daemon.inspecting = lambda id_: assert_waited(let_go) if id_ == SICK else None
    engine.inspect(SICK)
    engine.inspect("c" * 64)
    told = await first(engine)
    assert isinstance(told, Inspected)
    assert told.id == "c" * 64
    let_go.set()
    assert isinstance(await first(engine), Inspected), "it is told once the Engine tells it"


async def test_one_that_many_events_tell_of_holds_up_nothing_else(
    daemon: Daemon, engine: Engine
) -> None:
    engine.open()
    await first(engine)
    let_go, asked = threading.Event(), threading.Semaphore(0)

    def inspecting(id_: str) -> None:
        if id_ == SICK:
            asked.release()
            assert_waited(let_go)

    daemon.inspecting = inspecting
    engine.inspect(SICK)
    assert await asyncio.to_thread(asked.acquire, timeout=AMPLE)
    for _ in range(1000):
        engine.inspect(SICK)
        await asyncio.sleep(0)
    engine.inspect("c" * 64)
    told = await first(engine)
    assert isinstance(told, Inspected)
    assert told.id == "c" * 64
    assert not asked.acquire(blocking=False), "several wait for it"
    let_go.set()
    news = learned(engine)
    assert [await anext(news) for _ in range(2)]
    assert asked.acquire(blocking=False), "what was told first may be older than the last event"
    assert not asked.acquire(blocking=False)


async def test_an_engine_that_answers_nothing_else_either_is_lost(
    daemon: Daemon, engine: Engine
) -> None:
    engine.open()
    await first(engine)
    daemon.inspecting, daemon.pings = fails(requests.ReadTimeout()), False
    engine.inspect(SICK)
    lost = await first(engine)
    assert isinstance(lost, Lost), "the notice is to be about the Engine, not one a container"
    assert lost.notice == Notice(
        "docker", "nothing listens at /none", remedy=f"start the Docker Engine; {ANEW}"
    )


async def test_where_the_agents_own_container_is_not_told_of_it_is_said_and_the_others_are(
    daemon: Daemon,
) -> None:
    engine = Engine("unix:///none", None, (SICK,))
    daemon.ids = ("a" * 64,)
    daemon.inspecting = fails(requests.ReadTimeout())
    engine.open()
    told = said(await first(engine))
    engine.close()
    assert told.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("networks", "host"),
    [
        ({"front": {"IPAddress": "10.1.0.2", "Gateway": "10.1.0.1"}}, "10.1.0.1"),
        ({"isolated": {"IPAddress": "10.1.0.2", "Gateway": ""}}, "host.docker.internal"),
        ({"none": {"IPAddress": "", "Gateway": ""}}, "host.docker.internal"),
    ],
)
async def test_a_replica_on_the_hosts_network_is_never_at_the_agents_own_loopback(
    daemon: Daemon, networks: dict[str, Any], host: str
) -> None:
    """There nothing listens on its port, which says nothing about the replica."""
    daemon.own = {"NetworkSettings": {"Networks": networks}}
    engine = Engine("unix:///none", None, (SICK,))
    engine.open()
    surveyed = await first(engine)
    engine.close()
    assert isinstance(surveyed, Surveyed)
    assert surveyed.vantage.host == host


SET_BACK = (5_000_000_000, 3_000_000_000)
"""Times of two events, between which the Engine's clock was set back."""


async def subscribed(daemon: Daemon) -> str:
    return await asyncio.to_thread(daemon.subscriptions.get, timeout=AMPLE)


async def test_the_events_are_subscribed_to_anew_from_the_last_one_on_not_from_the_latest(
    daemon: Daemon, engine: Engine
) -> None:
    daemon.streams = [Stream(SET_BACK, goes_idle=True)]
    engine.open()
    await subscribed(daemon)
    assert await subscribed(daemon) == "3.000000001", "until 5 s nothing would be told"


async def test_so_they_are_over_another_connection(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "RETRY", (0.0, 0.0))
    daemon.streams = [Stream(SET_BACK, goes_idle=False)]
    found = DockerDiscovery("unix:///none", own_ids=())

    async def follow() -> None:
        async for _ in found.sightings():
            pass

    following = asyncio.create_task(follow())
    await subscribed(daemon)
    assert await subscribed(daemon) == "3.000000001", "until 5 s nothing would be told"
    following.cancel()
    await asyncio.wait([following])


ROOTLESS = ["name=seccomp,profile=default", "name=rootless"]


@pytest.mark.parametrize(
    ("options", "outside", "apart"),
    [
        (ROOTLESS, True, True),
        (ROOTLESS, False, False),
        (["name=seccomp,profile=default", "name=userns"], True, False),
        (requests.ConnectionError("a proxy lets nobody ask"), True, False),
    ],
    ids=["rootless", "the agent is in there too", "of root", "not told"],
)
async def test_replicas_of_a_rootless_engine_are_not_dialled_from_outside_of_it(
    daemon: Daemon,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str] | requests.RequestException,
    outside: bool,
    apart: bool,
) -> None:
    """Their addresses are nobody's there, or a replica's of the machine's other Engine."""
    daemon.options = options
    monkeypatch.setattr(connection, "has_users_of_machine", lambda: outside)
    found = DockerDiscovery("unix:///none", own_ids=())
    async with asyncio.timeout(AMPLE), aclosing(found.sightings()) as sightings:  # type: ignore[type-var]
        async for sighting in sightings:
            if sighting.complete:
                break
    reason = found.apart(Target(SICK, "app-b", "app"))
    assert (reason is not None) is apart
    assert found.apart(Target("static:app", "app", "app")) is None, "that one is no container"
    assert reason is None or reason.remedy == "run the agent in a container of that Engine"
