"""When Traefik has a change: it routes to a replica, or no longer does.

Asked of Traefik itself where its API is known. Otherwise it follows from what the agent sent to who
polls ``/traefik``, and from how long Traefik may then take; and where nobody polls, as under the
Docker provider, from how long Traefik takes at most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp
import orjson

from healthagent.core.observation import Unseen
from healthagent.core.rotation import Told, routes_to, served
from healthagent.core.target import Target

LOOK_EVERY = 0.1

ANSWER_WITHIN = 2.0
"""Seconds for one answer of Traefik's API."""

APPLY = 0.5
"""Seconds that Traefik gets to build its routers once the throttle lets a change pass. On a machine
with many programs to a core 0.2 were seen not to be enough."""


class TraefikRouter:
    """Traefik, or several of them.

    ``told`` is what each poller of ``/traefik`` was sent. ``api`` is where Traefik's API answers,
    such as ``http://traefik:8080``. ``throttle`` is ``providers.providersThrottleDuration`` and
    ``poll`` ``providers.http.pollInterval``, in seconds.
    """

    def __init__(
        self,
        told: Callable[[], Mapping[str, Told]],
        api: str | None = None,
        throttle: float = 2.0,
        poll: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._told = told
        self._api = api
        self._throttle = throttle
        self._poll = poll
        self._clock = clock

    async def settles(self, target: Target, routed: bool, timeout: float) -> bool | Unseen:
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

    def _arrived(self, target: Target, routed: bool) -> bool:
        since = self._clock() - self._throttle - APPLY
        told = self._told().values()
        return all(each.has(target) is routed and each.at <= since for each in told)

    async def _asked(self, api: str, target: Target, routed: bool, timeout: float) -> bool | Unseen:
        until = self._clock() + timeout
        within = aiohttp.ClientTimeout(total=ANSWER_WITHIN)
        async with aiohttp.ClientSession(timeout=within) as session:
            while True:
                try:
                    servers = await _servers(session, api)
                    seen: bool | Unseen = routes_to(servers, target) is routed
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    why = str(error) or type(error).__name__
                    seen = Unseen(f"Traefik's API at {api} gives no answer: {why}", "see its log")
                if seen is True or self._clock() > until:
                    return seen
                await asyncio.sleep(LOOK_EVERY)


async def _servers(session: aiohttp.ClientSession, api: str) -> set[str]:
    """All servers that Traefik sends requests to: see ``served``. Those of every provider, since
    under the Docker provider a drain reaches Traefik through its own health check alone."""
    servers: set[str] = set()
    page = "1"
    while page:
        url = f"{api.rstrip('/')}/api/http/services"
        async with session.get(url, params={"page": page, "per_page": "1000"}) as answer:
            answer.raise_for_status()
            servers |= served(orjson.loads(await answer.read()))
            following = answer.headers.get("X-Next-Page", "1")
        page = "" if following == "1" else following
    return servers
