"""One connection to the Docker Engine.

docker-py blocks, so it works in threads: one follows the events, one inspects. What they learn is
handed over to the event loop in order. They are daemon threads, and every request has a deadline:
an Engine that hangs cannot hold up the end of the agent.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import cast

import requests
from docker import APIClient
from docker.errors import NotFound
from docker.types import CancellableStream
from urllib3.exceptions import ReadTimeoutError

from healthagent.docker_api import DEADLINE, FAULTS, connect, explained
from healthagent.sources.docker import container, event
from healthagent.sources.docker.container import Container, Vantage
from healthagent.sources.docker.messages import Heard, Inspected, Lost, Message, Surveyed

IDLE = 10.0
"""Seconds of silence after which the events are subscribed to anew: an Engine that hangs says
nothing, as an Engine does where nothing happens."""

RESYNC = 60.0
"""Seconds after which all containers are surveyed again, should an event ever have been lost."""

_EVERYTHING = ""
"""Asked for in place of an id."""


class Engine:
    """Follows one Engine until it is lost or closed. Belongs to the event loop that opened it.

    ``since`` is the time behind the last event that an earlier connection told, in nanoseconds by
    the Engine's clock: what happened meanwhile is told first. 0 asks for nothing of the past.
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
        self._wanted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stream: CancellableStream[bytes] | None = None
        self._closed = threading.Event()
        self._client: APIClient | None = None

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
        self._wanted.put(_EVERYTHING)

    def close(self) -> None:
        """End both threads; does not wait for them."""
        self._closed.set()
        self._wanted.put(None)
        stream = self._stream
        if stream is not None:
            with suppress(*FAULTS, AttributeError):  # the stream may end at this very moment
                stream.close()

    def _start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:
                self._tell(Lost(explained(error, self._url)))

        threading.Thread(target=run, name=f"docker{work.__name__}", daemon=True).start()

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
                    self._since = max(self._since, told.at + 1)
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
                self._start(self._answer)
            yield self._until_idle(response)

    def _until_idle(self, response: requests.Response) -> Iterator[bytes]:
        """The lines until there was none for a while. Raises where the Engine ended the stream."""
        try:
            yield from filter(None, response.iter_lines(chunk_size=None))
        except requests.ConnectionError as error:
            if any(isinstance(cause, ReadTimeoutError) for cause in error.args):
                return
            raise
        finally:
            response.close()
        if not self._closed.is_set():
            raise ConnectionResetError("the Engine ended the stream of events")

    # In the thread that inspects.

    def _answer(self) -> None:
        client = self._client
        assert client is not None  # noqa: S101  # _follow() connects before it starts this
        self._tell(self._surveyed(client))
        due = time.monotonic() + RESYNC
        while not self._closed.is_set():
            try:
                wanted = [self._wanted.get(timeout=max(0.0, due - time.monotonic()))]
                while not self._wanted.empty():
                    wanted.append(self._wanted.get())
            except queue.Empty:
                wanted = [_EVERYTHING]
            if None in wanted:
                break
            if _EVERYTHING in wanted:
                self._tell(self._surveyed(client))
                due = time.monotonic() + RESYNC
                continue
            for id_ in dict.fromkeys(wanted):
                self._tell(self._inspected(client, str(id_)))
        client.close()

    def _surveyed(self, client: APIClient) -> Surveyed:
        asked = time.monotonic()
        own, vantage = self._vantage(client)
        labels = [container.ENABLE]
        if self._project is not None:
            labels.append(f"{container.PROJECT}={self._project}")
        listed = client.containers(all=True, filters={"label": labels})
        return Surveyed(
            asked, vantage, own, tuple(self._inspected(client, c["Id"]) for c in listed)
        )

    def _inspected(self, client: APIClient, id_: str) -> Inspected:
        """A container that vanishes while it is inspected is no fault."""
        asked = time.monotonic()
        return Inspected(asked, id_, _inspect(client, id_))

    def _vantage(self, client: APIClient) -> tuple[str | None, Vantage]:
        """The agent's own container, if it has one that this Engine knows."""
        for id_ in self._own_ids:
            own = _inspect(client, id_)
            if own is None:
                continue
            if own.network_mode == "host":
                return own.id, Vantage()
            gateways = [network.gateway for network in own.networks if network.gateway]
            names = frozenset(network.name for network in own.networks)
            return own.id, Vantage(names, gateways[0] if gateways else container.LOOPBACK)
        return None, Vantage()


def _inspect(client: APIClient, id_: str) -> Container | None:
    """The container; its networks are those of the container whose network it shares, if any."""
    document = _document(client, id_)
    if document is None:
        return None
    lender = str((document.get("HostConfig") or {}).get("NetworkMode", ""))
    if lender.startswith("container:"):
        lent = _document(client, lender.removeprefix("container:")) or {}
        document = {**document, "NetworkSettings": lent.get("NetworkSettings")}
    return container.parse(document)


def _document(client: APIClient, id_: str) -> container.Document | None:
    try:
        return cast("container.Document", client.inspect_container(id_))
    except NotFound:
        return None
