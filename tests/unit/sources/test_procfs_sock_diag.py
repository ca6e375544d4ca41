"""What the kernel answers over netlink, and what it could not answer."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from healthagent.sources.procfs import sock_diag

ERROR, DONE, SOCKET = 2, 3, 20
"""Types of messages: nlmsg_type in linux/netlink.h, and SOCK_DIAG_BY_FAMILY."""

BODY = bytes(72)
"""A struct inet_diag_msg of nobody."""


class Kernel:
    """The other end of a netlink socket."""

    def __init__(self) -> None:
        self.asked, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def answers(self, *messages: tuple[int, bytes]) -> None:
        """One datagram of these messages."""
        headed = (
            struct.pack("=IHHII", 16 + len(body), type_, 2, 1, 0) + body for type_, body in messages
        )
        self._end.send(b"".join(headed))

    def close(self) -> None:
        self.asked.close()
        self._end.close()

    def told(self) -> list[bytes]:
        return list(sock_diag.messages(sock_diag.LISTEN, netlink=self.asked))


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


def number(error: int) -> bytes:
    return struct.pack("=i", -error)


def test_both_families_are_asked_to_their_end(kernel: Kernel) -> None:
    for _ in ("IPv4", "IPv6"):
        kernel.answers((SOCKET, BODY), (DONE, number(0)))
    assert kernel.told() == [BODY, BODY]


@pytest.mark.parametrize("type_", [ERROR, DONE])
def test_a_dump_that_could_not_be_made_is_an_error_and_not_no_sockets(
    kernel: Kernel, type_: int
) -> None:
    kernel.answers((type_, number(errno.ENOENT)))
    with pytest.raises(FileNotFoundError, match="sock_diag"):
        kernel.told()


def test_a_dump_that_broke_off_is_an_error_and_not_a_whole_one(kernel: Kernel) -> None:
    kernel.answers((SOCKET, BODY), (DONE, number(errno.ENOMEM)))
    with pytest.raises(OSError, match="sock_diag"):
        kernel.told()
