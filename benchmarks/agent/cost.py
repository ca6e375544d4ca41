"""What is measured: the agent by its cgroup and its process, its stack by all that work for it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from docker import APIClient

from benchmarks.agent.processes import cpu_seconds
from provision.engine import Engine

_SLICE: Final = 2.0
"""Seconds: some rounds of every way of looking."""


@dataclass(frozen=True, slots=True)
class StackCost:
    """CPU time of a stack and of the Engine in percent of one core.

    Whatever else the Engine does can only add to it, so it is the lower quartile of the window's
    slices that counts: what is looked for is in each. ``spread`` is from there to their median.
    """

    percent: float
    spread: float

    def above(self, idle: Self) -> Self:
        """What this is more than ``idle``, with the doubt of both."""
        return replace(self, percent=self.percent - idle.percent, spread=self.spread + idle.spread)


@dataclass(frozen=True, slots=True)
class AgentCost:
    """The agent's container over one window.

    ``cpu_percent`` is of one core. Memory is in MB of 10^6 bytes: what is resident, what of that
    is the agent's own share (``None`` where this user may not see it), and how much came to it.
    """

    cpu_percent: float
    rss_mb: float
    pss_mb: float | None
    growth_mb: float
    pg_connections: int


def stack(containers: Sequence[int], seconds: float) -> StackCost:
    """Watch these containers, given by their first processes, for that long."""
    shares = []
    for _ in range(max(2, round(seconds / _SLICE))):
        begun, before = time.monotonic(), cpu_seconds(containers)
        time.sleep(_SLICE)
        shares.append(100 * (cpu_seconds(containers) - before) / (time.monotonic() - begun))
    quartile, median, _ = statistics.quantiles(shares, n=4, method="inclusive")
    return StackCost(quartile, median - quartile)


def agent(
    engine: Engine,
    container: str,
    connections: Callable[[], int],
    containers: Sequence[int],
    seconds: float,
) -> tuple[AgentCost, StackCost]:
    """Watch the agent's container and the whole stack for that long.

    ``connections`` counts the agent's backends in Postgres: asked outside the window, since asking
    costs more than the agent does.
    """
    client = APIClient(base_url=engine.host, version="auto")
    held = connections()
    before = _Sample.take(client, container)
    whole = stack(containers, seconds)
    after = _Sample.take(client, container)
    client.close()
    return (
        AgentCost(
            cpu_percent=100 * (after.cpu - before.cpu) / (after.at - before.at),
            rss_mb=max(before.rss, after.rss),
            pss_mb=after.pss,
            growth_mb=after.rss - before.rss,
            pg_connections=max(held, connections()),
        ),
        whole,
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """``at`` and ``cpu`` in seconds, the rest in MB."""

    at: float
    cpu: float
    rss: float
    pss: float | None

    @classmethod
    def take(cls, client: APIClient, container: str) -> Self:
        """One-shot statistics hold the cgroup's counter as it is now, in nanoseconds: cpuacct.usage
        under cgroup v1, usage_usec of cpu.stat under v2."""
        stats = client.stats(container, stream=False, one_shot=True)
        at = time.monotonic()
        process = Path("/proc", str(client.inspect_container(container)["State"]["Pid"]))
        try:
            pss = _megabytes(process / "smaps_rollup", "Pss:")
        except PermissionError:
            pss = None
        cpu = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        return cls(at, cpu, _megabytes(process / "status", "VmRSS:"), pss)


def _megabytes(file: Path, key: str) -> float:
    """The kernel writes kB and means 1024 bytes."""
    row = next(row for row in file.read_text().splitlines() if row.startswith(key))
    return int(row.split()[1]) * 1024 / 1e6
