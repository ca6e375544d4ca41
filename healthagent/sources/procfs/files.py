"""Reading /proc: small files, the head of a socket table, and who descends from whom.

Everything here works for an ordinary user without capabilities, but for file descriptors.
Most of /proc is the kernel's own, and is read where it is needed, in no thread. What is a process'
memory is not: see :mod:`cmdlines`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PIECE = 65536
_HALF_A_PAGE = 2048
_LISTEN = b" 0A "
_MOST = 1000
_MEMORY = 0.5

Children = Callable[[int], list[int]]
"""The pids of a process' living and unwaited-for children; empty where it has ended."""


def read(path: str) -> bytes:
    """The beginning of a file, at most 64 KiB. Raises ``OSError``; ``ProcessLookupError`` where
    the process ended between opening and reading."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _PIECE)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Sockets:
    """Rows of a socket table, headings among them. ``whole`` is false where some were left out."""

    rows: list[bytes]
    whole: bool


def sockets(path: str, *, only_listening: bool) -> Sockets:
    """The rows of listening sockets, and of the others some of ``_MOST`` unless they are unwanted.

    Every read walks the kernel's whole table of connections, so there are as few as can be: the
    listening ones come first (tcp_get_idx() in net/ipv4/tcp_ipv4.c), and the kernel fills most of
    a page while it has rows (seq_read_iter() in fs/seq_file.c).
    """
    rows: list[bytes] = []
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while piece := os.read(descriptor, _PIECE):
            rows += piece.splitlines()
            if len(piece) < _HALF_A_PAGE:
                break
            if _LISTEN not in rows[-1] and (only_listening or len(rows) >= _MOST):
                return Sockets(rows, whole=False)
    finally:
        os.close(descriptor)
    return Sockets(rows, whole=True)


def children_in(proc: str) -> Children:
    """How to find children under this /proc: from the kernel's own lists where it was built with
    CONFIG_PROC_CHILDREN, as the distributions' kernels are, else from all processes' parents."""
    if (Path(proc) / "thread-self" / "children").exists():
        return lambda pid: _listed_children(proc, pid)
    return _ScannedChildren(proc)


def family(pid: int, children: Children) -> list[int]:
    """``pid`` and all below it, parents before children."""
    found = [pid]
    known = {pid}
    for parent in found:
        fresh = [child for child in children(parent) if child not in known]
        known.update(fresh)
        found.extend(fresh)
    return found


def _listed_children(proc: str, pid: int) -> list[int]:
    """A child is listed at the thread that forked it."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"{proc}/{pid}/task"):  # noqa: PTH208  # hot, names alone needed
            try:
                found.extend(map(int, read(f"{proc}/{pid}/task/{thread}/children").split()))
            except (FileNotFoundError, ProcessLookupError):
                continue
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found


class _ScannedChildren:
    """One scan of all processes serves every look of the next half second."""

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._scanned_at = -_MEMORY
        self._children: dict[int, list[int]] = {}

    def __call__(self, pid: int) -> list[int]:
        now = time.monotonic()
        if now - self._scanned_at >= _MEMORY:
            self._children, self._scanned_at = self._scan(), now
        return self._children.get(pid, [])

    def _scan(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for name in os.listdir(self._proc):  # noqa: PTH208
            if name.isdigit():
                try:
                    text = read(f"{self._proc}/{name}/stat")
                except OSError:
                    continue
                parent = int(text[text.rindex(b")") + 2 :].split()[1])
                found.setdefault(parent, []).append(int(name))
        return found
