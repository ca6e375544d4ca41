"""How long the other end of a TCP connection took to answer, by the kernel's clock.

The agent's own runs on while an answer waits for the agent to read it, and would call slow who is
not: see decisions/0017.
"""

from __future__ import annotations

import socket
import struct

SEEMS_LONG = 0.05
"""Seconds from which the kernel is asked how long it really took. Its clock is too coarse for less,
and nobody is judged by less."""

_TCP_INFO = struct.Struct("=44x I 4x I 44x I")
"""Of the struct tcp_info in linux/tcp.h: tcpi_last_data_sent and tcpi_last_data_recv, which are
milliseconds ago, and tcpi_total_retrans."""


def sent_again(fd: int) -> int:
    """How many segments of a connection had to be sent again so far; 0 where it is not TCP."""
    told = _told(fd)
    return told[2] if told else 0


def answered_in(fd: int, seconds: float, sent_again_before: int = 0) -> float:
    """How long the last answer took, which seems to have taken so many seconds. Where something of
    the question had to be sent again, the way was at fault, and all of it counts."""
    told = _told(fd) if seconds >= SEEMS_LONG else None
    if told is None:
        return seconds
    sent_ago, received_ago, again = told
    by_kernel = max(0, sent_ago - received_ago) / 1000
    return seconds if again > sent_again_before else min(seconds, by_kernel)


def _told(fd: int) -> tuple[int, int, int] | None:
    """What the kernel tells of a connection, which stays its owner's; ``None`` where nothing."""
    try:
        connection = socket.socket(fileno=fd)
    except (OSError, ValueError):  # closed since
        return None
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        sent_ago, received_ago, again = _TCP_INFO.unpack(told)
    except (OSError, struct.error):
        return None
    else:
        return sent_ago, received_ago, again
    finally:
        connection.detach()
