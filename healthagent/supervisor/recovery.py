"""What the end of the agent cut short: found in the history by the next one, and put right.

To restart a replica is one request to the Engine, which ends it by itself. To replace one is
several: should the agent end in between, the Engine takes the replica for stopped on purpose, and
nobody else would start it. And nobody else would remove the one more that a roll had added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from healthagent.core.action import Outcome, Step
from healthagent.errors import ActionError
from healthagent.supervisor.act import ADDED, INTERRUPTED, RECOVERED, STOPPED, Act, Ended
from healthagent.supervisor.ports import Runtime
from healthagent.supervisor.surge import Surge

RECENT = 600.0
"""Seconds after which a replica is left as it is found: by then a person may have stopped it."""


@dataclass(frozen=True, slots=True)
class CutShort:
    """An act that did not come to its end: its last step before the agent's own end, the last one
    that told of a stop, and the one that told of one more replica. ``over`` is true where it came
    to its end after all."""

    last: Step
    stop: Step | None
    added: Step | None
    over: bool

    async def recovered(self, runtime: Runtime, surge: Surge, now: float, act: Act) -> NoReturn:
        """Bring back what it had stopped, then remove what it had added. Raises :class:`Ended`, for
        the act has failed: the text says how far it had come, how its replicas are, and how to go
        on."""
        told = [f"the agent ended while this was {self.last.outcome} ({self.last.text})"]
        recent = now - self.last.at <= RECENT
        if self.stop is not None and recent:
            told.append(await _brought_back(self.stop, runtime))
        if self.added is not None and recent:
            act.say("; ".join(told), evidence={RECOVERED: True})  # the rest may take a while
            id_, name = str(self.added.evidence[ADDED]), self.added.target
            told.append(await surge.left_over(act, id_, name))
        told.append(f"see `healthagent status`, and {act.verb} again if need be")
        raise Ended(Outcome.FAILED, "; ".join(told), (self.stop or self.last).target)


async def _brought_back(stop: Step, runtime: Runtime) -> str:
    """What came of that, in words. ``stop`` is the step that told which container was stopped."""
    id_ = str(stop.evidence[STOPPED])
    try:
        found = await runtime.recover(id_, stop.target)
    except ActionError as error:
        return str(error)
    which = "was started again as it was" if found == id_ else "runs as its successor"
    return f"{stop.target} {which} ({found[:12]})"


def cut_short(steps: Iterable[Step]) -> Sequence[CutShort]:
    """The acts among ``steps``, oldest first, that an end of the agent ended. Those that a later
    one has dealt with are over."""
    acts: dict[str, CutShort] = {}
    for step in steps:
        known = acts.get(step.act)
        if known is not None and INTERRUPTED in step.evidence:
            continue
        stop, added = (known.stop, known.added) if known else (None, None)
        if STOPPED in step.evidence:
            stop = step
        if RECOVERED in step.evidence:
            stop = None
        if ADDED in step.evidence:
            added = step
        acts[step.act] = CutShort(step, stop, added, step.outcome.final)
    return [each for each in acts.values() if not each.over]
