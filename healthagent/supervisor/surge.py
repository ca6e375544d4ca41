"""The one more of a roll: it serves before any other replica goes, and is removed at the end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from healthagent.core.action import Outcome, Plan
from healthagent.core.report import TargetReport
from healthagent.core.target import Target
from healthagent.errors import ActionError
from healthagent.supervisor import plan as planning
from healthagent.supervisor.act import ADDED, Act, Ended
from healthagent.supervisor.passage import Former, Passage
from healthagent.supervisor.ports import Runtime
from healthagent.supervisor.watched import FOUND_WITHIN


class Surge:
    def __init__(self, runtime: Runtime, passage: Passage) -> None:
        self._runtime = runtime
        self._passage = passage
        self._watched = passage.watched

    async def add(self, act: Act, replicas: Sequence[TargetReport], plan: Plan) -> Target:
        """Start one more, and wait until it serves. One that does not come to that is removed
        again, since the next roll would take it for one of the service."""
        like = replicas[-1].target
        name, number = planning.one_more([report.target.name for report in replicas])
        id_ = await self._runtime.add(like.id, name, number, plan)
        try:
            act.say("one more is started before the first goes", name, evidence={ADDED: id_})
            await self._runtime.start(id_)
            await self._passage.back(act, id_, Former.of(replicas[-1]))
            target = self._watched.by_id(id_).target
            act.say(await self._passage.again(id_), target)
        except (Ended, ActionError) as error:
            gone = await self._taken_back(act, id_, name)
            way_on = f"nothing else was touched; to go on, roll {like.service} again once that is"
            raise Ended(Outcome.FAILED, f"{error}. {gone}, {way_on} cured", name) from error
        return target

    async def over(self, act: Act, more: Target) -> None:
        """Remove it at the end of its roll. Raises :class:`Ended` where it stays."""
        try:
            code = await self._remove(act, more.id)
        except (Ended, ActionError) as error:
            why = f"all others are done, but {_stays(more.name, str(error))}"
            raise Ended(Outcome.FAILED, why, more.name) from error
        act.say(f"no longer needed: it ended with {code} and was removed", more)

    async def _remove(self, act: Act, id_: str) -> int:
        """Take it out again, as carefully as any other; its exit code. Raises :class:`Ended` where
        the others are not enough without it, and ``ActionError``."""
        report = self._watched.seen(id_)
        async with self._passage.aside(act, report.target) if report else nullcontext():
            code = await self._runtime.stop(id_)
            await self._runtime.remove(id_)
        return code

    async def left_over(self, act: Act, id_: str, name: str) -> str:
        """Remove the one that an earlier life of the agent added, once the others are enough
        without it; what came of that, in words."""
        if not await self._watched.settles(FOUND_WITHIN):
            return _stays(name, f"replicas were not found within {FOUND_WITHIN:g} s")
        if self._watched.seen(id_) is None:
            return f"{name}, the one more, is gone already"
        return await self._taken_back(act, id_, name)

    async def _taken_back(self, act: Act, id_: str, name: str) -> str:
        report = self._watched.seen(id_)
        if report is not None:
            await act.preserve(report.target)
        try:
            await self._remove(act, id_)
        except (Ended, ActionError) as error:
            return _stays(name, str(error))
        return f"{name}, the one more, was removed"


def _stays(name: str, why: str) -> str:
    return f"{name}, the one more, is there still ({why}): docker rm -f {name}"
