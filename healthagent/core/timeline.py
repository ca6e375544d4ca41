"""How single verdicts become a state that holds.

One timeline belongs to one check of one target. It is folded, never mutated, and is told the time.
"""

from __future__ import annotations

from typing import NamedTuple

from healthagent.core.target import Timing
from healthagent.core.verdict import Status, Verdict, unknown

PENDING = unknown("pending", "not looked at yet")
NOTHING_NEW = unknown("stale", "nothing new was seen")


class Timeline(NamedTuple):
    """The fold of a check's verdicts.

    ``standing`` is the last state that was known and confirmed: it alone decides routing, and it
    outlives the agent's blindness. ``candidate`` counts verdicts in a row that speak against it.
    ``latest`` is the newest verdict, known or not, and was reached at ``latest_at``;
    ``blind_since`` is when the unbroken run of *unknown* began that it ends, if any. Times are
    seconds since the epoch.
    """

    standing: Verdict | None = None
    since: float = 0.0
    known_at: float | None = None
    latest: Verdict = PENDING
    candidate: int = 0
    ever_passed: bool = False
    latest_at: float = 0.0
    blind_since: float | None = None

    def fold(self, verdict: Verdict, at: float, timing: Timing) -> Timeline:
        """The timeline after ``verdict`` was reached at time ``at``."""
        if at < self.latest_at:
            return self._set_back(at).fold(verdict, at, timing)
        if verdict.status is Status.UNKNOWN:
            since = at if self.blind_since is None else self.blind_since
            return self._replace(latest=verdict, latest_at=at, blind_since=since)
        standing = self.standing
        if standing is not None and standing.status is verdict.status:
            since = self.since if standing.code == verdict.code else at
            return Timeline(verdict, since, at, verdict, 0, self.ever_passed, at)
        if self.candidate + 1 >= self._needed(verdict, timing):
            passed = self.ever_passed or verdict.status.passing
            return Timeline(verdict, at, at, verdict, 0, passed, at)
        return self._replace(
            latest=verdict,
            latest_at=at,
            known_at=at,
            candidate=self.candidate + 1,
            blind_since=None,
        )

    def _set_back(self, at: float) -> Timeline:
        """The same by a clock that was set back to ``at``: nothing was seen ahead of it, or what
        was known would hold until the clock is there again."""
        known_at = None if self.known_at is None else min(self.known_at, at)
        blind_since = None if self.blind_since is None else min(self.blind_since, at)
        return self._replace(
            since=min(self.since, at), known_at=known_at, latest_at=at, blind_since=blind_since
        )

    def read(self, now: float, timing: Timing) -> Verdict:
        """What to show at time ``now``: the standing verdict, or *unknown* once it is stale, under
        the code of what keeps the agent from looking. So it is too where the first look failed,
        which is not believed before the next.

        What is stale goes on taking effect, so that its reason names the fault that was seen."""
        if self.standing is None:
            return self.latest if self.latest.status is Status.UNKNOWN else _unbelieved(self.latest)
        if now <= self._holds_until(timing):
            return self.standing
        blind = self.latest if self.latest.status is Status.UNKNOWN else NOTHING_NEW
        fault = "" if self.standing.status is Status.OK else f" ({self.standing.code})"
        known = f"last known {self.standing.status}{fault}"
        return unknown(blind.code, f"{known} is stale: {blind.reason}")

    def shown_since(self, shown: Verdict, timing: Timing) -> float:
        """When what :meth:`read` shows began; 0 where nothing was looked at yet."""
        if shown is self.standing:
            return self.since
        if self.standing is None:
            return self.blind_since or self.known_at or 0.0
        return self._holds_until(timing)

    def _holds_until(self, timing: Timing) -> float:
        """When the standing verdict is stale, unless something new is seen."""
        return (self.known_at or 0.0) + timing.stale_after

    @property
    def fails(self) -> bool:
        """True while a failure stands, whether it can be seen now or not."""
        standing = self.standing
        return standing is not None and standing.status is Status.FAILED

    @property
    def blind(self) -> bool:
        """True where there is no state to go by, and the newest look could see none."""
        return self.standing is None and self.blind_since is not None

    def blind_for(self, now: float) -> float:
        """Seconds for which no look could see anything."""
        return 0.0 if self.blind_since is None else now - self.blind_since

    @property
    def decided(self) -> bool:
        """True once there is a state to go by, or a look that could see none."""
        return self.standing is not None or self.blind

    def _needed(self, verdict: Verdict, timing: Timing) -> int:
        """How many such verdicts in a row make it the standing one.

        The first success is believed at once, the first failure is not: a restarted agent must
        not take out a replica for one answer that came late.
        """
        standing = self.standing
        if verdict.conclusive:
            return 1
        if standing is None:
            return 1 if verdict.status.passing else timing.fall
        if verdict.status.passing == standing.status.passing:
            return 1
        return timing.rise if verdict.status.passing else timing.fall


def _unbelieved(verdict: Verdict) -> Verdict:
    return unknown(PENDING.code, f"the next look shows whether it holds: {verdict.reason}")
