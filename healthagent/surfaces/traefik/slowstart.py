"""A replica that has just become ready gets few requests at first, where its label asks for it.

Its share grows in tenths, so that the configuration changes at most nine times on the way, and not
with every report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from healthagent.core.report import Report, TargetReport
from healthagent.surfaces.traefik.part import FULL

LONG_AGO = -math.inf


def ready_since(before: Mapping[str, float], report: Report, anew: bool) -> Mapping[str, float]:
    """When each ready target became so, by id, in seconds since the epoch.

    ``anew`` is false for an agent that has just started: what it finds ready then has been so for
    long, and its restart must not move traffic. A clock that was set back has nobody ready in the
    future.
    """
    first = report.at if anew else LONG_AGO
    return {
        t.target.id: min(before.get(t.target.id, first), report.at)
        for t in report.targets
        if t.ready
    }


def tenths(report: TargetReport, ready_since: Mapping[str, float], now: float) -> int:
    """How many tenths of its requests a target is to get now."""
    window = report.target.traffic.slowstart
    age = now - ready_since.get(report.target.id, LONG_AGO)
    return FULL if age >= window else max(1, math.ceil(FULL * age / window))
