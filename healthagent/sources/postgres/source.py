"""One line per database: its only connection, and the round that all of its targets share."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic
from typing import Any

import psycopg
from psycopg.rows import DictRow
from psycopg_pool import AsyncNullConnectionPool

from healthagent.core.credentials import Credentials, FindCredentials
from healthagent.core.observation import DatabaseSession, Unseen
from healthagent.core.target import DatabaseRef, Target
from healthagent.names import Names, Unresolved
from healthagent.sources.postgres.asked import Asked
from healthagent.sources.postgres.connection import Connection, addresses, parameters
from healthagent.sources.postgres.failure import down, no_files, translate
from healthagent.sources.postgres.query import QUERY, read
from healthagent.sources.postgres.servers import Servers
from healthagent.sources.postgres.workflows import Workflows

IDLE = 60.0
"""Seconds after which a database that nobody asks about any more is left."""

DIALLING = 70.0
"""Seconds for which one dial may go on: longer than a server lets a start-up stall, which is 60
(authentication_timeout), so that it has ended one before the agent begins another."""

MOVED = 5.0
"""Seconds for which a server's name must have led elsewhere until a connection that works is left
for it. A name that leads to several addresses by turns is followed the less."""

FRESH = 0.9
"""Share of its interval for which a target takes the round of another as its own."""

_Dialled = Connection | psycopg.Error | UnicodeError


class PostgresSource:
    """Gives ``DatabaseSession``: how the last round with a target's database went.

    ``credentials`` and ``names`` are asked for at each new connection. A database that nobody asked
    about for ``idle`` seconds is left. Whoever makes the source must :meth:`aclose` it.
    """

    kind = DatabaseSession

    def __init__(
        self, credentials: FindCredentials, idle: float = IDLE, names: Names | None = None
    ) -> None:
        self._credentials = credentials
        self._names = names or Names()
        self._idle = idle
        self._lines: dict[DatabaseRef, _Line] = {}
        self._servers = Servers()
        self._leaving: dict[DatabaseRef, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def look(self, target: Target, timeout: float) -> DatabaseSession | Unseen:
        ref = target.database
        if ref is None:
            return Unseen("the replica declares no database")
        line = self._lines.get(ref)
        if line is None:
            line = self._lines[ref] = _Line(ref, self._credentials, self._servers, self._names)
        self._stay(ref)
        return await line.ask(FRESH * target.timing.interval, timeout)

    async def aclose(self) -> None:
        """End all rounds and connections, at once and without a word from the servers."""
        for ref in tuple(self._lines):
            self._leave(ref)
        await asyncio.gather(*self._closing)

    def _stay(self, ref: DatabaseRef) -> None:
        """Keep the line for a while from now on."""
        if ref in self._leaving:
            self._leaving[ref].cancel()
        loop = asyncio.get_running_loop()
        self._leaving[ref] = loop.call_later(self._idle, self._rest, ref)

    def _rest(self, ref: DatabaseRef) -> None:
        if self._lines[ref].is_busy:
            self._stay(ref)
        else:
            self._leave(ref)

    def _leave(self, ref: DatabaseRef) -> None:
        self._leaving.pop(ref).cancel()
        self._servers.forget(ref)
        task = asyncio.create_task(self._lines.pop(ref).aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Line:
    """The agent's line to one database.

    The pool bounds it to one connection. It is a pool that dials when it is asked to, so that a
    refusal is told at once and as it is; one that dials behind it hides the cause, and tries again
    in times of its own.

    A dial goes on where its round is given up, as long as the name leads where it dials: Postgres
    does not see that nobody waits for a start-up that stalls, and would collect one for each round.
    """

    def __init__(
        self, ref: DatabaseRef, credentials: FindCredentials, servers: Servers, names: Names
    ) -> None:
        self._ref = ref
        self._credentials = credentials
        self._servers = servers
        self._names = names
        self._naming = False
        self._login = Credentials("")
        self._addresses: tuple[str, ...] = ()
        self._pool = AsyncNullConnectionPool(
            connection_class=Connection,
            kwargs=self._parameters,
            max_size=1,
            timeout=DIALLING,
            num_workers=1,
            open=False,
            name=f"healthagent {ref}",
        )
        self._workflows = Workflows(ref)
        self._asked = Asked()
        self._held: Connection | None = None
        self._elsewhere_since: float | None = None
        self._dial: asyncio.Task[_Dialled] | None = None
        self._round: asyncio.Task[DatabaseSession | Unseen] | None = None
        self._begun = 0.0
        self._patience = 0.0

    @property
    def is_busy(self) -> bool:
        return self._round is not None and not self._round.done()

    async def ask(self, max_age: float, timeout: float) -> DatabaseSession | Unseen:
        """The round that runs, or the last if it began less than ``max_age`` ago, or a new one.

        A round takes the longest timeout of those who lately asked, and outlives each of them.
        """
        asked = monotonic()
        self._patience = max(self._patience, timeout)
        if self._round is None or (self._round.done() and asked - self._begun >= max_age):
            self._round = asyncio.create_task(self._run(self._patience))
            self._begun, self._patience = asked, timeout
        running = self._round
        await asyncio.wait({running}, timeout=timeout)
        if not running.done():
            return self._late(monotonic() - asked)
        return Unseen("the agent stops") if running.cancelled() else running.result()

    async def aclose(self) -> None:
        running, self._round = self._round, None  # let go as a dial is: it may have waited for one
        if running is not None:
            running.cancel()
            await asyncio.wait({running})
        await self._give_up()
        await self._hang_up()
        await self._pool.close(timeout=0.5)

    async def _run(self, timeout: float) -> DatabaseSession | Unseen:
        """One round. It leaves behind an idle connection or none."""
        begun, self._naming = monotonic(), False
        try:
            async with asyncio.timeout(timeout):
                told = await self._told()
                if isinstance(told, Unseen):
                    return told
                (connection, row, elapsed), lasted = told, monotonic() - begun
                left = begun + timeout - monotonic()
                pending = await self._workflows.pending(connection, row, self._login.user, left)
        except TimeoutError:
            return self._late(monotonic() - begun)
        except Unresolved as why:
            return down(self._ref, "name", monotonic() - begun, str(why))
        except OSError:  # of a lookup: libpq has errors of its own
            return no_files(self._ref)
        except (psycopg.Error, UnicodeError) as error:
            return translate(error, self._ref, self._login.user, monotonic() - begun)
        finally:
            if self._held is not None and not self._held.is_idle:
                await self._hang_up()
        also = self._servers.met(self._ref, row["server"])
        found = read(row, self._ref, elapsed, pending, also)
        backends = self._asked.remembered(found.backends)
        return DatabaseSession(replace(found, backends=backends, lasted=lasted))

    async def _told(self) -> tuple[Connection, DictRow, float] | Unseen:
        """The round's row, and the seconds that the server took for it: by the connection that is
        held or, where that was lost, or its server is no longer who is meant, by a new one."""
        if self._held is not None and self._has_moved(self._held):
            await self._hang_up()
        if self._held is not None:
            try:
                return self._held, *await self._held.only_row(QUERY)
            except psycopg.OperationalError:
                if not self._held.closed:
                    raise
                await self._hang_up()
        dialled = await self._dialled()
        if isinstance(dialled, Unseen):
            return dialled
        if not isinstance(dialled, Connection):
            raise dialled
        return dialled, *await dialled.only_row(QUERY)

    async def _dialled(self) -> _Dialled | Unseen:
        """What a dial came to: the one that goes on, or another."""
        if self._dial is not None and (self._dial.done() or await self._leads_elsewhere()):
            await self._give_up()
        if self._held is not None:
            return self._held  # got while the name was asked for
        if self._dial is None:
            login = self._credentials(self._ref)
            if isinstance(login, Unseen):
                return login
            self._login = login
            self._naming = True
            self._addresses = await addresses(self._ref, self._names)
            self._naming = False
            self._dial = asyncio.create_task(self._connect())
        await asyncio.wait({self._dial})
        return self._dial.result()

    async def _leads_elsewhere(self) -> bool:
        """Whether the name has other addresses than those that are dialled, as after a failover:
        who had the old one may never answer, nor refuse."""
        try:
            return set(await addresses(self._ref, self._names)) != set(self._addresses)
        except (Unresolved, OSError):
            return False  # nowhere else, as far as is known

    def _has_moved(self, held: Connection) -> bool:
        """Whether the name has led elsewhere for a while, as after a failover from a server that
        still answers: who connects by now is seen by another."""
        now = monotonic()
        found = () if self._ref.host.startswith("/") else self._names.last(self._ref.host)
        if not found or held.info.hostaddr in found:
            self._elsewhere_since = None
            return False
        self._elsewhere_since = self._elsewhere_since or now
        return now - self._elsewhere_since >= MOVED

    async def _give_up(self) -> None:
        """End the dial, if it has not ended. A task that was cancelled keeps what it held, and that
        is a socket: so it is let go."""
        dial, self._dial = self._dial, None
        if dial is not None and not dial.done():
            dial.cancel()
            await asyncio.wait({dial})

    async def _connect(self) -> _Dialled:
        """One dial, which may outlive its round: what it got is held for those to come. An error is
        given, not raised, since there may be no round any more that takes it."""
        try:
            await self._pool.open()
            self._held = await self._pool.getconn()
        except (psycopg.Error, UnicodeError) as error:
            return error
        return self._held

    def _late(self, elapsed: float) -> DatabaseSession:
        """What it means that a round has not ended in time."""
        if self._naming:
            return down(self._ref, "name", elapsed, "no answer in time")
        return down(self._ref, "timeout", elapsed)

    async def _parameters(self) -> dict[str, Any]:
        return parameters(self._ref, self._login, self._addresses)

    async def _hang_up(self) -> None:
        held, self._held = self._held, None
        self._elsewhere_since = None
        if held is not None:
            await self._pool.putconn(held)
