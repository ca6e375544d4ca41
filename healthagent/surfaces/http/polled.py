"""A document that others poll for: its newest body, and a wait for the next one."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress


class Polled:
    """``tag`` is the same exactly as long as ``body`` is."""

    def __init__(self) -> None:
        self.body = b""
        self.tag = ""
        self._changed = asyncio.Event()

    def put(self, body: bytes) -> None:
        """Set the body. Those who wait are told only of one that differs."""
        if body == self.body:
            return
        self.body = body
        self.tag = hashlib.blake2s(body, digest_size=8).hexdigest()
        self.release()

    def release(self) -> None:
        """End every wait."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, timeout: float) -> None:
        """Until the body is another, or ``timeout`` seconds have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()
