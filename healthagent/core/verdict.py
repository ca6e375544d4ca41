"""What a check concludes from what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

Evidence = Mapping[str, str | int | float | bool]


class Status(StrEnum):
    """The four things that can be said. *Unknown* is never a kind of *failed*.

    ``passing`` is true for a state in which a replica may serve: ok, or degraded.
    """

    passing: bool

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNKNOWN = "unknown"

    def __init__(self, value: str) -> None:
        self.passing = value in ("ok", "degraded")


class Verdict(NamedTuple):
    """One check's conclusion about one target at one time.

    ``code`` is the stable name of the reason (``stopped``, ``not_listening``); ``reason`` is the
    sentence for the person on call. ``conclusive`` marks a fact that no second look can soften,
    such as a container that has exited: the timeline does not wait for its fall threshold.

    A round makes one for every check of every replica. Hence a tuple: a frozen dataclass takes
    three times as long to make, and most of a round was spent on that.
    """

    status: Status
    code: str
    reason: str
    evidence: Evidence = MappingProxyType({})
    conclusive: bool = False


def ok(reason: str = "", **evidence: str | int | float | bool) -> Verdict:
    return Verdict(Status.OK, "ok", reason, evidence)


def degraded(code: str, reason: str, **evidence: str | int | float | bool) -> Verdict:
    return Verdict(Status.DEGRADED, code, reason, evidence)


def failed(code: str, reason: str, **evidence: str | int | float | bool) -> Verdict:
    return Verdict(Status.FAILED, code, reason, evidence)


def conclusively_failed(code: str, reason: str, **evidence: str | int | float | bool) -> Verdict:
    return Verdict(Status.FAILED, code, reason, evidence, conclusive=True)


def unknown(code: str, reason: str, **evidence: str | int | float | bool) -> Verdict:
    return Verdict(Status.UNKNOWN, code, reason, evidence)
