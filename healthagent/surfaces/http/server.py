"""The HTTP surface: its listeners, from the first bind to the last open stream."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from healthagent.core.ports import History
from healthagent.core.report import Report
from healthagent.core.transition import Transition
from healthagent.errors import ConfigurationError
from healthagent.surfaces.http.routes import Routes
from healthagent.surfaces.http.state import State
from healthagent.surfaces.http.view import Everything, StatesAlone, View

Address = tuple[str, int]
"""Host and port; an empty host is every interface, port 0 any free one."""

STOP_WITHIN = 0.5
"""Seconds that answers under way get when the agent stops."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The addresses that were really bound. ``public`` is ``None`` where none was asked for."""

    listen: Address
    public: Address | None = None


class HttpSurface:
    """Serves the latest report over HTTP.

    ``listen`` is for operators and machines on the agent's own network. ``public``, if given, is a
    second listener that tells states alone: no reasons, no addresses. ``history`` is what
    ``/history`` answers from.
    """

    def __init__(
        self,
        listen: Address,
        public: Address | None = None,
        clock: Callable[[], float] = time.monotonic,
        history: History | None = None,
    ) -> None:
        self._listen = listen
        self._public = public
        self._state = State(clock, life=secrets.token_hex(4), history=history)

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        self._state.publish(report, changes)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Bound]:
        """Serve until the context ends; then end every stream and stop within a second.

        Raises :class:`ConfigurationError` where an address cannot be bound.
        """
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            listen = await enter(self._site("listen", self._listen, Everything()))
            public = None
            if self._public is not None:
                public = await enter(self._site("public", self._public, StatesAlone()))
            stack.callback(self._state.close)
            yield Bound(listen, public)

    @asynccontextmanager
    async def _site(self, key: str, address: Address, view: View) -> AsyncIterator[Address]:
        public = isinstance(view, StatesAlone)
        runner = web.AppRunner(
            Routes(self._state, view).application(public),
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=STOP_WITHIN,
        )
        await runner.setup()
        try:
            await _bind(runner, key, address)
            host, port = runner.addresses[0][:2]
            yield host, port
        finally:
            await runner.cleanup()


async def _bind(runner: web.AppRunner, key: str, address: Address) -> None:
    host, port = address
    try:
        await web.TCPSite(runner, host or None, port).start()
    except OSError as error:
        # asyncio wraps the system's own words in a long sentence; the number keeps its meaning.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ConfigurationError(
            (f"{key} = {host}:{port}: {why}; choose an address of this machine and a free port",)
        ) from error
