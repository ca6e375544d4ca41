"""The connections of a replica's port, each with what tells a request in flight from an idle one.

They are those of a network namespace, and the kernel tells them to whoever is in it, without any
capability. The agent is in its own; into a container's it gets with CAP_SYS_ADMIN, or by this
module run as a program in a container that shares that namespace::

    python -m healthagent.sources.procfs.connections PORT SECONDS

which prints how many are busy, a line every ``EVERY`` seconds, and ends after ``SECONDS``.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from healthagent.core.connections import Connection
from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.sources.procfs import sock_diag
from healthagent.sources.procfs.tree import PidOf

EVERY = 0.25

_CLONE_NEWNET = 0x40000000
_INFO = 2  # INET_DIAG_INFO in linux/inet_diag.h
_ATTRIBUTE = struct.Struct("=HH")
_SINCE = struct.Struct("=IIII")  # tcpi_last_data_sent, _ack_sent, _data_recv, _ack_recv: ms
_BYTES = struct.Struct("=QQ")  # tcpi_bytes_acked, tcpi_bytes_received
_SINCE_AT, _BYTES_AT, _ATTRIBUTES_AT = 44, 120, 72
_INODE, _PINGPONG = 9, 14
"""Columns of /proc/net/tcp."""


def busy(
    target: Target, pid_of: PidOf, own_id: str | None = None, proc: str = "/proc"
) -> int | Unseen:
    """How many requests are in flight at a target, as far as may be seen from here. A sidecar takes
    the container whose network it shares for its own, and that is ``own_id``."""
    if target.port is None:
        return Unseen("it declares no port")
    if not target.is_container or target.id == own_id:
        return _count(target.port)
    pid = pid_of(target)
    if pid is None:
        return Unseen("the pid of its first process is not known")
    try:
        there, here = (Path(proc, str(p), "ns/net").stat() for p in (pid, "self"))
        if there.st_ino == here.st_ino:
            return _count(target.port)
        with _netlink_in(f"{proc}/{pid}/ns/net") as netlink:
            return _count(target.port, netlink, f"{proc}/{pid}")
    except OSError as error:
        return Unseen(
            f"its network namespace may not be entered ({error.strerror})",
            "give the agent CAP_SYS_ADMIN and CAP_SYS_PTRACE, or let it run in a container",
        )


def _count(
    port: int, netlink: socket.socket | None = None, process: str = "/proc/self"
) -> int | Unseen:
    try:
        return sum(connection.busy for connection in connections(port, netlink, process))
    except OSError as error:
        return Unseen(f"the kernel tells no sockets ({error})", "modprobe tcp_diag")


def connections(
    port: int, netlink: socket.socket | None = None, process: str = "/proc/self"
) -> list[Connection]:
    """The established connections of a local port. ``netlink`` is a socket made in the namespace
    to look into, and ``process`` one of its processes; the caller's own by default.

    Raises ``OSError`` where the kernel does not tell.
    """
    told = sock_diag.messages(sock_diag.ESTABLISHED, port=port, attribute=_INFO, netlink=netlink)
    found = list(told)
    modes = _interactive(process) if found else {}
    return [_connection(body, modes) for body in found]


def _connection(body: bytes, modes: dict[int, bool]) -> Connection:
    seen, info = sock_diag.parsed(body), _info(body)
    sent_ago, _, received_ago, acknowledged_ago = _SINCE.unpack_from(info, _SINCE_AT)
    acknowledged, received = _BYTES.unpack_from(info, _BYTES_AT)
    return Connection(
        unread=seen.queued,
        unacknowledged=seen.unacknowledged,
        received=received,
        sent=acknowledged + seen.unacknowledged,
        since_received=received_ago / 1000,
        since_sent=sent_ago / 1000,
        since_acknowledged=acknowledged_ago / 1000,
        interactive=modes.get(seen.inode),
    )


def _info(body: bytes) -> bytes:
    """The struct tcp_info among a message's attributes."""
    at = _ATTRIBUTES_AT
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if kind == _INFO:
            return body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    raise OSError("sock_diag told no tcp_info")


def _interactive(process: str) -> dict[int, bool]:
    """By inode the last bit of the row's ``(quick << 1) | pingpong`` (get_tcp4_sock() in
    net/ipv4/tcp_ipv4.c), which stands in no other place."""
    modes: dict[int, bool] = {}
    for table in ("tcp", "tcp6"):
        try:
            rows = Path(process, "net", table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        for row in rows:
            fields = row.split()
            if len(fields) > _PINGPONG:
                modes[int(fields[_INODE])] = bool(int(fields[_PINGPONG]) & 1)
    return modes


def _netlink_in(namespace: str) -> socket.socket:
    """A netlink socket of another network namespace. A socket stays in the one that it was made in,
    and a namespace is a thread's own: so one is made in a thread that ends with it."""
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
                made.append(sock_diag.open_netlink())
            finally:
                os.close(descriptor)
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make, name="setns", daemon=True)
    thread.start()
    thread.join()
    found = made[0]
    if isinstance(found, OSError):
        raise found
    return found


def main(port: int, seconds: float) -> Iterator[int]:
    """What the program prints: the number of busy connections, again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield sum(connection.busy for connection in connections(port))
        time.sleep(EVERY)


if __name__ == "__main__":
    for number in main(int(sys.argv[1]), float(sys.argv[2])):
        print(number, flush=True)  # noqa: T201  # its only output, read line by line
