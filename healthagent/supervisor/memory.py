"""What the supervisor remembers from one report to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from healthagent.core.report import Report

HOUR = 3600.0


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
    was done, by the target's name, which outlives a container that is replaced.
    """

    fell: Mapping[str, float] = field(default_factory=dict)
    restarts: Mapping[str, tuple[Past, ...]] = field(default_factory=dict)

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
        return Memory(dead, lately)

    def restarting(self, name: str, past: Past) -> Memory:
        """With one restart more."""
        return replace(self, restarts={**self.restarts, name: (*self.restarts.get(name, ()), past)})

    def spared(self, name: str) -> Memory:
        """Without the last restart, which was not made after all."""
        return replace(self, restarts={**self.restarts, name: self.restarts.get(name, ())[:-1]})
