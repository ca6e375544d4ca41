"""When Traefik has a change: it routes to a replica, or no longer does.

Asked of Traefik itself where its API is known. Otherwise it follows from what the agent sent to who
polls ``/traefik``, and from how long Traefik may then take; and where nobody polls, as under the
Docker provider, from how long Traefik takes at most.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

from healthagent.core.masking import masked
from healthagent.core.observation import Unseen
from healthagent.core.rotation import Told, routes_to, served, unused
from healthagent.core.target import Target
from healthagent.names import Names, Unresolved

LOOK_EVERY = 0.1

ANSWER_WITHIN = 2.0
"""Seconds for one answer of Traefik's API, with all of its pages."""

LATE = 3.0
"""Seconds by which a poll may come late. Whoever pauses for longer than ``poll`` and that, where
another does not, is a person who looks, or something that monitors."""

UNROUTED = Unseen("no router of Traefik's leads to it")
"""Where a replica that is ready gets no requests, and is not meant to: a worker beside the app."""

NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

APPLY = 0.5
"""Seconds that Traefik gets to build its routers once the throttle lets a change pass. On a machine
with many programs to a core 0.2 were seen not to be enough."""


class TraefikRouter:
    """Traefik, or several of them.

    ``told`` is what each poller of ``/traefik`` was sent. ``api`` is where Traefik's API answers,
    such as ``http://traefik:8080``. ``throttle`` is ``providers.providersThrottleDuration`` and
    ``poll`` ``providers.http.pollInterval``, in seconds. ``offered`` says of a target whether its
    labels make it a server of Traefik's at all, once it is ready. ``names`` is asked for the
    API's host.
    """

    def __init__(
        self,
        told: Callable[[], Mapping[str, Told]],
        api: str | None = None,
        throttle: float = 2.0,
        poll: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        offered: Callable[[Target], bool] = lambda _: True,
        names: Names | None = None,
    ) -> None:
        self._told = told
        self._offered = offered
        self._api = api
        self._throttle = throttle
        self._poll = poll
        self._clock = clock
        self._names = names or Names()

    async def settles(self, target: Target, routed: bool, timeout: float) -> bool | Unseen:
        if routed and not self._offered(target):
            return UNROUTED
        if target.address is None:
            return not routed
        if self._api is not None:
            return await self._asked(self._api, target, routed, timeout)
        if not self._told():
            longest = self._poll + self._throttle
            await asyncio.sleep(min(longest, timeout))
            return Unseen(
                f"nobody polls /traefik, so the router was given {longest:g} s",
                "point Traefik's HTTP provider at the agent, or set traefik.api",
            )
        until = self._clock() + timeout
        while not self._arrived(target, routed):
            if self._clock() > until:
                return False
            await asyncio.sleep(LOOK_EVERY)
        return True

    def _polling(self) -> list[Told]:
        """What those have who ask as often as Traefik does; where nobody does, what all have: it
        may have been told another ``pollInterval`` than was declared here."""
        told = list(self._told().values())
        return [each for each in told if each.pause <= self._poll + LATE] or told

    def _arrived(self, target: Target, routed: bool) -> bool:
        """Whether all have had it for long enough, whatever else they were told meanwhile: the
        throttle holds a change back for its time once, however many come."""
        since = self._clock() - self._throttle - APPLY
        return all(
            told.has(target) is routed and told.settled(target) <= since for told in self._polling()
        )

    async def _asked(self, api: str, target: Target, routed: bool, timeout: float) -> bool | Unseen:
        until = self._clock() + timeout
        connector = aiohttp.TCPConnector(resolver=_Resolver(self._names))
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                try:
                    async with asyncio.timeout(ANSWER_WITHIN):
                        pages = await _pages(session, api)
                    servers = {server for page in pages for server in served(page)}
                    seen: bool | Unseen = routes_to(servers, target) is routed
                    spare = (server for page in pages for server in unused(page))
                    if routed and not seen and routes_to(spare, target):
                        seen = UNROUTED
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    why = masked(str(error)) or f"none within {ANSWER_WITHIN:g} s"
                    said = f"Traefik's API at {masked(api)} gives no answer: {why}"
                    seen = Unseen(said, "see its log")
                if seen in (True, UNROUTED) or self._clock() > until:
                    return seen
                await asyncio.sleep(LOOK_EVERY)


class _Resolver(AbstractResolver):
    """aiohttp's own looks names up in threads that the end of the agent waits for, however long a
    server of names that does not answer holds them up."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            addresses = await self._names.addresses(host)
        except Unresolved as why:
            raise socket.gaierror(socket.EAI_NONAME, str(why)) from None
        return [
            ResolveResult(
                hostname=host, host=each, port=port, family=family, proto=0, flags=NUMERIC
            )
            for each in addresses
        ]

    async def close(self) -> None:
        pass


async def _pages(session: aiohttp.ClientSession, api: str) -> list[Any]:
    """All pages of services: those of every provider, since under the Docker provider a drain
    reaches Traefik through its own health check alone."""
    pages: list[Any] = []
    page = "1"
    while page:
        url = f"{api.rstrip('/')}/api/http/services"
        async with session.get(url, params={"page": page, "per_page": "1000"}) as answer:
            answer.raise_for_status()
            pages.append(orjson.loads(await answer.read()))
            following = answer.headers.get("X-Next-Page", "1")
        page = "" if following == "1" else following
    return pages
