"""What a listener shows: everything to operators, states alone to the public.

Every answer is rendered from what a view leaves of a report, so that on a public listener no
renderer can tell a reason, an address or a setting by mistake.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from healthagent.core.action import Step
from healthagent.core.notice import Notice
from healthagent.core.observation import ContainerState
from healthagent.core.ports import Entry
from healthagent.core.report import CheckReport, Report, ServiceReport, TargetReport
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict


class View(Protocol):
    """What is left of each thing that a listener shows; ``is_public`` leaves out routes too."""

    is_public: bool

    def report(self, report: Report) -> Report: ...
    def service(self, service: ServiceReport) -> ServiceReport: ...
    def target(self, target: TargetReport) -> TargetReport: ...
    def entry(self, entry: Entry) -> Entry: ...
    def notices(self, notices: tuple[Notice, ...]) -> tuple[Notice, ...]: ...


class Everything:
    """The view of operators."""

    is_public = False

    def report(self, report: Report) -> Report:
        return report

    def service(self, service: ServiceReport) -> ServiceReport:
        return service

    def target(self, target: TargetReport) -> TargetReport:
        return target

    def entry(self, entry: Entry) -> Entry:
        return entry

    def notices(self, notices: tuple[Notice, ...]) -> tuple[Notice, ...]:
        return notices


class StatesAlone:
    """The public's view: no reasons, evidence, addresses, settings, budgets or notices, and not who
    acts."""

    is_public = True

    def report(self, report: Report) -> Report:
        services = tuple(self.service(service) for service in report.services)
        return replace(report, services=services, budgets=(), notices=())

    def service(self, service: ServiceReport) -> ServiceReport:
        return replace(service, targets=tuple(self.target(target) for target in service.targets))

    def target(self, target: TargetReport) -> TargetReport:
        return replace(
            target,
            target=_named(target.target),
            checks=tuple(_bare(check) for check in target.checks),
            container=_status(target.container),
            drain=replace(target.drain, by="", why="") if target.drain else None,
        )

    def entry(self, entry: Entry) -> Entry:
        if isinstance(entry, Step):
            return replace(entry, by="", text="", evidence={})
        return replace(entry, target=_named(entry.target), code="", reason="", evidence={})

    def notices(self, notices: tuple[Notice, ...]) -> tuple[Notice, ...]:
        del notices
        return ()


def _bare(check: CheckReport) -> CheckReport:
    standing = check.timeline.standing
    timeline = check.timeline._replace(
        standing=_only_status(standing) if standing else None, latest=_only_status(check.newest)
    )
    return check._replace(timeline=timeline, shown=_only_status(check.shown))


def _only_status(verdict: Verdict) -> Verdict:
    return Verdict(verdict.status, "", "")


def _named(target: Target) -> Target:
    return Target(id=target.id, name=target.name, service=target.service, quorum=target.quorum)


def _status(container: ContainerState | None) -> ContainerState | None:
    return ContainerState(container.status, health=container.health) if container else None
