"""Whether a request is in flight on a connection, from what the kernel tells of it.

HTTP/1.1 on one connection is question and answer in turns (RFC 9112, 9.3.2: who pipelines must
still be answered in order, and no router does). So a server's connection is busy if it received
something after it last sent something, and idle, kept alive for the next request, if it sent last.

The kernel tells when that was by its tick (jiffies, 4 ms with Debian's CONFIG_HZ=250). Under load a
router reuses a connection in the very tick in which its answer went out, so that both times are
equal as often as not: measured with Traefik 3.7 in front of Bun 1.4.4 and Node 20 on Linux 6.18, 1
to 10 of 20 connections at 70 to 300 requests a second. Two more things the kernel tells settle it:

- The client's bare acknowledgement of the answer came in a later tick than the request: answered.
- TCP's *interactive* (ping-pong) mode: sending within 40 ms of a receipt turns it on, and a delayed
  acknowledgement that no answer carried turns it off (tcp_delack_timer_handler() in
  net/ipv4/tcp_timer.c of Linux). So once 40 ms have passed it is on where the answer was quick, and
  off while a request waits. All of 60 such connections were told right by it. Where it is not known
  or the kernel turns it on only later (before 6.8 after the third quick answer), an idle connection
  may count as busy until the router closes it: waiting is the lesser harm.
"""

from __future__ import annotations

from dataclasses import dataclass

SENDING = 0.5
"""Seconds for which an answer counts as going on after its last part: one that is streamed."""

SETTLED = 0.25
"""Seconds after a look before which what it says may be about to change: longer than the kernel
delays an acknowledgement (TCP_DELACK_MAX, 200 ms)."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One established connection at the server's end (struct tcp_info in linux/tcp.h).

    ``unread`` and ``unacknowledged`` are bytes in the queues of the socket, ``received`` and
    ``sent`` all bytes that ever came and went. The times are seconds since the last data came, went
    and was acknowledged. ``interactive`` is ``None`` where it cannot be seen.
    """

    unread: int
    unacknowledged: int
    received: int
    sent: int
    since_received: float
    since_sent: float
    since_acknowledged: float
    interactive: bool | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being received, worked on or answered."""
        if self.unread or self.unacknowledged:
            return True
        if not self.received:
            return False  # opened in advance, for a request to come
        if not self.sent:
            return True
        if self.since_received != self.since_sent:
            return self.since_received < self.since_sent or self.since_sent < SENDING
        if self.since_sent < SENDING:
            return True
        return self.since_acknowledged >= self.since_received and not self.interactive
