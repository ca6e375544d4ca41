"""What changed between two reports: the events that logs, streams and telemetry tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from healthagent.core.report import CheckReport, Phase, Report, TargetReport
from healthagent.core.target import Target
from healthagent.core.timeline import PENDING
from healthagent.core.verdict import Evidence, Status

ABSENT = "absent"
SERVING = (Phase.READY, Phase.DEGRADED)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change worth telling: of a whole target (``check`` is empty), or of one check of it.

    ``at`` is in seconds since the epoch. ``before`` and ``after`` are phases of a target or
    statuses of a check; a target that came or went was, or is, ``absent``. ``awaited`` marks what a
    replica that starts is given its time for.
    """

    at: float
    target: Target
    check: str
    before: str
    after: str
    code: str = ""
    reason: str = ""
    evidence: Evidence = field(default_factory=dict)
    awaited: bool = False

    @property
    def worse(self) -> bool:
        """True where somebody may want to look: the new state is neither health nor intended. A
        check that begins anew, as after a restart, says nothing yet; nor does that its replica, if
        it serves as before, or did not serve before either. Nor is it news that one which starts
        is not there yet: what it has not come to by the end of its grace its replica says then."""
        if self.awaited:
            return False
        if self.code == PENDING.code and (
            self.check or self.after in SERVING or self.before not in SERVING
        ):
            return False
        return self.after not in (Phase.READY, Phase.STARTING, Phase.DRAINED, "ok", ABSENT)


def transitions(before: Report, after: Report) -> tuple[Transition, ...]:
    """All changes from one report to the next, checks ahead of the target they explain."""
    return tuple(_all(before, after))


def _all(before: Report, after: Report) -> Iterator[Transition]:
    old = {report.target.id: report for report in before.targets}
    new = {report.target.id: report for report in after.targets}
    for id_, report in new.items():
        yield from _checks(old.get(id_), report, after.at)
        was = old[id_].phase if id_ in old else ABSENT
        if was != report.phase:
            blame = report.blame
            yield Transition(
                after.at,
                report.target,
                "",
                was,
                report.phase,
                blame.code if blame else "",
                report.reason,
            )
    for id_, report in old.items():
        if id_ not in new:
            yield Transition(after.at, report.target, "", report.phase, ABSENT)


def _checks(old: TargetReport | None, new: TargetReport, at: float) -> Iterator[Transition]:
    known = {check.name: check for check in old.checks} if old else {}
    for check in new.checks:
        was = known.get(check.name)
        if _changed(was, check):
            yield Transition(
                at,
                new.target,
                check.name,
                was.status if was else ABSENT,
                check.status,
                check.code,
                check.reason,
                check.evidence,
                awaited=new.starting and (check.awaited or check.status is Status.UNKNOWN),
            )


def _changed(old: CheckReport | None, new: CheckReport) -> bool:
    """A check that appears without a verdict is no news yet."""
    if old is None:
        return new.code != PENDING.code
    return (old.status, old.code) != (new.status, new.code)
