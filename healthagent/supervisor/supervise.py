"""The supervisor: reads every report, restarts what is dead where that is allowed and would help,
and says what it does, what it would do, and why it does not."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace

from healthagent.core.action import Outcome, Step
from healthagent.core.notice import Notice
from healthagent.core.ports import Operations
from healthagent.core.report import Report, TargetReport
from healthagent.core.transition import Transition
from healthagent.supervisor.guards import Limits
from healthagent.supervisor.memory import Memory, Past
from healthagent.supervisor.notices import Notices
from healthagent.supervisor.policy import Choice, Decision, decide, spared
from healthagent.supervisor.ports import Recorder

BY = "supervisor"
VERB = "restart"

SILENT = frozenset({"patience", "busy"})
"""Codes of decisions that are over in a moment, and not worth a line."""


def _jitter() -> float:
    return random.uniform(-1.0, 1.0)  # noqa: S311  # spreads restarts, guards nothing


class Supervisor:
    """A surface that acts on what it is shown, through ``operations``.

    ``busy`` tells the services at which somebody else acts. ``earlier`` are the steps of the
    agent's life before, so that a restart of the agent is no way round the cap; ``died`` is since
    when that life saw replicas dead, so that what it found one after another does not seem to have
    fallen at once. ``clock`` is in seconds since the epoch.
    """

    def __init__(
        self,
        operations: Operations,
        recorder: Recorder,
        notices: Notices,
        limits: Limits,
        *,
        busy: Callable[[], Set[str]] = frozenset,
        earlier: Iterable[Step] = (),
        died: Mapping[str, float] | None = None,
        jitter: Callable[[], float] = _jitter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._operations = operations
        self._recorder = recorder
        self._notices = notices
        self._limits = limits
        self._busy = busy
        self._jitter = jitter
        self._clock = clock
        self._report = Report(0.0, settled=False)
        self._memory = replace(remembered(earlier, jitter), died=died or {})
        self._acting: set[str] = set()
        self._said: dict[str, set[str]] = {}
        self._changed = asyncio.Event()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:  # noqa: ARG002
        self._report = report
        self._memory = self._memory.after(report)
        self._changed.set()

    async def run(self) -> None:
        """Decide at every report until cancelled. What the Engine was asked for it ends by
        itself."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for decision in self._decisions():
                    if decision.choice is Choice.ACT:
                        self._begin(decision, group)
                    else:
                        self._say(decision)

    def _decisions(self) -> tuple[Decision, ...]:
        busy = self._acting | self._busy()
        made = decide(self._report, self._memory, busy, self._limits)
        dead = self._memory.fell.keys()
        self._said = {id_: said for id_, said in self._said.items() if id_ in dead}
        given_up = (each.replica for each in made if each.code == "cap" and _supervised(each))
        self._notices.post("cap", *(_given_up(replica, self._limits) for replica in given_up))
        return made

    def _begin(self, decision: Decision, group: asyncio.TaskGroup) -> None:
        target = decision.replica.target
        past = Past(self._clock(), self._jitter())
        self._memory = self._memory.restarting(target.name, past)
        self._acting.add(target.service)
        group.create_task(self._act(decision))

    async def _act(self, decision: Decision) -> None:
        target = decision.replica.target
        outcome = Outcome.BEGUN

        def unless() -> str:
            return spared(self._report, self._memory, target.name)

        try:
            async for step in self._operations.restart(target, BY, decision.why, unless):
                outcome = step.outcome
        finally:
            self._acting.discard(target.service)
        if outcome is Outcome.REFUSED:
            self._memory = self._memory.spared(target.name)

    def _say(self, decision: Decision) -> None:
        """Once for as long as the replica is dead."""
        target = decision.replica.target
        observed = decision.choice is Choice.OBSERVE
        said = self._said.setdefault(target.id, set())
        if decision.code in said or decision.code in SILENT:
            return
        if not observed and not _supervised(decision):
            return
        said.add(decision.code)
        would = "would restart it, were it labelled healthagent.supervise=restart"
        self._recorder.record(
            Step(
                at=self._clock(),
                act=secrets.token_hex(4),
                verb=VERB,
                by=BY,
                service=target.service,
                target=target.name,
                outcome=Outcome.OBSERVED if observed else Outcome.REFUSED,
                text=f"{would}: {decision.why}" if observed else decision.why,
                evidence={"code": decision.code},
            )
        )


def remembered(steps: Iterable[Step], jitter: Callable[[], float]) -> Memory:
    """The restarts that earlier steps tell of. One that was refused in the end was none."""
    steps = [step for step in steps if step.verb == VERB and step.by == BY]
    spared_acts = {step.act for step in steps if step.outcome is Outcome.REFUSED}
    memory = Memory()
    for step in steps:
        if step.outcome is Outcome.BEGUN and step.act not in spared_acts:
            memory = memory.restarting(step.target, Past(step.at, jitter()))
    return memory


def _supervised(decision: Decision) -> bool:
    return decision.replica.target.supervise == "restart"


def _given_up(replica: TargetReport, limits: Limits) -> Notice:
    name = replica.target.name
    times = "once" if limits.most == 1 else f"{limits.most} times"
    return Notice(
        about=name,
        problem=f"is dead after a restart was begun {times} within an hour, and is left so",
        remedy=f"look at `healthagent history {name}` and at the evidence that it names",
    )
