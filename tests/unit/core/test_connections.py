"""Whether a request is in flight, from what the kernel tells of a connection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.core.connections import SENDING, Connection

IDLE = Connection(
    unread=0,
    unacknowledged=0,
    received=800,
    sent=2000,
    since_received=3.2,
    since_sent=3.1,
    since_acknowledged=3.06,
    interactive=True,
)
SAME_TICK = replace(IDLE, since_received=3.2, since_sent=3.2, since_acknowledged=3.2)
"""The answer to one request and the next request came in one tick of the kernel's clock; or the
request and its answer did."""


@pytest.mark.parametrize(
    "connection",
    [
        IDLE,
        replace(IDLE, interactive=False),
        replace(IDLE, interactive=None),
        replace(IDLE, received=0, sent=0, since_received=9.0, since_sent=9.0),
        replace(SAME_TICK, interactive=True),
        replace(SAME_TICK, since_acknowledged=3.16, interactive=False),
    ],
    ids=[
        "answered a while ago",
        "answered slowly",
        "answered, on a kernel that tells no mode",
        "opened in advance",
        "answered in the tick of the request",
        "answered in the tick of the request, acknowledged later",
    ],
)
def test_a_connection_that_waits_for_a_request_is_idle(connection: Connection) -> None:
    assert not connection.busy


@pytest.mark.parametrize(
    "connection",
    [
        replace(IDLE, since_received=3.0),
        replace(IDLE, sent=0, since_received=3.2, since_sent=3.2),
        replace(IDLE, unread=40),
        replace(IDLE, unacknowledged=1448),
        replace(IDLE, since_received=5.0, since_sent=SENDING / 2),
        replace(SAME_TICK, since_received=0.1, since_sent=0.1, since_acknowledged=0.1),
        replace(SAME_TICK, interactive=False),
        replace(SAME_TICK, interactive=None),
    ],
    ids=[
        "received after it last sent",
        "its first request",
        "not even read",
        "answer on its way",
        "answer that is streamed",
        "too early to tell",
        "request in the tick of the answer before",
        "cannot be told",
    ],
)
def test_one_with_a_request_that_is_not_answered_is_busy(connection: Connection) -> None:
    assert connection.busy
