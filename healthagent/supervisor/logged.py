"""Records acts in the log alone."""

from __future__ import annotations

import logging

from healthagent.core.action import Outcome, Step
from healthagent.core.target import Target
from healthagent.core.verdict import Evidence

_log = logging.getLogger("healthagent.acts")


class LogRecorder:
    """Fulfils :class:`~healthagent.supervisor.ports.Recorder`; keeps no evidence."""

    def record(self, step: Step) -> None:
        bad = step.outcome in (Outcome.FAILED, Outcome.REFUSED)
        _log.log(
            logging.WARNING if bad else logging.INFO,
            "%s %s by %s: %s: %s",
            step.verb, step.target or step.service, step.by, step.outcome, step.text,
        )  # fmt: skip

    async def preserve(self, target: Target, act: str) -> Evidence:
        del target, act
        return {}
