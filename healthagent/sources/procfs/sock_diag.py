"""The TCP sockets of the agent's own network namespace, by netlink (sock_diag(7)).

/proc/net/tcp tells the same, but each read of it walks the kernel's whole table of connections,
which grows with the machine's memory: 2 ms where there are two sockets and 24 GB, against 0.15 ms.
Needs no capability.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

ESTABLISHED, CLOSE_WAIT, LISTEN = 1, 8, 10
"""States of a TCP socket (include/net/tcp_states.h of Linux)."""

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_TIMEOUT = 0.5

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBBxI2s46x")  # struct inet_diag_req_v2, every address wanted
_PORT = struct.Struct("!H")
_COUNTS = struct.Struct("=IIIII")  # the end of struct inet_diag_msg: expires to inode
_PORT_AT, _COUNTS_AT = 4, 52


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket. ``queued`` is, of a listening one, the connections that wait to be accepted, of
    another the bytes that wait to be read. ``inode`` is 0 where no process has it: it waits to be
    accepted."""

    port: int
    queued: int
    inode: int


def sockets(*states: int, port: int = 0) -> list[Socket]:
    """All TCP sockets in these states, of IPv4 and IPv6, on one local port unless that is 0.
    Raises ``OSError`` where the kernel does not tell: it was built without CONFIG_INET_DIAG, or its
    module tcp_diag is not loaded."""
    wanted = sum(1 << state for state in states)
    return [
        found
        for family in (socket.AF_INET, socket.AF_INET6)
        for found in _dump(family, wanted, port)
    ]


def _dump(family: int, states: int, port: int) -> Iterator[Socket]:
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, states, _PORT.pack(port))
    length = _HEADER.size + len(request)
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(_TIMEOUT)
        netlink.send(_HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
        while True:
            answer = netlink.recv(65536)
            at = 0
            while at < len(answer):
                size, type_, *_ = _HEADER.unpack_from(answer, at)
                body = at + _HEADER.size
                if type_ == _DONE:
                    return
                if type_ == _ERROR:
                    (number,) = struct.unpack_from("=i", answer, body)
                    raise OSError(-number, "sock_diag")
                (port,) = _PORT.unpack_from(answer, body + _PORT_AT)
                _, queued, _, _, inode = _COUNTS.unpack_from(answer, body + _COUNTS_AT)
                yield Socket(port, queued, inode)
                at += (size + 3) & ~3
