"""The load, and what Traefik says meanwhile: one run of an arm, from first request to verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.routing.load import PATIENCE, Record

LOOK_EVERY = 0.02
STARTED = 10.0

LAG = 0.25
"""Seconds that the client may be late in sending; beyond it the machine is too busy to judge by."""


@dataclass(frozen=True, slots=True)
class Look:
    """What Traefik's API told at one time: its routers, and who is in rotation."""

    at: float
    routers: frozenset[str]
    serving: frozenset[str]


@dataclass(slots=True)
class Run:
    """What became of every request, and of the rotation. ``repeated`` are the POSTs done twice."""

    records: list[Record] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    repeated: int = 0

    @property
    def lost(self) -> list[Record]:
        """Requests without a good answer, or with one too late."""
        return [r for r in self.records if not (200 <= r.status < 300 and r.took <= PATIENCE)]

    def figures(self) -> dict[str, Any]:
        """What every arm tells."""
        lost = self.lost
        figures: dict[str, Any] = {"lost": len(lost), "sent": len(self.records)}
        if lost:
            figures["lost_posts"] = sum(r.method == "POST" for r in lost)
            kinds = Counter(str(r.status) if r.status else "hung" for r in lost)
            figures["how"] = dict(sorted(kinds.items()))
        lag = max((r.lag for r in self.records), default=0.0)
        if lag > LAG:
            figures["client_lag_s"] = round(lag, 2)
        if self.repeated:
            figures["posts_done_twice"] = self.repeated
        return figures

    def out_after(self, fault: float, servers: set[str]) -> float | None:
        """Seconds from the fault until Traefik no longer served these; ``None``: it always did."""
        for look in self.looks:
            if look.at > fault and not look.serving & servers:
                return round(look.at - fault, 2)
        return None

    def since(self, fault: float, servers: set[str]) -> dict[str, Any]:
        """What an arm with a fault tells besides, in seconds from it: when Traefik no longer served
        these, and when the last of the lost requests had been sent."""
        figures: dict[str, Any] = {"out_s": self.out_after(fault, servers)}
        if lost := self.lost:
            figures["last_lost_s"] = round(max(r.sent for r in lost) - fault, 2)
        return figures

    def changes(self) -> int:
        """How often the rotation changed."""
        states = [(look.routers, look.serving) for look in self.looks]
        return sum(before != after for before, after in pairwise(states))


@contextmanager
def observed(url: str, api: str, orders: Path, rate: float) -> Iterator[Run]:
    """With the load on ``url`` and an eye on Traefik's ``api``. The run is whole at the end."""
    run, over = Run(), threading.Event()
    name = f"{time.monotonic_ns():x}"
    watching = threading.Thread(target=_watch, args=(api, run.looks, over), daemon=True)
    client = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.routing.load", url, name, f"--rate={rate:g}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ,
    )
    try:
        watching.start()
        yield run
        told, _ = client.communicate(timeout=PATIENCE + STARTED)
        run.records = [Record(*json.loads(line)) for line in told.splitlines()]
        done = Counter(_orders(orders, name))
        run.repeated = sum(times - 1 for times in done.values())
    finally:
        over.set()
        client.kill()
        client.wait()
        watching.join()


def _orders(folder: Path, run: str) -> list[str]:
    """The ids of a run's POSTs that were done, by all replicas there ever were."""
    lines = (line for file in folder.iterdir() for line in file.read_text().splitlines())
    return [line for line in lines if line.startswith(f"{run}-")]


def _watch(api: str, looks: list[Look], over: threading.Event) -> None:
    while not over.is_set():
        begun = time.monotonic()
        with suppress(OSError):  # so busy that it does not answer in time: the next look tells
            looks.append(look(api))
        over.wait(max(0.0, begun + LOOK_EVERY - time.monotonic()))


def look(api: str) -> Look:
    """One look at Traefik's API."""
    with urllib.request.urlopen(f"{api}/api/rawdata", timeout=PATIENCE) as response:
        told = json.loads(response.read())
    at = time.monotonic()
    serving: set[str] = set()
    for name, service in told.get("services", {}).items():
        if name.endswith("@internal"):
            continue
        states = service.get("serverStatus", {})
        urls = [s["url"] for s in service.get("loadBalancer", {}).get("servers", [])]
        serving |= {url for url in urls if states.get(url, "UP") == "UP"}
    routers = frozenset(n for n in told.get("routers", {}) if not n.endswith("@internal"))
    return Look(at, routers, frozenset(serving))


def until(what: str, holds: Callable[[], bool], within: float) -> float:
    """Wait for a condition; the time at which it held. Raises TimeoutError."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never came within {within:g} s: {what}")
        time.sleep(LOOK_EVERY)
    return time.monotonic()
