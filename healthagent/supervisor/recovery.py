"""What was cut short: by a fault of the Engine, put right by the act itself, or by the end of the
agent, found in the history by the next one.

To restart a replica is one request to the Engine, which ends it by itself unless it ends first. To
replace one is several. Should it not come to the last, the Engine takes the replica for stopped on
purpose, also when it starts anew, and nobody else would start it. And nobody else would remove the
one more that a roll had added.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from healthagent.core.action import Outcome, Step
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.errors import ActionError, Unanswered
from healthagent.supervisor.act import (
    ADDED,
    INTERRUPTED,
    RECOVERED,
    RESTARTED,
    STOPPED,
    Act,
    Ended,
)
from healthagent.supervisor.passage import Passage
from healthagent.supervisor.ports import Container, Runtime
from healthagent.supervisor.surge import Surge

RECENT = 600.0
"""Seconds after which a replica is left as it is found: by then a person may have stopped it."""

ASKED_FOR = 120.0
"""Seconds for which a replica is tried to be brought back while the Engine cannot be asked, as one
that starts anew, or is still at the removal of the old container."""

PAUSE = 1.0
"""Seconds from one try to the next."""


@dataclass(frozen=True, slots=True)
class CutShort:
    """An act that did not come to its end: its last step before the agent's own end, the last one
    that told of a stop, and the one that told of one more replica. ``over`` is true where it came
    to its end after all."""

    last: Step
    stop: Step | None
    added: Step | None
    over: bool

    async def recovered(
        self, runtime: Runtime, passage: Passage, surge: Surge, now: float, act: Act
    ) -> NoReturn:
        """Bring back what it had stopped, then remove what it had added. Raises :class:`Ended`, for
        the act has failed: the text says how far it had come, how its replicas are, and how to go
        on."""
        told = [f"the agent ended while this was {self.last.outcome} ({self.last.text})"]
        recent = now - self.last.at <= RECENT
        if not recent:
            told.extend(self._left())
        if self.stop is not None and recent:
            told.append(await self._running(self.stop, runtime, passage, act))
        if self.added is not None and recent:
            act.say("; ".join(told), evidence={RECOVERED: True})  # the rest may take a while
            id_, name = str(self.added.evidence[ADDED]), self.added.target
            told.append(await surge.left_over(act, id_, name))
        told.append(f"see `healthagent status`, and {act.verb} again if need be")
        raise Ended(Outcome.FAILED, "; ".join(told), (self.stop or self.last).target)

    def _left(self) -> Iterator[str]:
        """What is not put right any more, and how a person does it."""
        ago = f"as that was more than {RECENT / 60:.0f} minutes ago"
        if self.stop is not None:
            name = self.stop.target
            yield (
                f"{name}, which it had stopped, is left as it is, {ago}: where it does not run, "
                f"docker start {name}, or docker compose up --detach where it is gone"
            )
        if self.added is not None:
            name = self.added.target
            yield (
                f"{name}, which it had added, is left as it is, {ago}: "
                "docker compose up --detach removes it"
            )

    async def _running(self, stop: Step, runtime: Runtime, passage: Passage, act: Act) -> str:
        name = stop.target
        if RESTARTED in stop.evidence:
            return await _started(act, runtime, str(stop.evidence[RESTARTED]), name)
        id_ = str(stop.evidence[STOPPED])
        return await brought_back(act, runtime, passage, id_, name, passage.drains[id_])


async def restarted(act: Act, runtime: Runtime, target: Target) -> None:
    """Have the Engine restart a replica. Where it does not, because it ended half-way, the replica
    is started. Raises ``ActionError`` all the same."""
    act.say_restart(target)
    try:
        await runtime.restart(target.id)
    except ActionError as error:
        what = await _started(act, runtime, target.id, target.name)
        raise ActionError(f"{error}; {what}") from error


async def _started(act: Act, runtime: Runtime, id_: str, name: str) -> str:
    """Have a replica run of which a restart was not seen to end; what came of it, in words. One
    that runs may be about to end: then the Engine goes on with its restart, and starts it."""

    async def start() -> Container:
        before = await runtime.inspect(id_)
        await runtime.start(id_)
        return before

    try:
        before = await _recovered(act, start, id_, name)
    except ActionError as error:
        return await _as_it_is(runtime, id_, name, error)
    return f"{name} runs" if before.running else f"{name} was started again"


async def brought_back(
    act: Act, runtime: Runtime, passage: Passage, id_: str, name: str, drain: Drain | None
) -> str:
    """Have a replica run again of which an act stopped the container ``id_``, or its successor;
    what came of it, in words. ``drain`` is what kept it out before."""
    try:
        found = await _recovered(act, partial(runtime.recover, id_, name), id_, name)
    except ActionError as error:
        return await _as_it_is(runtime, id_, name, error)
    if found.id == id_:
        return f"{name} was started again as it was ({id_[:12]})"
    passage.succeed(drain, id_, found.id)
    told = f"{name} runs as its successor ({found.id[:12]})"
    if found.name == name:
        return told
    remedy = f"docker rm --force {id_[:12]}, then docker rename {found.name} {name}"
    return f"{told}, called {found.name} as {id_[:12]} cannot be removed: {remedy}"


async def _as_it_is(runtime: Runtime, id_: str, name: str, error: ActionError) -> str:
    """How a replica is that could not be brought back, in words. Who refuses to start one, as a
    proxy before the Engine's socket may, mostly refused to stop it as well."""
    if not isinstance(error, Unanswered):
        with suppress(ActionError):
            if (await runtime.inspect(id_)).running:
                return f"{name} runs"
    sure = "may be stopped still" if isinstance(error, Unanswered) else "stays stopped"
    remedy = f"docker start {name}, or docker compose up --detach where it is gone"
    return f"{name} {sure}: {error}; once that is cured, {remedy}"


async def _recovered(
    act: Act, recover: Callable[[], Awaitable[Container]], id_: str, name: str
) -> Container:
    """What ``recover`` gives, under its name if that comes free in time. Raises ``ActionError``."""
    loop = asyncio.get_running_loop()
    until = loop.time() + ASKED_FOR
    said = False
    while True:
        try:
            found = await recover()
        except Unanswered as error:
            if loop.time() >= until:
                raise
            why = str(error)
        else:
            if id_ == found.id or name == found.name or loop.time() >= until:
                return found
            why = f"it runs as {found.name}, since {id_[:12]} is not removed yet"
        if not said:
            act.say(f"not as it was yet, which is tried for {ASKED_FOR:g} s: {why}", name)
            said = True
        await asyncio.sleep(PAUSE)


def cut_short(steps: Iterable[Step]) -> Sequence[CutShort]:
    """The acts among ``steps``, oldest first, that an end of the agent ended. Those that a later
    one has dealt with are over."""
    acts: dict[str, CutShort] = {}
    for step in steps:
        known = acts.get(step.act)
        if known is not None and INTERRUPTED in step.evidence:
            continue
        stop, added = (known.stop, known.added) if known else (None, None)
        if step.evidence.keys() & {STOPPED, RESTARTED}:
            stop = step
        if RECOVERED in step.evidence:
            stop = None
        if ADDED in step.evidence:
            added = step
        acts[step.act] = CutShort(step, stop, added, step.outcome.final)
    return [each for each in acts.values() if not each.over]
