"""The figures for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Ways side by side, a line for each arm."""
    arms = list(dict.fromkeys(arm for way in results.values() for arm in way))
    rows = [("arm", *results)]
    rows += [
        (arm, *(line(way[arm]) if arm in way else "-" for way in results.values())) for arm in arms
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def line(figures: Mapping[str, Any]) -> str:
    """One arm in a few words."""
    words = []
    if "status" in figures:
        words.append(f"{figures['status']}, back {_seconds(figures['back_s'])}")
    if "lost" in figures:
        words.append(f"lost {figures['lost']} of {figures['sent']}")
    if "changes" in figures:
        words.append(f"{figures['changes']} changes")
    if "out_s" in figures:
        words.append(f"out {_seconds(figures['out_s'])}")
    return ", ".join(words)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"after {value:.2f} s"
