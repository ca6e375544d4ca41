"""What is promised of the agent's way, held against what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Figures = Mapping[str, Any]

REPLICAS: Final = 3
SEEN_LATE: Final = 0.2
"""Seconds by which a request may be sent later than Traefik was seen to have the change: its API
tells of a configuration that its workers are about to take."""


def _none_lost(figures: Figures) -> bool:
    return bool(figures["lost"] == 0)


def _rolled(figures: Figures) -> bool:
    return bool(figures["lost"] == 0 and figures["rolled"] == REPLICAS)


def _out_within(seconds: float) -> Callable[[Figures], bool]:
    return lambda figures: figures["out_s"] is not None and figures["out_s"] <= seconds


def _bounded(seconds: float) -> Callable[[Figures], bool]:
    """Out in time, and nothing that was sent later is lost. What the replica had got by then ends
    by the header timeout."""

    def holds(figures: Figures) -> bool:
        if not _out_within(seconds)(figures):
            return False
        return bool(figures.get("last_lost_s", 0.0) <= figures["out_s"] + SEEN_LATE)

    return holds


def _killed(figures: Figures) -> bool:
    """No GET is lost, or the replica is out at once."""
    return bool(figures["lost"] == figures.get("lost_posts", 0)) or _out_within(0.5)(figures)


def _came_back(figures: Figures) -> bool:
    kept = figures["status"] == 503 and figures["router_kept"]
    return bool(kept and figures["back_s"] is not None and figures["back_s"] <= 1.0)


def _unmoved(figures: Figures) -> bool:
    return bool(figures["lost"] == 0 and figures["changes"] == 0)


_PROMISES: Final[Mapping[str, tuple[str, Callable[[Figures], bool]]]] = {
    "roll": ("none lost of a roll of all", _rolled),
    "stop": ("none lost", _none_lost),
    "kill": ("no GET lost, or out within 0.5 s", _killed),
    "freeze": ("out within 1.5 s, and none lost after that", _bounded(1.5)),
    "block": ("out within 1.5 s, and none lost after that", _bounded(1.5)),
    "sick": ("out within 1.5 s, and none lost after that", _bounded(1.5)),
    "all_down": ("503, and back within 1 s", _came_back),
    "agent_killed": ("none lost, nothing changed", _unmoved),
    "agent_restarted": ("none lost, nothing changed", _unmoved),
}


def broken(results: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """A line for each promise that does not hold."""
    lines = [
        f"agent.{arm}: promised is {what}; measured was {figures}"
        for arm, figures in results.get("agent", {}).items()
        for what, holds in [_PROMISES[arm]]
        if not holds(figures)
    ]
    lines += [
        f"agent.{arm}: the client was {figures['client_lag_s']} s late, so that it sent too few "
        "requests to judge by; leave the machine alone and measure again"
        for arm, figures in results.get("agent", {}).items()
        if figures.get("client_lag_s")
    ]
    lines += [
        f"{way}.{arm}: {figures['posts_done_twice']} POSTs were done twice"
        for way, arms in results.items()
        for arm, figures in arms.items()
        if figures.get("posts_done_twice")
    ]
    return lines
