"""One act on replicas while it goes on: its steps, for whoever follows it, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from healthagent.core.action import Outcome, Step
from healthagent.core.target import Target
from healthagent.core.verdict import Evidence
from healthagent.supervisor.ports import Recorder

STOPPED = "container"
"""The key in a step's evidence under which the id of the container stands that is stopped next."""

RESTARTED = "restarts"
"""The key under which the id of the container stands that the Engine is asked to restart next."""

ADDED = "one_more"
"""The key under which the id of the container stands that is added for as long as the act goes on.
"""

RECOVERED = "recovered"
"""The key that marks the step of the agent's next life after which nothing is stopped any more."""

INTERRUPTED = "interrupted"
"""The key in the evidence of an act's last step that marks one that the agent's own end ended."""


class Ended(Exception):
    """Ends an act before its end, as *refused*, *failed* or *observed*; the text says why and how
    to go on."""

    def __init__(self, outcome: Outcome, text: str, target: str = "") -> None:
        super().__init__(text)
        self.outcome = outcome
        self.text = text
        self.target = target


class Act:
    """``record`` gets each step as it is said. The rest is as in :class:`Step`."""

    def __init__(
        self,
        id_: str,
        verb: str,
        by: str,
        service: str,
        target: str,
        recorder: Recorder,
        clock: Callable[[], float],
    ) -> None:
        self.id = id_
        self.verb = verb
        self.by = by
        self.service = service
        self.target = target
        self.steps: list[Step] = []
        self._recorder = recorder
        self._clock = clock
        self._said = asyncio.Event()

    def say(
        self,
        text: str,
        target: Target | str | None = None,
        outcome: Outcome = Outcome.GOING_ON,
        evidence: Evidence | None = None,
    ) -> None:
        """Tell a step to all who follow, and keep it. ``target`` is the act's own by default."""
        name = target.name if isinstance(target, Target) else target
        step = Step(
            at=self._clock(),
            act=self.id,
            verb=self.verb,
            by=self.by,
            service=self.service,
            target=self.target if name is None else name,
            outcome=outcome,
            text=text,
            evidence=evidence or {},
        )
        self.steps.append(step)
        self._recorder.record(step)
        self._said.set()
        self._said = asyncio.Event()

    def say_sigterm(self, target: Target) -> None:
        """Tell that a container is about to be stopped that the Engine will not start again by
        itself. Which one is kept with the step, so that the agent's next life can bring it back."""
        self.say("SIGTERM", target, evidence={STOPPED: target.id})

    def say_restart(self, target: Target) -> None:
        """Tell that the Engine is asked to restart a container, which the next life looks after in
        case that the Engine ends too."""
        self.say("SIGTERM", target, evidence={RESTARTED: target.id})

    async def preserve(self, target: Target) -> None:
        """Keep the evidence of a replica that is about to be stopped, and say whether it is."""
        evidence = await self._recorder.preserve(target, self.id)
        if evidence:
            kept = "its evidence is kept"
            if not evidence.get("kept"):
                kept = f"no evidence could be kept: {evidence.get('why', 'nobody says why')}"
            self.say(kept, target, evidence=evidence)

    async def follow(self) -> AsyncIterator[Step]:
        """All steps from the first on, up to the last one."""
        told = 0
        while True:
            while told < len(self.steps):
                step = self.steps[told]
                told += 1
                yield step
                if step.outcome.final:
                    return
            await self._said.wait()
