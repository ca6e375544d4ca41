"""Sends the feed of events to one reader, for as long as it reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from http import HTTPStatus

from aiohttp import web

from healthagent.core.ports import Entry
from healthagent.surfaces.http.events import (
    KEEP_ALIVE,
    MOST_READERS,
    Crowded,
    Event,
    Feed,
    Places,
    Subscription,
    Wanted,
    encode,
    mark,
)
from healthagent.surfaces.http.number import MOST_DIGITS, whole
from healthagent.surfaces.http.problem import Problem

KEEP_ALIVE_EVERY = 15.0
"""Seconds; the HTML standard's advice against proxies that drop a silent connection."""

WRITE_WITHIN = 10.0
"""Seconds that a reader may leave its socket full before it is let go."""

Show = Callable[[Entry], Entry]


async def answer(
    request: web.Request, feed: Feed, places: Places, show: Show, headers: Mapping[str, str]
) -> web.StreamResponse:
    """First the past that the reader asks for, then whatever happens.

    ``places`` are this listener's, ``show`` is what it tells of an entry. Raises :class:`Problem`
    400 for a query that cannot be read, and 503 where too many readers follow.
    """
    wanted = _wanted(request)
    follows = _follows(request)
    with _place(places) if follows else nullcontext(), feed.subscribe() as subscription:
        past, newest = _past(request, feed, wanted), feed.newest
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/event-stream"
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        # A reader may leave whenever it likes. aiohttp would log that as a fault of this agent.
        with suppress(ConnectionError):
            for event in past:
                await _write(request, response, encode(event, feed.life, show))
            if follows:
                await _write(request, response, mark(newest))
                async for data in _coming(subscription, feed.life, wanted, show):
                    await _write(request, response, data)
    return response


def _past(request: web.Request, feed: Feed, wanted: Wanted) -> list[Event]:
    last_id = request.headers.get("Last-Event-ID")
    if last_id is not None:
        return [event for event in feed.since(last_id) if event.entry in wanted]
    count = _count(request, "replay")
    kept = [event for event in feed.kept() if event.entry in wanted]
    return kept[-count:] if count else []


async def _coming(
    subscription: Subscription, life: str, wanted: Wanted, show: Show
) -> AsyncIterator[bytes]:
    """What to send, until the agent stops or the reader has fallen too far behind."""
    while not subscription.lost:
        try:
            async with asyncio.timeout(KEEP_ALIVE_EVERY):
                event = await subscription.next()
        except TimeoutError:
            yield KEEP_ALIVE
            continue
        if event is None:
            return
        if event.entry in wanted:
            yield encode(event, life, show)


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Raises ``ConnectionError`` where the reader is gone, or is let go since it does not read."""
    try:
        async with asyncio.timeout(WRITE_WITHIN):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()  # its socket is full: nothing more can be said to it
        raise ConnectionResetError("the reader does not read") from None


@contextmanager
def _place(places: Places) -> Iterator[None]:
    try:
        with places.take():
            yield
    except Crowded:
        detail = f"{MOST_READERS} readers are there already; close one, or ask with follow=false"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail) from None


def _wanted(request: web.Request) -> Wanted:
    query = request.query
    return Wanted(frozenset(query.getall("target", [])), frozenset(query.getall("service", [])))


def _follows(request: web.Request) -> bool:
    text = request.query.get("follow", "true")
    if text not in ("true", "false"):
        raise Problem(HTTPStatus.BAD_REQUEST, f"follow={text!r}: write true or false")
    return text == "true"


def _count(request: web.Request, name: str) -> int:
    text = request.query.get(name, "0")
    count = whole(text)
    if count is None:
        detail = f"{name}={text!r}: write a whole number from 0 on, of {MOST_DIGITS} digits at most"
        raise Problem(HTTPStatus.BAD_REQUEST, detail)
    return count
