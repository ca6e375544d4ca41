"""``/events``: every transition and every act as server-sent events, the last ones kept for replay.

The stream is that of the HTML standard, section "Server-sent events".
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson

from healthagent.core.action import Step
from healthagent.core.ports import Entry
from healthagent.core.target import begins
from healthagent.surfaces.entry_text import document
from healthagent.surfaces.http.number import whole

KEPT = 500
"""Events to the worse that are kept, and again as many others: so that a fleet that recovers many
times never pushes out what went wrong."""

MOST_WAITING = 1000
"""Events that may wait for one reader before it is let go."""

MOST_READERS = 100
"""Readers that may follow at once over one listener."""

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: it shows both ends, and what stands between, that the connection lives."""


@dataclass(frozen=True, slots=True)
class Event:
    """An entry and its number in this life of the agent, from 1 on."""

    number: int
    entry: Entry


class Crowded(Exception):
    """As many readers as may be are there already."""


class Places:
    """The places of one listener's readers: a crowd at the public one takes none of the first's."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises :class:`Crowded` where none is left."""
        if self._taken >= MOST_READERS:
            raise Crowded
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class Subscription:
    """One reader's events, in order. ``lost`` is true once it fell too far behind."""

    def __init__(self) -> None:
        self.lost = False
        self._waiting: asyncio.Queue[Event | None] = asyncio.Queue(MOST_WAITING)

    def put(self, event: Event | None) -> None:
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.lost = True

    async def next(self) -> Event | None:
        """The next event; ``None`` ends the stream."""
        return await self._waiting.get()


class Feed:
    """Keeps recent entries and hands new ones to whoever reads.

    ``life`` tells the agent's lives apart: an id from another one cannot be resumed from.
    """

    def __init__(self, life: str) -> None:
        self.life = life
        self._number = 0
        self._worse: deque[Event] = deque(maxlen=KEPT)
        self._others: deque[Event] = deque(maxlen=KEPT)
        self._readers: set[Subscription] = set()
        self._closed = False

    def publish(self, *entries: Entry) -> None:
        for entry in entries:
            self._number += 1
            event = Event(self._number, entry)
            (self._worse if entry.worse else self._others).append(event)
            for reader in self._readers:
                reader.put(event)

    @property
    def newest(self) -> str:
        """The id of the last event there was; one from before the first where there was none."""
        return f"{self.life}-{self._number}"

    def kept(self) -> Iterator[Event]:
        """What is remembered, oldest first."""
        return heapq.merge(self._worse, self._others, key=lambda event: event.number)

    def since(self, last_id: str) -> Iterator[Event]:
        """What is remembered after the event with this id; all, where the id is of another life."""
        life, _, number = last_id.partition("-")
        after = (whole(number) or 0) if life == self.life else 0
        return (event for event in self.kept() if event.number > after)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """From here on nothing is missed."""
        subscription = Subscription()
        if self._closed:
            subscription.put(None)
        self._readers.add(subscription)
        try:
            yield subscription
        finally:
            self._readers.discard(subscription)

    def close(self) -> None:
        """End every stream: the agent stops."""
        self._closed = True
        for reader in self._readers:
            reader.put(None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The entries that a reader asked for; an empty set asks for all. A target is asked for by its
    name, its id, or the beginning of that."""

    targets: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()

    def __contains__(self, entry: Entry) -> bool:
        name, identity, service = _about(entry)
        asked = (each == name or begins(identity, each) for each in self.targets)
        return (not self.targets or any(asked)) and (not self.services or service in self.services)


def _about(entry: Entry) -> tuple[str, str, str]:
    """The name of its target, the id where it is told, and the service."""
    if isinstance(entry, Step):
        return entry.target, "", entry.service
    return entry.target.name, entry.target.id, entry.target.service


def mark(last_id: str) -> bytes:
    """An event without data: no reader shows it, each keeps its id and comes back with that."""
    return f"id: {last_id}\n\n".encode()


def encode(event: Event, life: str, show: Callable[[Entry], Entry]) -> bytes:
    """One event as it goes over the wire."""
    told = document(show(event.entry))
    head = f"id: {life}-{event.number}\nevent: {told['event']}\ndata: "
    return head.encode() + orjson.dumps(told, default=str) + b"\n\n"
