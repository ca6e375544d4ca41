"""The result for people, and as one JSON object for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.agent.cost import AgentCost, StackCost

AGENT: Final = "healthagent, all its checks"


@dataclass(frozen=True, slots=True)
class Size:
    """What was measured with one number of replicas. ``stack`` holds, by who looked, what stack
    and Engine spent above ``idle``; ``skipped`` what that would have been, by those who did not."""

    replicas: int
    agent: AgentCost
    idle: StackCost
    stack: Mapping[str, StackCost]
    skipped: Mapping[str, float]


def text(sizes: list[Size], seconds: float) -> str:
    """Both tables."""
    return "\n".join((*_agent(sizes, seconds), "", *_stack(sizes)))


def document(sizes: list[Size]) -> str:
    """One line. The first three members of a size are what the project promises."""
    return json.dumps({str(size.replicas): _members(size) for size in sizes})


def _members(size: Size) -> dict[str, Any]:
    cost = {key: _rounded(value) for key, value in asdict(size.agent).items()}
    first = {key: cost.pop(key) for key in ("cpu_percent", "rss_mb", "pg_connections")}
    stack = {who: _rounded(cost.percent) for who, cost in size.stack.items()}
    return {**first, **cost, "stack_percent": {"idle": _rounded(size.idle.percent), **stack}}


def _rounded(value: float | None) -> float | None:
    return round(value, 2) if isinstance(value, float) else value


def _agent(sizes: list[Size], seconds: float) -> Iterator[str]:
    yield f"The agent's container, looking once a second at every replica, over {seconds:g} s:"
    yield "replicas  CPU % of a core  RSS MB  PSS MB  growth MB  Postgres connections"
    for size in sizes:
        cost = size.agent
        pss = "-" if cost.pss_mb is None else f"{cost.pss_mb:.1f}"
        yield (
            f"{size.replicas:8}  {cost.cpu_percent:15.2f}  {cost.rss_mb:6.1f}  {pss:>6}"
            f"  {cost.growth_mb:+9.2f}  {cost.pg_connections:20}"
        )


def _stack(sizes: list[Size]) -> Iterator[str]:
    width = max(len(who) for size in sizes for who in (*size.stack, *size.skipped))
    yield "The stack and the Docker Engine, in % of one core above the same with nobody looking:"
    yield f"replicas  {'who looks, once a second':{width}}  {'CPU %':>14}  times the agent's"
    for size in sizes:
        agent = size.stack[AGENT]
        for who, cost in size.stack.items():
            # Below what they do by themselves in between, a ratio would be one of noise.
            told = agent.percent > agent.spread
            ratio = f"{cost.percent / agent.percent:.1f}" if told else "lost in noise"
            taken = f"{cost.percent:.1f} ±{cost.spread:.1f}"
            yield f"{size.replicas:8}  {who:{width}}  {taken:>14}  {ratio:>17}"
        for who, percent in size.skipped.items():
            cores = os.cpu_count()
            yield (
                f"{size.replicas:8}  {who:{width}}  not run: about {percent:.0f} % by the smaller "
                f"size, beside {size.idle.percent:.0f} % idle, on {cores} cores"
            )
        idle = f"{size.idle.percent:.1f} ±{size.idle.spread:.1f}"
        yield f"{size.replicas:8}  {'nobody: what the others are above':{width}}  {idle:>14}"
