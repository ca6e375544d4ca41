"""Answers to probes in the text form of the Kubernetes API server's ``/livez`` and ``/readyz``.

Tools and people already read it: ``[+]name ok`` and ``[-]name failed: reason``, then one line that
sums up. See "Kubernetes API health endpoints" in the Kubernetes documentation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from healthagent.core.check import Group
from healthagent.core.report import CheckReport, ServiceReport, TargetReport
from healthagent.core.verdict import Status
from healthagent.surfaces.target_text import readiness


@dataclass(frozen=True, slots=True)
class Line:
    """One part of an answer. ``note`` is what to say instead of ``ok`` or behind ``failed``."""

    name: str
    passed: bool
    note: str = ""

    def __str__(self) -> str:
        if self.passed:
            return f"[+]{self.name} {self.note or 'ok'}"
        return f"[-]{self.name} failed: {self.note}" if self.note else f"[-]{self.name} failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a question is answered yes, and why. ``summary`` is what the last line adds."""

    question: str
    passed: bool
    lines: tuple[Line, ...]
    warning: str = ""
    summary: str = ""

    def text(self, verbose: bool) -> str:
        """``ok`` alone for a yes, unless ``verbose``; a no always says why."""
        if self.passed and not verbose:
            return "ok"
        outcome = "passed" if self.passed else "failed"
        end = f"{self.question} check {outcome}{f' ({self.summary})' if self.summary else ''}"
        listed = (*map(str, self.lines), *filter(None, (self.warning,)), end)
        return "\n".join(listed) + "\n"


def of_target(report: TargetReport, group: Group, exclude: Collection[str] = ()) -> Answer:
    """What a liveness or readiness probe of one replica is told.

    With nothing excluded this is exactly ``report.live`` or ``report.ready``.
    """
    checks = report.group(group)
    asked = [check for check in checks if check.name not in exclude]
    judge = _live if group is Group.LIVENESS else _ready
    lines = [judge(check, report.starting) for check in asked]
    if group is Group.READINESS and report.drain is not None:
        lines.append(Line("rotation", False, str(report.drain)))
    question = "livez" if group is Group.LIVENESS else "readyz"
    return _answer(question, lines, exclude, [check.name for check in checks])


def of_check(check: CheckReport, starting: bool) -> Answer:
    """What a probe of a single check is told, as part of readiness."""
    line = _ready(check, starting)
    return Answer(f"readyz/{check.name}", line.passed, (line,))


def of_service(service: ServiceReport, exclude: Collection[str] = ()) -> Answer:
    """Whether a service has its quorum of ready replicas. One that is missing is no failure yet."""
    asked = [report for report in service.targets if report.target.name not in exclude]
    ready = sum(report.ready for report in asked)
    lines = tuple(Line(r.target.name, r.ready, _replica_note(r)) for r in asked)
    return Answer(
        "readyz",
        ready >= service.quorum,
        (*lines, *_excluded(exclude, [r.target.name for r in service.targets])),
        summary=readiness(ready, len(asked), service.quorum),
    )


def of_agent(question: str, lines: Sequence[Line], exclude: Collection[str] = ()) -> Answer:
    """What a probe of the agent itself is told."""
    asked = [line for line in lines if line.name not in exclude]
    return _answer(question, asked, exclude, [line.name for line in lines])


def _answer(
    question: str, lines: Sequence[Line], exclude: Collection[str], names: Sequence[str]
) -> Answer:
    unmatched = sorted(set(exclude) - set(names))
    warning = f"warn: cannot exclude what is not there: {', '.join(unmatched)}" if unmatched else ""
    passed = all(line.passed for line in lines)
    return Answer(question, passed, (*lines, *_excluded(exclude, names)), warning)


def _excluded(exclude: Collection[str], names: Sequence[str]) -> Iterator[Line]:
    return (Line(name, True, "excluded: ok") for name in names if name in exclude)


def _live(check: CheckReport, starting: bool) -> Line:
    if check.blocks and starting:
        return Line(check.name, True, _note("failed, starting", check.reason))
    return _line(check)


def _ready(check: CheckReport, starting: bool) -> Line:
    if not check.blocks and (check.owed or (check.awaited and starting)):
        return Line(check.name, False, _note("has not passed yet", check.reason))
    return _line(check)


def _line(check: CheckReport) -> Line:
    if check.blocks:
        return Line(check.name, False, check.reason)
    if check.status is Status.OK:
        return Line(check.name, True)
    said = "failed, excused" if check.status is Status.FAILED else str(check.status)
    return Line(check.name, True, _note(said, check.reason))


def _replica_note(report: TargetReport) -> str:
    if not report.ready:
        return _note(str(report.phase), report.reason)
    return "" if report.blame is None else _note(str(report.phase), report.reason)


def _note(said: str, reason: str) -> str:
    return f"{said}: {reason}" if reason else said
