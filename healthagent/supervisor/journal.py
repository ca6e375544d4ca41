"""The journal: every step is told and kept, every transition kept, and evidence taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from healthagent.core.action import Step
from healthagent.core.report import Report, TargetReport
from healthagent.core.target import Target
from healthagent.core.transition import Transition
from healthagent.core.verdict import Evidence
from healthagent.supervisor.evidence import Inquest
from healthagent.supervisor.history import History

WITHIN = 8.0
"""Seconds for evidence in all, what is written of it included."""

LAST = 30
"""Transitions of a replica that are evidence."""

_log = logging.getLogger(__name__)


class Journal:
    """A recorder of acts, and a surface that remembers what changed.

    ``told`` hear each step as well: the surfaces that show it, the log first.
    """

    def __init__(
        self, history: History, inquest: Inquest, told: Sequence[Callable[[Step], None]] = ()
    ) -> None:
        self._history = history
        self._inquest = inquest
        self._told = told
        self._report: Report | None = None

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        self._report = report
        for change in changes:
            if not change.check or change.worse:
                self._history.add(change)

    def record(self, step: Step) -> None:
        for tell in self._told:
            tell(step)
        self._history.add(step)

    async def preserve(self, target: Target, act: str) -> Evidence:
        try:
            async with asyncio.timeout(WITHIN):
                changes = await self._changes(target)
                found = await self._inquest.hold(target, self._reported(target), changes)
                self._history.add_evidence(act, found)
                await self._history.settled()
        except TimeoutError:
            return {"kept": False, "why": f"not within {WITHIN:g} s"}
        except Exception as error:
            # Evidence is worth a lot, and not a replica that stays dead for a fault in here.
            _log.exception("no evidence of %s could be taken", target.name)
            return {"kept": False, "why": repr(error)}
        return {"kept": True, "id": act}

    def _reported(self, target: Target) -> TargetReport | None:
        targets = self._report.targets if self._report else ()
        return next((each for each in targets if each.target.id == target.id), None)

    async def _changes(self, target: Target) -> Sequence[dict[str, Any]]:
        entries = await self._history.entries(target.name, 0.0, 5 * LAST) or ()
        changes = [entry for entry in entries if isinstance(entry, Transition)][-LAST:]
        return [
            {
                "at": each.at, "check": each.check, "before": str(each.before),
                "after": str(each.after), "code": each.code, "reason": each.reason,
            }
            for each in changes
        ]  # fmt: skip
