"""A service as the guards ask about it: found once, however many of its replicas are dead."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property

from healthagent.core.report import CheckReport, ServiceReport, TargetReport
from healthagent.core.verdict import Status
from healthagent.supervisor.memory import Memory

AT_ONCE = 60.0
"""Seconds within which failures count as come at once, and so as having one cause."""


class Company:
    """The replicas of one service, and what is remembered of them. ``now`` is the report's time."""

    def __init__(self, service: ServiceReport, memory: Memory, now: float) -> None:
        self.name = service.name
        self.quorum = service.quorum
        self.replicas = service.targets
        self._service = service
        self._memory = memory
        self._now = now

    def fell(self, replica: TargetReport) -> float:
        """Since when it has been found dead in every report."""
        return self._memory.fell.get(replica.target.id, self._now)

    def died(self, replica: TargetReport) -> float:
        """As far as it is known: what was dead when the agent started need not have fallen then."""
        return self._memory.died.get(replica.target.id, self.fell(replica))

    def died_by(self, at: float) -> int:
        """How many that are meant to live died at once with somebody who died then."""
        return bisect_right(self._deaths, at + AT_ONCE) - bisect_left(self._deaths, at - AT_ONCE)

    @cached_property
    def _deaths(self) -> list[float]:
        return sorted(self.died(replica) for replica in self.meant if not replica.live)

    @cached_property
    def meant(self) -> list[TargetReport]:
        """Those that are meant to live."""
        return [replica for replica in self.replicas if not _put_down(replica)]

    @cached_property
    def ready(self) -> int:
        return len(self._service.ready)

    @cached_property
    def lives(self) -> bool:
        """Whether a replica lives that has had its time to start."""
        return any(replica.live and not replica.starting for replica in self.meant)

    @cached_property
    def all_dead(self) -> int:
        """How many there are, where none of several lives that had their time to start; else 0."""
        judged = sum(not replica.starting for replica in self.meant)
        return 0 if judged < 2 or self.lives else judged

    @cached_property
    def shared_fault(self) -> CheckReport | None:
        """What all replicas use and the agent sees fail."""
        checks = (check for replica in self.replicas for check in replica.checks)
        failing = (c for c in checks if c.shared and Status.FAILED in (c.holds, c.status))
        return next(failing, None)


def _put_down(replica: TargetReport) -> bool:
    """Somebody stopped it on purpose, so that its silence says nothing about the others."""
    container, ending = replica.container, replica.check("exit")
    down = container is not None and container.status not in ("running", "restarting")
    return down and ending is not None and ending.status is not Status.FAILED
