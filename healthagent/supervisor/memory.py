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


@dataclass(frozen=True, slots=True)
class Memory:
    """What decisions rest on beside the report.

    ``fell`` says by target id since when it has been found dead in every report; ``restarts`` what
    was done, by the target's name, which outlives a container that is replaced.
    """

    fell: Mapping[str, float] = field(default_factory=dict)
    restarts: Mapping[str, tuple[Past, ...]] = field(default_factory=dict)

    def after(self, report: Report) -> Memory:
        """With who is dead now. What is older than an hour is forgotten."""
        dead = {t.target.id: self.fell.get(t.target.id, report.at) for t in report.targets
                if not t.live}  # fmt: skip
        lately = {
            name: kept
            for name, pasts in self.restarts.items()
            if (kept := tuple(past for past in pasts if report.at - past.at < HOUR))
        }
        return Memory(dead, lately)

    def restarting(self, name: str, past: Past) -> Memory:
        """With one restart more."""
        return replace(self, restarts={**self.restarts, name: (*self.restarts.get(name, ()), past)})

    def spared(self, name: str, past: Past) -> Memory:
        """Without a restart that was not made after all."""
        kept = tuple(each for each in self.restarts.get(name, ()) if each != past)
        return replace(self, restarts={**self.restarts, name: kept})
