"""One connection to the Docker Engine.

docker-py blocks, so it works in threads: one follows the events, one surveys, some inspect side by
side. What they learn is handed over to the event loop in order. They are daemon threads, and every
request has a deadline: an Engine that hangs cannot hold up the end of the agent.

The Engine may hang over one container, or fail, and tell of all others as ever. So it is lost only
where it answers nothing: no events, no list, no ping.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import cast

import requests
from docker import APIClient
from docker.errors import NotFound
from docker.types import CancellableStream
from urllib3.exceptions import ReadTimeoutError

from healthagent.aside import begin
from healthagent.core.compose import PROJECT
from healthagent.docker_api import DEADLINE, FAULTS, connect, explained, words
from healthagent.sources.docker import container, event
from healthagent.sources.docker.container import Container, Vantage
from healthagent.sources.docker.messages import Heard, Inspected, Lost, Message, Surveyed, Untold
from healthagent.sources.docker.own import has_users_of_machine
from healthagent.sources.docker.wanted import Wanted

IDLE = 10.0
"""Seconds of silence after which the events are subscribed to anew: an Engine that hangs says
nothing, as an Engine does where nothing happens."""

RESYNC = 60.0
"""Seconds after which all containers are surveyed again, should an event ever have been lost."""

SIDE_BY_SIDE = 8
"""How many containers are inspected at a time: one over which the Engine hangs keeps no other
waiting. A survey and what events ask for may come at once, each with as many."""

WITHIN = 2.0 * DEADLINE
"""Seconds after which those that were not told of are left for another time: two requests' worth,
since some containers take two."""


class Engine:
    """Follows one Engine until it is lost or closed. Belongs to the event loop that opened it.

    ``since`` is the time behind the last event that an earlier connection told, in nanoseconds by
    the Engine's clock: what happened meanwhile is told first. 0 asks for nothing of the past. It
    goes back with that clock: what is ahead of it would leave out all that happens until then.
    """

    def __init__(
        self, url: str, project: str | None, own_ids: Iterable[str], since: int = 0
    ) -> None:
        self._url = url
        self._project = project
        self._own_ids = tuple(own_ids)
        self._since = since or time.time_ns()
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._wanted = Wanted()
        self._survey_wanted = threading.Event()
        self._stream: CancellableStream[bytes] | None = None
        self._closed = threading.Event()
        self._client: APIClient | None = None
        self._place: tuple[str | None, Vantage] = (None, Vantage())

    def open(self) -> None:
        self._start(self._follow)

    async def messages(self) -> list[Message]:
        """What was learned since the last time, in order; waits until there is something."""
        found = [await self._inbox.get()]
        while not self._inbox.empty():
            found.append(self._inbox.get_nowait())
        return found

    def inspect(self, id_: str) -> None:
        """Ask for one container; the answer is among the messages."""
        self._wanted.put(id_)

    def survey(self) -> None:
        """Ask for all containers."""
        self._survey_wanted.set()

    def close(self) -> None:
        """End all threads; does not wait for them."""
        self._closed.set()
        self._wanted.close()
        self._survey_wanted.set()
        stream = self._stream
        if stream is not None:
            with suppress(*FAULTS, AttributeError):  # the stream may end at this very moment
                stream.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            try:
                work(*arguments)
            except Exception as error:
                self._tell(Lost(explained(error, self._url)))

        begin(f"docker{work.__name__}", run)

    def _tell(self, message: Message) -> None:
        if self._closed.is_set():
            return
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._inbox.put_nowait, message)

    # In the thread that follows the events.

    def _follow(self) -> None:
        client = self._client = connect(self._url)
        for lines in self._subscriptions(client):
            for line in lines:
                told = event.parse(line)
                if told is not None:
                    self._since = told.at + 1
                    self._tell(Heard(time.monotonic(), told))

    def _subscriptions(self, client: APIClient) -> Iterator[Iterator[bytes]]:
        """The lines of one subscription after another. The first survey comes after the first
        subscription, so that nothing falls between the two."""
        surveying = False
        while not self._closed.is_set():
            response = client.get(
                f"{client.base_url}/v{client.api_version}/events",
                params={
                    "since": f"{self._since // 10**9}.{self._since % 10**9:09}",
                    "filters": json.dumps(
                        {"type": ["container", "network"], "event": list(event.ACTIONS)}
                    ),
                },
                stream=True,
                timeout=(DEADLINE, IDLE),
            )
            response.raise_for_status()
            self._stream = CancellableStream(iter(()), response)
            if self._closed.is_set():  # while the Engine was asked, so that nobody closed this
                self._stream.close()
                return
            if not surveying:
                surveying = True
                self._start(self._survey)
            yield self._until_idle(response)

    def _until_idle(self, response: requests.Response) -> Iterator[bytes]:
        """The lines until there was none for a while. Raises where the Engine ended the stream."""
        try:
            yield from _lines(response)
        except ReadTimeoutError:
            return
        finally:
            response.close()
        if not self._closed.is_set():
            raise ConnectionResetError("the Engine ended the stream of events")

    # In the thread that surveys.

    def _survey(self) -> None:
        client = self._client
        assert client is not None  # noqa: S101  # _follow() connects before it starts this
        self._tell(self._surveyed(client))
        for _ in range(SIDE_BY_SIDE):
            self._start(self._inspect, client)
        while not self._closed.is_set():
            self._survey_wanted.wait(RESYNC)
            self._survey_wanted.clear()
            if not self._closed.is_set():
                self._tell(self._surveyed(client))
        client.close()

    def _surveyed(self, client: APIClient) -> Surveyed:
        asked = time.monotonic()
        labels = [container.ENABLE]
        if self._project is not None:
            labels.append(f"{PROJECT}={self._project}")
        listed = client.containers(all=True, filters={"label": labels})
        names = {each["Id"]: "".join((each.get("Names") or ())[:1]).lstrip("/") for each in listed}
        told = list(self._inspected(client, names))
        try:
            self._place = self._vantage(client)
        except FAULTS as error:
            client.ping()
            told.append(Untold(asked, self._own_ids[0], "", words(error, self._url)))
        return Surveyed(asked, self._place[1], self._place[0], tuple(told))

    def _inspected(
        self, client: APIClient, names: Mapping[str, str]
    ) -> Iterator[Inspected | Untold]:
        """How containers are, by their ids, as they are told; their names are for those that the
        Engine does not tell of. Raises one of ``FAULTS`` where it tells of nothing else either."""
        asked = time.monotonic()
        waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        answers: queue.SimpleQueue[Inspected | Untold] = queue.SimpleQueue()
        for id_ in names:
            waiting.put(id_)

        def inspect() -> None:
            with suppress(queue.Empty):
                while True:
                    id_ = waiting.get_nowait()
                    answers.put(self._one(client, id_, names[id_]))

        threads = [
            begin("docker_inspect_some", inspect) for _ in range(min(SIDE_BY_SIDE, len(names)))
        ]
        late = f"the Engine did not tell of it within {WITHIN:g} s"
        untold = {id_: Untold(asked, id_, name, late) for id_, name in names.items()}
        with suppress(queue.Empty):
            for _ in names:
                answer = answers.get(timeout=max(0.0, asked + WITHIN - time.monotonic()))
                if isinstance(answer, Untold):
                    untold[answer.id] = answer
                else:
                    del untold[answer.id]
                    yield answer
            for thread in threads:
                thread.join()
        if untold:
            client.ping()
        yield from untold.values()

    # In those that inspect.

    def _inspect(self, client: APIClient) -> None:
        """Tell of what events told of, until closed. Raises one of ``FAULTS`` where the Engine
        tells of nothing else either."""
        for id_ in self._wanted.each():
            told = self._one(client, id_, "")
            if isinstance(told, Untold):
                client.ping()
            self._tell(told)

    def _one(self, client: APIClient, id_: str, name: str) -> Inspected | Untold:
        """A container that vanishes while it is inspected is no fault."""
        asked = time.monotonic()
        try:
            return Inspected(asked, id_, _inspect(client, id_))
        except Exception as error:
            return Untold(asked, id_, name, words(error, self._url))

    def _vantage(self, client: APIClient) -> tuple[str | None, Vantage]:
        """The agent's own container, if it has one that this Engine knows. Raises one of
        ``FAULTS``: where it was before then holds."""
        for id_ in self._own_ids:
            own = _inspect(client, id_)
            if own is None:
                continue
            if own.network_mode == "host":
                return own.id, Vantage()
            gateways = [network.gateway for network in own.networks if network.gateway]
            names = frozenset(network.name for network in own.networks)
            return own.id, Vantage(names, gateways[0] if gateways else container.HOST)
        return None, Vantage(apart=self._is_apart(client))

    def _is_apart(self, client: APIClient) -> bool:
        """Whether the networks of this Engine are in a namespace of its own, as those of a rootless
        one are (https://docs.docker.com/engine/security/rootless/), and the agent is not in there.
        Where it does not tell, as through a proxy, what it told before holds."""
        try:
            options = client.info().get("SecurityOptions") or ()
        except FAULTS:
            return self._place[1].apart
        return "name=rootless" in options and has_users_of_machine()


def _lines(response: requests.Response) -> Iterator[bytes]:
    """The whole lines of a stream, each as soon as it is there. requests' own would wait for the
    end of one that is not chunked, as what stands before the Engine may hand it on."""
    rest = b""
    while piece := response.raw.read1():
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, lines)


def _inspect(client: APIClient, id_: str) -> Container | None:
    """The container; its networks are those of the container whose network it shares, if any, and
    so they are the host's where that one's are."""
    document = _document(client, id_)
    if document is None:
        return None
    host = document.get("HostConfig") or {}
    lender = str(host.get("NetworkMode", ""))
    if lender.startswith("container:"):
        lent = _document(client, lender.removeprefix("container:")) or {}
        mode = (lent.get("HostConfig") or {}).get("NetworkMode", "")
        document = {
            **document,
            "HostConfig": {**host, "NetworkMode": mode},
            "NetworkSettings": lent.get("NetworkSettings"),
        }
    return container.parse(document)


def _document(client: APIClient, id_: str) -> container.Document | None:
    try:
        return cast("container.Document", client.inspect_container(id_))
    except NotFound:
        return None
