"""What the files of /proc say. Formats: proc(5), proc_pid_stat(5), proc_pid_status(5), proc_net(5).

Nothing here reads a file, so that every quirk can be shown to a test.
"""

from __future__ import annotations

import signal
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

_LISTEN = b"0A"
_OPEN = (b"01", b"08")

_SWITCHES = b"\nvoluntary_ctxt_switches:"

_FILES = b"\nMax open files"

_SIGTERM_BIT = 1 << (signal.SIGTERM - 1)


@dataclass(frozen=True, slots=True)
class Stat:
    """Fields of /proc/PID/stat. ``ticks`` is utime + stime and ``started`` is starttime, both in
    clock ticks (``sysconf(SC_CLK_TCK)``); ``started`` counts from boot."""

    comm: str
    state: str
    ppid: int
    ticks: int
    started: int


@dataclass(frozen=True, slots=True)
class Status:
    """Fields of /proc/PID/status. ``ns_pid`` is the last of NSpid: the pid in its own namespace."""

    ns_pid: int | None
    catches_sigterm: bool | None


def stat(text: bytes) -> Stat:
    """Raises ``ValueError`` where the text is none. The comm may hold spaces and parentheses, so
    the last closing parenthesis ends it."""
    opened, closed = text.index(b"("), text.rindex(b")")
    rest = text[closed + 2 :].split()
    if len(rest) < 20:
        raise ValueError("a line of /proc/PID/stat has 22 fields or more")
    return Stat(
        comm=text[opened + 1 : closed].decode(errors="replace"),
        state=rest[0].decode(),
        ppid=int(rest[1]),
        ticks=int(rest[11]) + int(rest[12]),
        started=int(rest[19]),
    )


def status(text: bytes) -> Status:
    ns_pid: int | None = None
    catches: bool | None = None
    for line in text.splitlines():
        if line.startswith(b"NSpid:"):
            ns_pid = int(line.split()[-1])
        elif line.startswith(b"SigCgt:"):
            catches = bool(int(line.split()[1], 16) & _SIGTERM_BIT)
            break  # SigCgt stands behind NSpid
    return Status(ns_pid, catches)


def switches(text: bytes) -> int | None:
    """How often the process has gone to sleep by itself: ``voluntary_ctxt_switches`` of
    /proc/PID/status. One that has not run since has the same number."""
    _, found, rest = text.partition(_SWITCHES)
    return int(rest.split(None, 1)[0]) if found else None


def wanted(text: bytes) -> float:
    """Seconds that a thread has run or waited for a processor: the first two numbers of
    /proc/PID/schedstat (Documentation/scheduler/sched-stats.rst of Linux)."""
    ran, waited, *_ = text.split()
    return (int(ran) + int(waited)) / 1e9


def most_files(text: bytes) -> int | None:
    """How many files a process may have open: the soft limit of /proc/PID/limits, ``None`` where
    there is none."""
    _, found, rest = text.partition(_FILES)
    limit = rest.split(None, 1)[0] if found else b""
    return int(limit) if limit.isdigit() else None


def cmdline(text: bytes) -> tuple[str, ...]:
    """The arguments. A process that retitles itself leaves NULs behind; a zombie has none."""
    stripped = text.rstrip(b"\0 ")
    return tuple(stripped.decode(errors="replace").split("\0")) if stripped else ()


def accept_queues(rows: Iterable[bytes]) -> dict[int, int]:
    """Connections that wait to be accepted, by listening port: rx_queue of the rows of
    /proc/PID/net/tcp or tcp6, the heading left out. Rows of other sockets do not count, nor does
    one cut short."""
    queues: dict[int, int] = {}
    for row in rows:
        fields = row.split()
        if len(fields) > 4 and fields[3] == _LISTEN:
            port = int(fields[1].rpartition(b":")[2], 16)
            queues[port] = queues.get(port, 0) + int(fields[4].partition(b":")[2], 16)
    return queues


def listeners(rows: Iterable[bytes]) -> set[tuple[str, int]]:
    """Address and port of each listening row, as above."""
    found = set()
    for row in rows:
        fields = row.split()
        if len(fields) > 4 and fields[3] == _LISTEN:
            found.add(address(fields[1].decode()))
    return found


def address(text: str) -> tuple[str, int]:
    """``10.0.0.2`` and 3000 of ``0200000A:0BB8``: each word is in the byte order of the machine. An
    IPv4 address that is mapped into IPv6 is told as it is."""
    words, _, port = text.partition(":")
    order = f"{'<' if sys.byteorder == 'little' else '>'}{len(words) // 8}I"
    numbers = [int(words[n : n + 8], 16) for n in range(0, len(words), 8)]
    found = ip_address(struct.pack(order, *numbers))
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found), int(port, 16)


def unread(rows: Iterable[bytes], port: int) -> dict[int, int]:
    """Bytes that the app has not read yet, by inode, of the connections to its port that it has
    taken: one that still waits to be accepted has no inode (sock_i_ino() in net/core/sock.c)."""
    found: dict[int, int] = {}
    local = b":%04X" % port
    for row in rows:
        fields = row.split()
        if len(fields) > 9 and fields[3] in _OPEN and fields[1].endswith(local):
            inode = int(fields[9])
            if inode:
                found[inode] = int(fields[4].partition(b":")[2], 16)
    return found
