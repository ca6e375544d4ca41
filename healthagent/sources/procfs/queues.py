"""How many connections wait to be accepted: what tells a stuck app from one that is not reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from healthagent.core.target import Target
from healthagent.sources.procfs import files, parse, sock_diag

QUIET = 60.0
"""Seconds from one look at the socket tables of a container that seems well to the next: a look
takes some 6 ms on a machine of 24 GB, see :mod:`sock_diag`, which beside 30 replicas would be a
seventh of all that the agent does if done every 30 s. One that seems unwell is looked at always.
"""

Queues = Mapping[int, int]
"""Connections that wait, by listening port."""


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    root: int
    queues: Queues | None


@dataclass(frozen=True, slots=True)
class _Door:
    """Who waited at the target's port when it was last looked at, and when some were taken."""

    root: int
    waiting: int
    taken_at: float | None = None


class AcceptQueues:
    """Looks into the network namespace of a target. ``clock`` is monotonic, in seconds."""

    def __init__(self, proc: str, clock: Callable[[], float]) -> None:
        self._proc = proc
        self._clock = clock
        self._read: dict[str, _Read] = {}
        self._doors: dict[str, _Door] = {}

    def of(self, target: Target, root: int, unwell: bool) -> Queues | None:
        """The queues of the target whose first process is ``root``, at most ``QUIET`` seconds old
        where it is not ``unwell``; ``None`` where they cannot be seen."""
        if not target.is_container:
            queues = _own()
            self._note(target, root, queues)
            return queues
        now, known = self._clock(), self._read.get(target.id)
        if known is None:  # its turn next comes at a time of its own, lest all come at once
            now -= QUIET * int(target.id[:4], 16) / 0x10000
        elif known.root == root and not unwell and now - known.at < QUIET:
            return known.queues
        queues = self._in_namespace_of(root)
        self._read[target.id] = _Read(now, root, queues)
        self._note(target, root, queues)
        return queues

    def accepted(self, target: Target) -> float | None:
        """Seconds since connections that waited for the target were last found taken: a queue only
        shrinks when the app accepts. ``None`` where that was never seen."""
        door = self._doors.get(target.id)
        return None if door is None or door.taken_at is None else self._clock() - door.taken_at

    def forget(self, id_: str) -> None:
        self._read.pop(id_, None)
        self._doors.pop(id_, None)

    def _note(self, target: Target, root: int, queues: Queues | None) -> None:
        if queues is None or target.port is None:
            return
        waiting, before = queues.get(target.port, 0), self._doors.get(target.id)
        if before is None or before.root != root:
            self._doors[target.id] = _Door(root, waiting)
        else:
            taken_at = self._clock() if waiting < before.waiting else before.taken_at
            self._doors[target.id] = _Door(root, waiting, taken_at)

    def _in_namespace_of(self, pid: int) -> Queues | None:
        """Over IPv4 and IPv6: a socket that listens on both stands in tcp6 alone."""
        rows: list[bytes] = []
        for table in ("tcp", "tcp6"):
            try:
                rows += files.listening(f"{self._proc}/{pid}/net/{table}")
            except FileNotFoundError:
                continue  # a kernel without IPv6
            except OSError:
                return None
        return parse.accept_queues(rows)


def _own() -> Queues | None:
    """Those of local processes, which share the agent's network namespace."""
    try:
        listening = sock_diag.sockets(sock_diag.LISTEN)
    except OSError:
        return None
    queues: dict[int, int] = {}
    for found in listening:
        queues[found.port] = queues.get(found.port, 0) + found.queued
    return queues
