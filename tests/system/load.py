"""Users who ask at a fixed rate whatever comes back, and what they got."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.client import _RequestContextManager

PATIENCE = 10.0
"""Seconds after which a request counts as lost. Longer than a user has, since a test may share a
busy machine: what is asked is whether it is answered."""

FIRST_WORDS = 80
"""Bytes of an answer that was no success."""


class Load:
    """GETs ``url`` ``rate`` times a second for as long as the block goes on; or POSTs to it, each
    time what ``body`` returns, as JSON.

    ``answers`` counts what came, once it is over: a status, or the error in its place. ``said``
    counts how what was no success began, which tells a replica's own 503 from Traefik's.
    """

    def __init__(
        self, url: str, rate: float = 20.0, body: Callable[[], Mapping[str, Any]] | None = None
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self._url = url
        self._rate = rate
        self._body = body
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def lost(self) -> Counter[str]:
        return Counter({told: n for told, n in self.answers.items() if not told.startswith("2")})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(2 * PATIENCE)
        assert not self._thread.is_alive(), "the load does not end"

    def lost_in_spite_of(self, transitions: Iterable[Mapping[str, Any]]) -> Counter[str]:
        """What was lost though enough replicas could serve, given what became of them meanwhile.

        On a machine that is busy with other tests a replica may fail its own checks for a moment.
        Where none is left Traefik answers 503, and that is right; all else is lost as ever.
        """
        fell = any(
            not told["check"]
            and told["before"] in ("ready", "degraded")
            and told["after"] in ("not ready", "not live")
            for told in transitions
        )
        return self.lost - Counter({"503": self.answers["503"]}) if fell else self.lost

    async def _run(self) -> None:
        begun, asking = time.monotonic(), []
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while not self._stop.is_set():
                asking.append(asyncio.create_task(self._ask(session)))
                due = begun + len(asking) / self._rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await asyncio.gather(*asking)

    def _request(self, session: aiohttp.ClientSession) -> _RequestContextManager:
        if self._body is None:
            return session.get(self._url)
        return session.post(self._url, json=self._body())

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        try:
            async with self._request(session) as response:
                body = await response.read()
                self.answers[str(response.status)] += 1
                if not response.ok:
                    self.said[body[:FIRST_WORDS].decode(errors="replace")] += 1
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers[repr(error)] += 1
