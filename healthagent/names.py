"""The addresses of a name, asked for in such a way that one which hangs keeps no other waiting.

A lookup cannot be cancelled: libc waits for its servers as long as it will, in a thread. An event
loop has few threads for that, and whoever gives up leaves his occupied. So each name has a thread
of its own, one at most, whose answer is for all who wait by then, and nobody waits for it at exit.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable
from functools import partial

from healthagent.aside import aside

KNOWN = 3.0
"""Seconds for which a name keeps its addresses: a container that moved is soon found again."""


class Unresolved(Exception):
    """The name has no address. Its text says why."""


Found = tuple[str, ...] | Unresolved | OSError
"""The addresses, or why there are none; an OSError where this machine could not look."""

NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""No file descriptor is left to ask with, which says nothing about the name."""


def look_up(name: str) -> Found:
    """What libc says, however long it takes."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in NO_FILES:
            return error
        return Unresolved(error.strerror or str(error))
    except ValueError as error:  # an empty label, or one that is too long
        return Unresolved(str(error))
    return tuple(str(sockaddr[0]) for *_, sockaddr in found)


class Names:
    """Looks names up for one event loop, and keeps what it found for a moment."""

    def __init__(self, look_up: Callable[[str], Found] = look_up) -> None:
        self._look_up = look_up
        self._asked: dict[str, asyncio.Future[Found]] = {}
        self._known: dict[str, tuple[str, ...]] = {}
        self._last: dict[str, tuple[str, ...]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The host's addresses, one at least, in the order in which they are to be tried: at once
        where it is one itself. Whoever gives up leaves the lookup to those who come after.

        Raises :class:`Unresolved` where it has none, ``OSError`` where nobody could look.
        """
        if _is_address(host):
            return (host,)
        if host in self._known:
            return self._known[host]
        asked = self._asked.get(host) or self._ask(host)
        await asyncio.wait({asked})
        found = asked.result()
        if isinstance(found, Exception):
            raise found
        return found

    def last(self, host: str) -> tuple[str, ...]:
        """The addresses that were found last, none if there were none yet. Nobody waits: what is
        not known any more is asked for meanwhile, for those who come after."""
        if _is_address(host):
            return (host,)
        if host not in self._known and host not in self._asked:
            self._ask(host)
        return self._last.get(host, ())

    def _ask(self, host: str) -> asyncio.Future[Found]:
        asked = self._asked[host] = aside(f"name {host}", partial(self._look_up, host))
        asked.add_done_callback(partial(self._note, host))
        return asked

    def _note(self, host: str, asked: asyncio.Future[Found]) -> None:
        del self._asked[host]
        found = asked.result()
        if not isinstance(found, Exception):
            self._known[host] = self._last[host] = found
            asyncio.get_running_loop().call_later(KNOWN, self._known.pop, host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
