"""What is known of the replicas now, and waiting until it is otherwise."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from healthagent.core.action import Outcome
from healthagent.core.budget import Budget
from healthagent.core.report import Report, ServiceReport, TargetReport
from healthagent.core.target import Target
from healthagent.core.transition import Transition
from healthagent.supervisor.act import Ended

FOUND_WITHIN = 30.0
"""Seconds after its start within which the agent has found and judged the replicas there are."""


class Watched:
    """The newest report, read as a surface reads it."""

    def __init__(self) -> None:
        self._report = Report(0.0, settled=False)
        self._reported = asyncio.Event()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        del changes
        self._report = report
        self._reported.set()
        self._reported = asyncio.Event()

    @property
    def budgets(self) -> tuple[Budget, ...]:
        return self._report.budgets

    def service(self, name: str) -> ServiceReport:
        """Raises :class:`Ended` where there is none."""
        for service in self._report.services:
            if service.name == name:
                return service
        raise Ended(Outcome.REFUSED, f"no service {name} is watched")

    def find(self, target: Target) -> tuple[ServiceReport, TargetReport]:
        """Raises :class:`Ended` where it is watched no longer."""
        for service in self._report.services:
            for report in service.targets:
                if report.target.id == target.id:
                    return service, report
        raise Ended(Outcome.REFUSED, f"{target.name} is watched no longer")

    def by_id(self, id_: str) -> TargetReport:
        """Raises :class:`Ended` where it is gone."""
        if (report := self.seen(id_)) is None:
            raise Ended(Outcome.FAILED, f"{id_[:12]} is gone: somebody removed it")
        return report

    def seen(self, id_: str) -> TargetReport | None:
        return next((report for report in self._report.targets if report.target.id == id_), None)

    @property
    def settled(self) -> bool:
        """Whether every replica that there is was judged once."""
        return self._report.settled

    async def settles(self, timeout: float) -> bool:
        """Wait until they are; whether that was in time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while not self.settled and loop.time() < until:
            await self.next(until - loop.time())
        return self.settled

    async def next(self, timeout: float) -> None:
        """Until there is a newer report, or so many seconds have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._reported.wait()


def how(report: TargetReport) -> str:
    """How a replica is, whoever keeps it out of rotation meanwhile: that the act itself does so is
    no answer to what it waits for."""
    report = replace(report, drain=None)
    return f"{report.phase}: {report.reason}" if report.reason else str(report.phase)
