"""What the supervisor remembers from one report to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from healthagent.core.report import Phase, Report, TargetReport
from healthagent.core.transition import Transition

HOUR = 3600.0

UNTOLD = (Phase.STARTING, Phase.UNKNOWN)
"""Phases in which the agent sees a replica first, and that do not say yet whether it lives."""


@dataclass(frozen=True, slots=True)
class Past:
    """A restart that was begun: at which time in seconds since the epoch, and the jitter, from -1
    to 1, of the pause after it."""

    at: float
    jitter: float = 0.0

    def by(self, now: float) -> Past:
        return self if self.at <= now else replace(self, at=now)


@dataclass(frozen=True, slots=True)
class Memory:
    """What decisions rest on beside the report.

    ``fell`` says by target id since when it has been found dead in every report; ``restarts`` what
    was done, by the target's name, which outlives a container that is replaced. ``died`` is since
    when an earlier life of the agent saw a replica dead, as long as nothing tells that it lived
    since.
    """

    fell: Mapping[str, float] = field(default_factory=dict)
    restarts: Mapping[str, tuple[Past, ...]] = field(default_factory=dict)
    died: Mapping[str, float] = field(default_factory=dict)

    def after(self, report: Report) -> Memory:
        """With who is dead now. What is older than an hour is forgotten. A time that lies ahead of
        the report's is of a clock that was set back since, and is taken for the report's."""
        now = report.at
        dead = {t.target.id: min(now, self.fell.get(t.target.id, now)) for t in report.targets
                if not t.live}  # fmt: skip
        lately = {
            name: kept
            for name, pasts in self.restarts.items()
            if (kept := tuple(past.by(now) for past in pasts if now - past.at < HOUR))
        }
        alive = {t.target.id for t in report.targets if _lived_after(self.died.get(t.target.id), t)}
        died = {id_: min(now, at) for id_, at in self.died.items() if id_ not in alive}
        return Memory(dead, lately, died)

    def restarting(self, name: str, past: Past) -> Memory:
        """With one restart more."""
        return replace(self, restarts={**self.restarts, name: (*self.restarts.get(name, ()), past)})

    def spared(self, name: str) -> Memory:
        """Without the last restart, which was not made after all."""
        return replace(self, restarts={**self.restarts, name: self.restarts.get(name, ())[:-1]})


def died(changes: Iterable[Transition]) -> dict[str, float]:
    """Since when each replica has not lived, by target id, as these changes of whole replicas tell,
    oldest first. They may be of several lives of the agent, each of which saw it anew."""
    found: dict[str, float] = {}
    for change in changes:
        if change.after == Phase.NOT_LIVE:
            found.setdefault(change.target.id, change.at)
        elif change.before == Phase.NOT_LIVE or change.after not in UNTOLD:
            found.pop(change.target.id, None)
    return found


def _lived_after(at: float | None, replica: TargetReport) -> bool:
    if at is None:
        return False
    return replica.started_at > at or replica.phase not in (Phase.NOT_LIVE, *UNTOLD)
