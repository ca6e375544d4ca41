"""Who waits at a replica's port, and what the app takes up: what tells a stuck one from a busy one
and from one that is not reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from healthagent.core.observation import Address
from healthagent.core.target import Target
from healthagent.sources.procfs import files, parse, sock_diag

QUIET = 60.0
"""Seconds from one look at the socket tables of a container that seems well to the next: a look
takes some 6 ms on a machine of 24 GB, see :mod:`sock_diag`, which beside 30 replicas would be a
seventh of all that the agent does if done every 30 s. One that seems unwell is looked at always,
and so is one at which somebody waited or that gave no answer: nobody is judged by an old queue.
"""

CLOSED = 10.0
"""Seconds from one look at the socket tables to the next where the port refuses connections: what
listens instead is worth knowing, and a whole service that starts is not to cost so much."""

Queues = Mapping[int, int]
"""Connections that wait, by listening port."""

_OPEN = (sock_diag.ESTABLISHED, sock_diag.CLOSE_WAIT)


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    root: int
    queues: Queues | None


@dataclass(frozen=True, slots=True)
class _Door:
    """How it stood at the target's port at a look: who waited to be taken, and what those who were
    taken wait to be read: bytes, by the socket's inode. ``whole`` says that none was left out.
    ``turned_at`` is ``None`` as long as there was nothing to compare with."""

    root: int
    waiting: int
    unread: Mapping[int, int]
    whole: bool = True
    turned_at: float | None = None

    def turned_since(self, before: _Door) -> bool:
        """Whether the app did since then what nobody else can: take a connection or read from one.

        A queue that is as long as before says nothing: in a crowd one comes for each that is taken.
        """
        taken = before.whole and not self.unread.keys() <= before.unread.keys()
        return (
            taken
            or self.waiting < before.waiting
            or any(bytes_ < before.unread.get(inode, 0) for inode, bytes_ in self.unread.items())
        )


class AcceptQueues:
    """Looks into the network namespace of a target. ``clock`` is monotonic, in seconds."""

    def __init__(self, proc: str, clock: Callable[[], float]) -> None:
        self._proc = proc
        self._clock = clock
        self._read: dict[str, _Read] = {}
        self._doors: dict[str, _Door] = {}
        self._listeners: dict[str, frozenset[Address]] = {}

    def of(self, target: Target, root: int, unwell: bool) -> Queues | None:
        """The queues of the target whose first process is ``root``; ``None`` where they cannot be
        seen. Where it is not ``unwell`` they are at most ``QUIET`` seconds old, and empty if not of
        now."""
        if not unwell:
            self._doors.pop(target.id, None)
        if not target.is_container:
            return self._of_local(target, root, unwell)
        now, known = self._clock(), self._read.get(target.id)
        if known is None:  # its turn next comes at a time of its own, lest all come at once
            now -= QUIET * int(target.id[:4], 16) / 0x10000
        elif known.root == root and not unwell and now - known.at < QUIET:
            return known.queues
        queues = self._of_container(target, root, unwell)
        if queues and any(queues.values()):
            self.doubt(target.id)
        else:
            self._read[target.id] = _Read(now, root, queues)
        return queues

    def doubt(self, id_: str) -> None:
        """Let the next look read afresh."""
        self._read.pop(id_, None)

    def refused(self, id_: str) -> None:
        """Let a look soon read afresh: its port takes no connection."""
        known = self._read.get(id_)
        if known is not None and self._clock() - known.at >= CLOSED:
            self.doubt(id_)

    def listeners(self, target: Target) -> frozenset[Address]:
        """See :attr:`ProcessTree.listeners`."""
        return self._listeners.get(target.id, frozenset())

    def turned(self, target: Target) -> float | None:
        """See :attr:`ProcessTree.turned`. What is compared are looks one after another while it was
        unwell."""
        door = self._doors.get(target.id)
        return None if door is None or door.turned_at is None else self._clock() - door.turned_at

    def forget(self, id_: str) -> None:
        self.doubt(id_)
        self._doors.pop(id_, None)
        self._listeners.pop(id_, None)

    def _of_local(self, target: Target, root: int, unwell: bool) -> Queues | None:
        """It shares the agent's network namespace."""
        try:
            queues: dict[int, int] = {}
            for found in sock_diag.sockets(sock_diag.LISTEN):
                queues[found.port] = queues.get(found.port, 0) + found.queued
            if unwell and target.port is not None:
                unread = {
                    found.inode: found.queued
                    for found in sock_diag.sockets(*_OPEN, port=target.port)
                    if found.inode
                }
                self._note(target.id, _Door(root, queues.get(target.port, 0), unread))
        except OSError:
            return None
        return queues

    def _of_container(self, target: Target, root: int, unwell: bool) -> Queues | None:
        """Over IPv4 and IPv6: a socket that listens on both stands in tcp6 alone."""
        rows: list[bytes] = []
        whole = True
        for table in ("tcp", "tcp6"):
            try:
                found = files.sockets(f"{self._proc}/{root}/net/{table}", only_listening=not unwell)
            except FileNotFoundError:
                continue  # a kernel without IPv6
            except OSError:
                return None
            rows += found.rows
            whole = whole and found.whole
        queues = parse.accept_queues(rows)
        self._listeners[target.id] = frozenset(parse.listeners(rows))
        if unwell and target.port is not None:
            unread = parse.unread(rows, target.port)
            self._note(target.id, _Door(root, queues.get(target.port, 0), unread, whole))
        return queues

    def _note(self, id_: str, door: _Door) -> None:
        before = self._doors.get(id_)
        if before is not None and before.root == door.root:
            last = -math.inf if before.turned_at is None else before.turned_at
            turned_at = self._clock() if door.turned_since(before) else last
            door = replace(door, turned_at=turned_at)
        self._doors[id_] = door
