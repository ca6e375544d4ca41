"""What the agent does to replicas, step by step: for who asked, and for the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from healthagent.core.verdict import Evidence

ADMIN_SOCKET = "/run/healthagent/admin.sock"
"""Where the agent is asked to act, unless it is told otherwise."""


class Outcome(StrEnum):
    """How far an act has come. The last step of an act is one of the last four."""

    BEGUN = "begun"
    GOING_ON = "going on"
    DONE = "done"
    REFUSED = "refused"
    """Not begun, since it would do harm or is not allowed; nothing was changed."""
    FAILED = "failed"
    """Stopped half-way; ``text`` says how to go on."""
    OBSERVED = "observed"
    """What would have been done, were the agent allowed to."""

    @property
    def final(self) -> bool:
        return self not in (Outcome.BEGUN, Outcome.GOING_ON)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an act, at one time in seconds since the epoch.

    ``act`` is its id: the steps of one act share it. ``verb`` is ``drain``, ``undrain``,
    ``restart``, ``roll`` or ``rollback``; ``service`` and ``target`` are names, the latter empty
    where the step is about the whole service. ``by`` is who asked, ``text`` what happened and why.
    """

    at: float
    act: str
    verb: str
    by: str
    service: str
    target: str
    outcome: Outcome
    text: str
    evidence: Evidence = field(default_factory=dict)

    def __str__(self) -> str:
        """``restart app-1 by supervisor: going on: SIGTERM``."""
        who = self.target or self.service
        return f"{self.verb} {who} by {self.by}: {self.outcome}: {self.text}"

    @property
    def worse(self) -> bool:
        """Whether somebody should look: it was not done, or not wholly."""
        return self.outcome in (Outcome.REFUSED, Outcome.FAILED, Outcome.OBSERVED)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to roll a service.

    ``image`` replaces each container by one of that image (``None``: the same container is
    restarted); ``variables`` and ``labels`` are set in the new one beside what the old one had.
    ``surge`` asks for a new replica before an old one goes, where the budget allows it. ``back``
    calls it a rollback. ``rehearse`` only says what would be done, and what speaks against it.
    """

    image: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    surge: bool = False
    back: bool = False
    rehearse: bool = False

    @property
    def verb(self) -> str:
        return "rollback" if self.back else "roll"

    @property
    def replaces(self) -> bool:
        """Whether containers are replaced; else they are restarted as they are."""
        return bool(self.image or self.variables or self.labels)
