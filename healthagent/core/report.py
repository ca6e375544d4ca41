"""What the surfaces publish: every target's state with its reasons, judged as a whole.

This is where the laws that need more than one check are kept: readiness includes liveness, a
starting replica gets no traffic, what only the agent sees never takes a service below its quorum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from healthagent.core.budget import Budget
from healthagent.core.check import Check, Group, Witness
from healthagent.core.notice import Notice
from healthagent.core.observation import ContainerState
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.core.timeline import PENDING, Timeline
from healthagent.core.verdict import Evidence, Status, Verdict


class Phase(StrEnum):
    """Where a replica stands, in a word, the worst first."""

    NOT_LIVE = "not live"
    NOT_READY = "not ready"
    DRAINED = "drained"
    STARTING = "starting"
    UNKNOWN = "unknown"
    DEGRADED = "degraded"
    READY = "ready"


class CheckReport(NamedTuple):
    """One check of one target as it is published: the check, its timeline, and what they say now.

    ``shown`` is what to show: the standing verdict, or *unknown* once that is stale; it is so since
    ``since``, in seconds since the epoch, or 0 where nothing was looked at yet. ``awaited``
    marks a check whose first success the replica must still show before it gets traffic.
    ``excused`` marks a failure that only the agent sees and that all replicas share, or that would
    cost the service its quorum, and blindness that would cost it that: it is loud, but takes nobody
    out.
    """

    check: Check
    timeline: Timeline
    shown: Verdict
    since: float = 0.0
    awaited: bool = False
    excused: bool = False

    @property
    def name(self) -> str:
        return self.check.name

    @property
    def groups(self) -> frozenset[Group]:
        return self.check.groups

    @property
    def witness(self) -> Witness:
        return self.check.witness

    @property
    def shared(self) -> bool:
        """True for a check of what all replicas of the service use."""
        return self.check.shared

    @property
    def status(self) -> Status:
        return self.shown.status

    @property
    def code(self) -> str:
        return self.shown.code

    @property
    def reason(self) -> str:
        return self.shown.reason

    @property
    def evidence(self) -> Evidence:
        return self.shown.evidence

    @property
    def told(self) -> str:
        """Name, code and reason in a sentence; the public is told neither of the last two."""
        verdict = f"{self.name} {self.code}".rstrip()
        return f"{verdict}: {self.reason}" if self.reason else verdict

    @property
    def standing(self) -> Verdict:
        """The last verdict that was known and believed: what routing keeps to."""
        return self.timeline.standing or PENDING

    @property
    def holds(self) -> Status:
        return self.standing.status

    @property
    def conclusive(self) -> bool:
        return self.standing.conclusive

    @property
    def newest(self) -> Verdict:
        """What the last look said, whether it is believed yet or not."""
        return self.timeline.latest

    @property
    def looked_at(self) -> float:
        """When that look was, in seconds since the epoch."""
        return self.timeline.latest_at

    @property
    def blocks(self) -> bool:
        """True where this check's failure keeps its replica out of rotation."""
        return self.timeline.fails and not self.excused

    @property
    def owed(self) -> bool:
        """True where its replica gets no traffic before it has passed this check."""
        return self.awaited and self.witness is Witness.REPLICA and not self.excused

    @property
    def well(self) -> bool:
        return self.shown.status is Status.OK and not self.awaited


@dataclass(frozen=True, slots=True)
class TargetReport:
    """One replica: whether it lives, whether it may serve, and why.

    ``starting`` is true during the grace after a start, until the start-up checks have passed.
    ``container`` is Docker's own view, shown and never judged. ``drain`` is set while somebody
    keeps the replica out of rotation on purpose. ``trusted`` is true for one that may serve unseen
    where its service needs it, since it may have been in rotation before the agent began.
    """

    target: Target
    checks: tuple[CheckReport, ...]
    starting: bool
    container: ContainerState | None = None
    drain: Drain | None = None
    trusted: bool = False

    @property
    def live(self) -> bool:
        """What a liveness probe is told. A replica that starts is given its time."""
        return self.starting or not any(
            check.blocks for check in self.checks if Group.LIVENESS in check.groups
        )

    @property
    def ready(self) -> bool:
        """What routing goes by: the replica is fit to serve, and nobody drained it."""
        return self.fit and self.drain is None

    @property
    def fit(self) -> bool:
        """Whether it could serve: nothing known speaks against the replica, and it once passed."""
        return not self.starting and not any(check.blocks or check.owed for check in self.checks)

    @property
    def phase(self) -> Phase:
        if self.starting:
            return Phase.STARTING
        if not self.live:
            return Phase.NOT_LIVE
        if any(check.blocks for check in self.checks):
            return Phase.NOT_READY
        if self.drain is not None:
            return Phase.DRAINED
        if self._unseen:
            return Phase.UNKNOWN
        return Phase.READY if all(check.well for check in self.checks) else Phase.DEGRADED

    @property
    def _unseen(self) -> list[CheckReport]:
        """What keeps the agent from knowing whether the replica may serve."""
        return [
            check
            for check in self.checks
            if check.owed or (check.status is Status.UNKNOWN and check.witness is Witness.REPLICA)
        ]

    @property
    def blame(self) -> CheckReport | None:
        """The check that best explains the phase, or ``None`` where all is well."""
        unwell = [check for check in self.checks if not check.well]
        if unwell and self.phase is Phase.UNKNOWN:
            unwell = self._unseen
        return min(unwell, key=_severity, default=None)

    @property
    def reason(self) -> str:
        if self.phase is Phase.DRAINED:
            return str(self.drain)
        blame = self.blame
        return blame.told if blame else ""

    @property
    def since(self) -> float:
        """When the check to blame came to its state; where all is well, when the last one did."""
        if self.drain is not None and self.phase is Phase.DRAINED:
            return self.drain.since
        blame = self.blame
        return blame.since if blame else max((c.since for c in self.checks), default=0.0)

    @property
    def started_at(self) -> float:
        """When its container was started, in seconds since the epoch; 0 where that is not known."""
        return self.container.started_at if self.container else 0.0

    def check(self, name: str) -> CheckReport | None:
        return next((check for check in self.checks if check.name == name), None)

    def group(self, group: Group) -> tuple[CheckReport, ...]:
        """The checks a question asks for; readiness asks for all, since it includes liveness."""
        if group is Group.READINESS:
            return self.checks
        return tuple(check for check in self.checks if group in check.groups)


def _severity(check: CheckReport) -> int:
    """Rank for blame, lowest first. ``min`` keeps the table's order among equals."""
    if check.blocks:
        return 0
    if check.awaited:
        return 1
    return {Status.FAILED: 2, Status.DEGRADED: 3, Status.UNKNOWN: 4, Status.OK: 5}[check.status]


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """All replicas of one Compose service. ``quorum`` is the largest that a replica declares."""

    name: str
    targets: tuple[TargetReport, ...]

    @property
    def quorum(self) -> int:
        return max((report.target.quorum for report in self.targets), default=1)

    @property
    def ready(self) -> tuple[TargetReport, ...]:
        return tuple(report for report in self.targets if report.ready)

    @property
    def has_quorum(self) -> bool:
        return len(self.ready) >= self.quorum

    @property
    def shared_failures(self) -> tuple[CheckReport, ...]:
        """What fails for its replicas alike, such as their database: each failure once."""
        failures = {
            check.told: check
            for report in self.targets
            for check in report.checks
            if check.shared and check.status is Status.FAILED
        }
        return tuple(failures.values())

    @property
    def unseen(self) -> tuple[TargetReport, ...]:
        """Those that may serve though the agent never saw them pass."""
        return tuple(report for report in self.ready if any(map(_is_unseen, report.checks)))


@dataclass(frozen=True, slots=True)
class Report:
    """The state of everything at one time, in seconds since the epoch.

    ``settled`` is false until every target found at the start has been judged once. Before that a
    surface that steers traffic must keep silent, or a restart of the agent would empty it.
    """

    at: float
    settled: bool
    services: tuple[ServiceReport, ...] = ()
    budgets: tuple[Budget, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def targets(self) -> tuple[TargetReport, ...]:
        return tuple(report for service in self.services for report in service.targets)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the watcher knows of one target: the input of :func:`assess`.

    ``timelines`` has one entry per check that applies. ``grace_until`` ends the start-up phase.
    ``ran_before`` is true for one that ran, and was past its grace, when the agent began: it may
    have been in rotation.
    """

    target: Target
    timelines: Mapping[str, Timeline]
    grace_until: float
    container: ContainerState | None = None
    drain: Drain | None = None
    ran_before: bool = False


def is_judged(subject: Subject, checks: Sequence[Check], now: float) -> bool:
    """Whether every check of the target says something to go by.

    What keeps the agent from seeing that a replica may serve is believed only once it has lasted as
    long as a state holds: a first look that fails must not empty the routing. One that does not run
    serves nobody, so that there is nothing to wait for.
    """
    patience = 0.0 if _is_down(subject.container) else subject.target.timing.stale_after
    return all(
        timeline.decided
        and not (_must_pass(check) and timeline.blind and timeline.blind_for(now) < patience)
        for check in checks
        if (timeline := subject.timelines.get(check.name)) is not None
    )


def blindness(services: Iterable[ServiceReport]) -> tuple[Notice, ...]:
    """A notice for each service that is served by replicas that the agent never saw pass."""
    return tuple(_unseen(service) for service in services if service.unseen)


def _unseen(service: ServiceReport) -> Notice:
    names = [report.target.name for report in service.unseen]
    first = next(check for check in service.unseen[0].checks if _is_unseen(check))
    return Notice(
        service.name,
        f"whether {', '.join(names)} may serve could not be seen since the agent started "
        f"({first.name} {first.code}); they ran before it did, and keep their traffic until it can",
        f"run healthagent explain {names[0]}, which says what keeps the agent from looking",
    )


def _must_pass(check: Check) -> bool:
    return Group.STARTUP in check.groups and check.witness is Witness.REPLICA


def _is_down(container: ContainerState | None) -> bool:
    return container is not None and not container.up


def assess(
    subjects: Iterable[Subject], checks: Sequence[Check], now: float, *, settled: bool = True
) -> tuple[ServiceReport, ...]:
    """Fold all timelines into one consistent picture, service by service, in a stable order.
    ``settled`` is that of the report: nobody is taken for unseen before the agent has looked."""
    ordered = sorted(subjects, key=lambda s: (s.target.service, natural(s.target.name)))
    return tuple(
        _service(name, tuple(_target(subject, checks, now, settled) for subject in group))
        for name, group in groupby(ordered, key=lambda s: s.target.service)
    )


@lru_cache(maxsize=4096)
def natural(name: str) -> tuple[str | int, ...]:
    """A sort key that puts ``app-10`` behind ``app-9``."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name))


def _target(subject: Subject, checks: Sequence[Check], now: float, settled: bool) -> TargetReport:
    timelines, timing = subject.timelines, subject.target.timing
    reports = tuple(
        [
            CheckReport(
                check,
                timeline,
                (shown := timeline.read(now, timing)),
                timeline.shown_since(shown, timing),
                not timeline.ever_passed and _awaited(check, timeline),
                check.shared and timeline.fails,
            )
            for check in checks
            if (timeline := timelines.get(check.name)) is not None
        ]
    )
    starting = (
        now < subject.grace_until
        and any(report.awaited for report in reports)
        and not any(report.conclusive and report.blocks for report in reports)
    )
    return TargetReport(
        subject.target,
        reports,
        starting,
        subject.container,
        subject.drain,
        trusted=settled and subject.ran_before,
    )


def _awaited(check: Check, timeline: Timeline) -> bool:
    """Whether the replica, which never passed this check, must do so first.

    Where only the agent can see, its blindness is not held against the replica.
    """
    if Group.STARTUP not in check.groups:
        return False
    return not (timeline.blind and check.witness is Witness.AGENT)


def _service(name: str, targets: tuple[TargetReport, ...]) -> ServiceReport:
    """Keep the seventh law: the agent's own evidence may not cost a service its quorum."""
    service = ServiceReport(name, targets)
    if service.has_quorum:
        return service
    return ServiceReport(name, tuple(_excused(report) for report in targets))


def _excused(report: TargetReport) -> TargetReport:
    return replace(
        report,
        checks=tuple(
            check._replace(excused=True) if _rests_on_the_agent(report, check) else check
            for check in report.checks
        ),
    )


def _rests_on_the_agent(report: TargetReport, check: CheckReport) -> bool:
    """Whether nothing but the agent's eyes speaks against the replica: what they alone see fail,
    or that they saw no state yet of one that is trusted."""
    if check.witness is Witness.AGENT:
        return check.holds is Status.FAILED
    return report.trusted and check.awaited and check.timeline.standing is None


def _is_unseen(check: CheckReport) -> bool:
    return check.excused and check.witness is Witness.REPLICA
