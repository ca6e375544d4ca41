"""What the end of the agent cut short: found in the history by the next one, and brought back.

To restart a replica is one request to the Engine, which ends it by itself. To replace one is
several: should the agent end in between, the Engine takes the replica for stopped on purpose, and
nobody else would start it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from healthagent.core.action import Outcome, Step
from healthagent.errors import ActionError
from healthagent.supervisor.act import INTERRUPTED, STOPPED, Act, Ended
from healthagent.supervisor.ports import Runtime

RECENT = 600.0
"""Seconds after which a replica is left as it is found: by then a person may have stopped it."""


@dataclass(frozen=True, slots=True)
class CutShort:
    """An act that did not come to its end: its last step before the agent's own end, and the last
    one that told of a stop. ``over`` is true where it came to its end after all."""

    last: Step
    stop: Step | None
    over: bool

    async def recovered(self, act: Act, runtime: Runtime, now: float) -> str:
        """Bring back what it had stopped. Always raises :class:`Ended`, for the act has failed:
        the text says how far it had come, how its replica is, and how to go on."""
        so_far = f"the agent ended while this was {self.last.outcome} ({self.last.text})"
        way_on = f"see `healthagent status`, and {act.verb} again if need be"
        if self.stop is None or now - self.last.at > RECENT:
            raise Ended(Outcome.FAILED, f"{so_far}; {way_on}", self.last.target)
        id_, name = str(self.stop.evidence[STOPPED]), self.stop.target
        try:
            found = await runtime.recover(id_, name)
        except ActionError as error:
            raise Ended(Outcome.FAILED, f"{so_far}; {error}; {way_on}", name) from error
        which = "was started again as it was" if found == id_ else "runs as its successor"
        raise Ended(Outcome.FAILED, f"{so_far}; {name} {which} ({found[:12]}); {way_on}", name)


def cut_short(steps: Iterable[Step]) -> Sequence[CutShort]:
    """The acts among ``steps``, oldest first, that an end of the agent ended. Those that a later
    one has dealt with are over."""
    acts: dict[str, CutShort] = {}
    for step in steps:
        known = acts.get(step.act)
        if known is not None and INTERRUPTED in step.evidence:
            continue
        stop = step if STOPPED in step.evidence else known.stop if known else None
        acts[step.act] = CutShort(step, stop, step.outcome.final)
    return [each for each in acts.values() if not each.over]
