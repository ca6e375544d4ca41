"""What the watcher asks of the outside: the protocols that sources and surfaces fulfil."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from healthagent.core.action import Plan, Step
from healthagent.core.notice import Notice
from healthagent.core.observation import Fact, Unseen
from healthagent.core.report import Report
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.core.transition import Transition


@dataclass(frozen=True, slots=True)
class Sighting:
    """All targets that one discovery knows at one time.

    ``touched`` are the ids of those that began or ceased to run (a container died, was paused, was
    started): the watcher looks at them at once. ``mentioned`` are those about which something else
    was heard (a signal was sent to it): they are looked at soon after the look is over that is
    under way. ``notices`` replace the ones of the sighting before. ``complete`` is false where the
    discovery could not look and only repeats what it knew.
    """

    targets: tuple[Target, ...]
    touched: frozenset[str] = frozenset()
    notices: tuple[Notice, ...] = ()
    complete: bool = True
    mentioned: frozenset[str] = frozenset()


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


class Rotation(Protocol):
    """Who is kept out of rotation on purpose. Like a discovery, it never ends by itself."""

    def drains(self) -> AsyncIterator[Mapping[str, Drain]]:
        """The drained targets by id: at once, and again whenever one was added or taken away."""
        ...


Entry = Step | Transition
"""One line of the history. Of a transition's target only id, name and service are kept."""


class History(Protocol):
    """What was done and what changed, over restarts of the agent."""

    async def entries(self, name: str, since: float, most: int) -> Sequence[Entry] | None:
        """The last ``most`` since a time in seconds since the epoch, oldest first: about a target
        or a service of that name, or about all where it is empty. ``None`` where it cannot be
        read now."""
        ...

    async def evidence(self, act: str) -> Mapping[str, Any] | None:
        """What was found of a replica before an act stopped it; ``None`` where nothing is kept."""
        ...


class Operations(Protocol):
    """What may be done to replicas: what the admin routes call.

    Each act is an iterator of its steps; the last one tells its outcome. To stop iterating does not
    stop the act: somebody who lost the connection must not leave a service half-rolled. None of
    them raises for what the outside does; that is a step that says so. ``by`` is who asked.
    """

    def drain(self, target: Target, by: str, why: str) -> AsyncIterator[Step]:
        """Out of rotation; done once the router has the change and no request is in flight."""
        ...

    def undrain(self, target: Target, by: str) -> AsyncIterator[Step]: ...

    def restart(
        self, target: Target, by: str, why: str, unless: Callable[[], str] = lambda: ""
    ) -> AsyncIterator[Step]:
        """Drain, keep the evidence, stop with grace, start, wait until it is ready, undrain.

        ``unless`` is asked just before the stop: a text is the reason to leave the replica as it
        is after all (it came back meanwhile), and the act ends as *refused*. What is in flight at a
        replica that does not live is not waited for: it would never be answered.
        """
        ...

    def roll(self, service: str, by: str, plan: Plan) -> AsyncIterator[Step]:
        """Restart or replace all replicas of a service, one after another."""
        ...
