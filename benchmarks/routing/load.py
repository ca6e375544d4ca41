"""``python -m benchmarks.routing.load URL RUN``: an open-loop client, in a process of its own.

It sends at a fixed rate whatever comes back, as the world does: a client that waits for answers
before it asks again sends the less the more is lost, and so hides it. One request in ten is a POST
with an id of its own, RUN-NUMBER. It sends until its standard input ends, waits for what is still
under way, and prints one JSON list a request: when it was sent (seconds of CLOCK_MONOTONIC, which
all processes of a machine share) and how much later than due, method, status (0: none came in
time), seconds until it was read whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import NamedTuple

import aiohttp
import uvloop

PATIENCE = 3.0
"""Seconds after which a request counts as lost: its user has gone."""

POST_EVERY = 10


class Record(NamedTuple):
    """One request. Seconds; ``sent`` of the monotonic clock."""

    sent: float
    lag: float
    method: str
    status: int
    took: float


async def send(
    session: aiohttp.ClientSession, url: str, run: str, number: int, due: float
) -> Record:
    """One request, to its end."""
    post = number % POST_EVERY == 0
    method, path = ("POST", f"/orders/{run}-{number}") if post else ("GET", "/")
    begun, status = time.monotonic(), 0
    try:
        async with session.request(method, url + path) as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    return Record(begun, begun - due, method, status, time.monotonic() - begun)


async def load(url: str, run: str, rate: float) -> list[Record]:
    """Send until standard input ends; what there is to tell of each request."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    sending: list[asyncio.Task[Record]] = []
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        begun = time.monotonic()
        while not stop.is_set():
            due = begun + len(sending) / rate
            if (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            sending.append(asyncio.create_task(send(session, url, run, len(sending), due)))
        return list(await asyncio.gather(*sending))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("run", help="a name that no run before had")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    options = parser.parse_args()
    for record in uvloop.run(load(options.url, options.run, options.rate)):
        print(json.dumps(record))


if __name__ == "__main__":
    main()
