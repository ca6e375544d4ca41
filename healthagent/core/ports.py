"""What the watcher asks of the outside: the protocols that sources and surfaces fulfil."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from healthagent.core.observation import Fact, Unseen
from healthagent.core.report import Notice, Report
from healthagent.core.target import Target
from healthagent.core.transition import Transition


@dataclass(frozen=True, slots=True)
class Sighting:
    """All targets that one discovery knows at one time.

    ``touched`` are the ids of those about which something new was heard (a container died, was
    paused, was started): the watcher looks at them at once. ``notices`` replace the ones of the
    sighting before. ``complete`` is false where the discovery could not look and only repeats what
    it knew.
    """

    targets: tuple[Target, ...]
    touched: frozenset[str] = frozenset()
    notices: tuple[Notice, ...] = ()
    complete: bool = True


class Discovery(Protocol):
    """Finds targets. It never ends by itself: where it cannot look, it says so in a notice, keeps
    the targets it knew, and tries again."""

    name: str

    def sightings(self) -> AsyncIterator[Sighting]:
        """A sighting at once, and another whenever something changed."""
        ...


class Source(Protocol):
    """Gives one kind of fact about a target."""

    @property
    def kind(self) -> type[Fact]: ...

    async def look(self, target: Target, timeout: float) -> Fact | Unseen:
        """The fact as it is now, within ``timeout`` seconds. Never raises but for cancellation."""
        ...


class Surface(Protocol):
    """Shows reports to somebody. ``publish`` is quick, never waits and never raises."""

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None: ...
