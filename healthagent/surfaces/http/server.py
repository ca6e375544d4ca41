"""The HTTP surface: its listeners, from the first bind to the last open stream."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from aiohttp import ClientConnectionResetError, web, web_response
from aiohttp.http import HttpProcessingError
from aiohttp.log import server_logger

from healthagent.core.action import Step
from healthagent.core.ports import History
from healthagent.core.report import Report
from healthagent.core.rotation import Told
from healthagent.core.target import authority
from healthagent.core.transition import Transition
from healthagent.errors import ConfigurationError
from healthagent.surfaces.http.admin import Admin, AdminRoutes, Bearer, peer
from healthagent.surfaces.http.problem import Handler
from healthagent.surfaces.http.routes import Routes
from healthagent.surfaces.http.state import State
from healthagent.surfaces.http.view import Everything, StatesAlone

Address = tuple[str, int]
"""Host and port; an empty host is every interface, over IPv4 and IPv6, port 0 any free one."""

SOCKET_MODE = 0o660
"""Of the admin socket: the agent's user and group may act, and root."""

STOP_WITHIN = 0.5
"""Seconds that answers under way get when the agent stops."""

# aiohttp's own Server header names the versions of Python and aiohttp to everybody; what it answers
# before any route is asked, to what is no HTTP, has no other way to another one.
web_response.SERVER_SOFTWARE = "healthagent"  # type: ignore[attr-defined]


def _is_fault(record: logging.LogRecord) -> bool:
    """Whether it is the agent's: what a port scan or a TLS hello brings about is not, nor a body
    that is not packed as its header says, nor that somebody did not wait for the answer."""
    theirs = (HttpProcessingError, web.RequestPayloadError, ClientConnectionResetError)
    return not (record.exc_info and isinstance(record.exc_info[1], theirs))


server_logger.addFilter(_is_fault)


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

    def record(self, step: Step) -> None:
        """Show a step of an act."""
        self._state.record(step)

    @property
    def told(self) -> Mapping[str, Told]:
        """What each poller of ``/traefik`` has, by its address."""
        return self._state.pollers.told()

    def notices_of_routing(self) -> int:
        """How many hold beside those of the report."""
        return len(self._state.of_routing)

    @asynccontextmanager
    async def serve(self, admin: Admin | None = None) -> AsyncIterator[Bound]:
        """Serve until the context ends; then end every stream and stop within a second.

        ``admin`` adds the routes that act, and the socket to ask them over. Raises
        :class:`ConfigurationError` where an address cannot be bound.
        """
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            routes = Routes(self._state, Everything(), self._acts(admin))
            runner = await enter(_running(routes.application()))
            listen = await _bind(runner, "listen", self._listen)
            public = None
            if self._public is not None:
                public_routes = Routes(self._state, StatesAlone())
                runner = await enter(_running(public_routes.application()))
                public = await _bind(runner, "public_listen", self._public)
            if admin is not None and admin.socket is not None:
                acts = AdminRoutes(self._state, admin, peer).table()
                routes = Routes(self._state, Everything(), acts)
                runner = await enter(_running(routes.application()))
                stack.callback(_remove, admin.socket, await _bind_socket(runner, admin.socket))
            stack.callback(self._state.close)
            yield Bound(listen, public)

    def _acts(self, admin: Admin | None) -> Mapping[str, Handler]:
        return {} if admin is None else AdminRoutes(self._state, admin, Bearer(admin)).table()


@asynccontextmanager
async def _running(application: web.Application) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(
        application,
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        shutdown_timeout=STOP_WITHIN,
    )
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


async def _bind_socket(runner: web.AppRunner, path: str) -> os.stat_result:
    """A socket that was left there by an agent before is replaced. Returns what the new one is."""
    try:
        await web.UnixSite(runner, path).start()
        os.chmod(path, SOCKET_MODE)  # noqa: PTH101  # waits for nothing
        return os.stat(path)  # noqa: PTH116  # nor does this
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        remedy = f"choose a folder that user id {os.geteuid()} may write to, or none"
        raise ConfigurationError((f"admin.socket = {path}: {why}; {remedy}",)) from error


def _remove(path: str, ours: os.stat_result) -> None:
    """Leave no socket that nobody answers at, and that of a later agent alone."""
    with suppress(OSError):
        if os.path.samestat(os.stat(path), ours):  # noqa: PTH116
            os.unlink(path)  # noqa: PTH108


async def _bind(runner: web.AppRunner, key: str, address: Address) -> Address:
    host, port = address
    try:
        await web.TCPSite(runner, host or None, port).start()
    except OSError as error:
        # asyncio wraps the system's own words in a long sentence; the number keeps its meaning.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        told = authority(host, port)
        raise ConfigurationError(
            (f"{key} = {told}: {why}; choose an address of this machine and a free port",)
        ) from error
    bound_host, bound_port = runner.addresses[0][:2]
    return bound_host, bound_port
