"""The agent's benchmark fails where the agent costs more than is promised, and says of what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.agent.__main__ import broken
from benchmarks.agent.cost import AgentCost, StackCost
from benchmarks.agent.table import Size

CHEAP = AgentCost(cpu_percent=1.99, rss_mb=89.9, pss_mb=None, growth_mb=0.0, pg_connections=1)


def size(replicas: int, agent: AgentCost) -> Size:
    return Size(replicas, agent, StackCost(percent=10.0, spread=1.0), stack={}, skipped={})


def test_what_is_within_the_promise_is_well() -> None:
    assert broken(size(3, CHEAP)) == []


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (replace(CHEAP, cpu_percent=2.0), "too much CPU beside 3 replicas: 2.00 % of a core"),
        (replace(CHEAP, rss_mb=90.0), "too much resident memory beside 3 replicas: 90.00 MB"),
    ],
)
def test_cpu_and_memory_are_promised_beside_three_replicas_alone(
    agent: AgentCost, said: str
) -> None:
    (fault,) = broken(size(3, agent))
    assert said in fault
    assert broken(size(30, agent)) == []


@pytest.mark.parametrize("replicas", [3, 30])
@pytest.mark.parametrize("held", [0, 2])
def test_one_connection_is_promised_beside_any_number_of_replicas(replicas: int, held: int) -> None:
    (fault,) = broken(size(replicas, replace(CHEAP, pg_connections=held)))
    assert f"{held} Postgres connections beside {replicas} replicas" in fault
