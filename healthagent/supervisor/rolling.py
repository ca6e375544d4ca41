"""Rolling a service: one replica after another, with one more in the meantime where asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from healthagent.core.action import Outcome, Plan
from healthagent.core.report import ServiceReport, TargetReport
from healthagent.core.target import Target
from healthagent.errors import ActionError
from healthagent.supervisor import plan as planning
from healthagent.supervisor.act import Act, Ended
from healthagent.supervisor.passage import BACK_WITHIN, Former, Passage
from healthagent.supervisor.ports import Container, Image, Runtime


class Rolling:
    def __init__(self, runtime: Runtime, passage: Passage) -> None:
        self._runtime = runtime
        self._passage = passage
        self._watched = passage.watched

    async def __call__(self, act: Act, name: str, plan: Plan) -> str:
        """The whole act; how it ended. Raises :class:`Ended` and ``ActionError``."""
        service = self._watched.service(name)
        containers = {
            report.target.id: await self._runtime.inspect(report.target.id)
            for report in service.targets
            if report.target.is_container
        }
        image = await self._image(plan, containers)
        against = planning.objections(service, containers, image, self._watched.budgets, plan)
        if why := "; ".join(against):
            raise Ended(Outcome.REFUSED, why)
        replicas = planning.order(service)
        if plan.rehearse:
            self._rehearse(act, service, replicas, containers, plan)
        names = ", ".join(report.target.name for report in replicas)
        act.say(f"one after another: {names}", outcome=Outcome.BEGUN)
        more = await self._add(act, replicas, plan) if plan.surge else None
        for number, report in enumerate(replicas):
            try:
                await self._renew(act, report.target, plan)
            except (Ended, ActionError) as error:
                way_on = planning.way_on(number, replicas, containers, plan, more)
                raise Ended(Outcome.FAILED, f"{error}. {way_on}", report.target.name) from error
        if more is not None:
            code = await self._removed(act, more.id)
            act.say(f"no longer needed: it ended with {code} and was removed", more)
        return f"{len(replicas)} of {len(replicas)} replicas are done"

    async def _image(self, plan: Plan, containers: Mapping[str, Container]) -> Image | None:
        """The image that the plan names, searched for what the health check runs."""
        if plan.image is None:
            return None
        image = await self._runtime.image(plan.image)
        files = planning.probe_files(containers.values(), image)
        return await self._runtime.image(plan.image, files)

    def _rehearse(
        self,
        act: Act,
        service: ServiceReport,
        replicas: Sequence[TargetReport],
        containers: Mapping[str, Container],
        plan: Plan,
    ) -> None:
        for report in replicas:
            what = planning.described(plan, containers[report.target.id])
            act.say(f"would be drained, {what}, and awaited until it is ready", report.target)
        raise Ended(
            Outcome.OBSERVED,
            f"nothing speaks against it: {len(replicas)} replicas, {len(service.ready)} ready, "
            f"never fewer than {planning.fewest(service, plan)}",
        )

    async def _renew(self, act: Act, target: Target, plan: Plan) -> None:
        """Put one replica into its next life."""
        report = await self._spared(act, target)
        passage, runtime, former = self._passage, self._runtime, Former.of(report)
        new = target.id
        with passage.kept_out(act, target.id):
            await passage.out(act, report)
            if not plan.replaces:
                act.say("SIGTERM", target)
                await runtime.restart(target.id)
                await passage.back(act, new, former)
            else:
                act.say_sigterm(target)
                code = await runtime.stop(target.id)
                drain = passage.drains[target.id]
                new = await self._replaced(target, plan)
                passage.succeed(drain, target.id, new)
                with passage.kept_out(act, new):
                    act.say(f"ended with {code}; its successor {new[:12]} starts", target)
                    await runtime.start(new)
                    await passage.back(act, new, former)
        act.say(await passage.again(new), target)

    async def _replaced(self, target: Target, plan: Plan) -> str:
        """The id of its successor. Where there is to be none it is started as it was: nobody else
        would, since the Engine takes it for stopped on purpose."""
        try:
            return await self._runtime.replace(target.id, plan)
        except ActionError as error:
            try:
                await self._runtime.start(target.id)
            except ActionError as other:
                raise ActionError(f"{error}; and it stays stopped: {other}") from error
            raise ActionError(f"{error}; it was started again as it was") from error

    async def _spared(self, act: Act, target: Target) -> TargetReport:
        """Wait until the others are enough without it: for as long as one may take to start."""
        loop = asyncio.get_running_loop()
        until = loop.time() + target.timing.grace + BACK_WITHIN
        said = False
        while True:
            service, report = self._watched.find(target)
            why = planning.spared(service, target)
            if not why:
                return report
            if not said:
                act.say(f"waiting: {why}", target)
                said = True
            if loop.time() > until:
                raise Ended(Outcome.FAILED, why)
            await self._watched.next(until - loop.time())

    async def _add(self, act: Act, replicas: Sequence[TargetReport], plan: Plan) -> Target:
        """One replica more, which serves before any other goes. One that does not come to that
        goes again, since the next roll would take it for one of the service."""
        like = replicas[-1].target
        name, number = planning.one_more([report.target.name for report in replicas])
        id_ = await self._runtime.add(like.id, name, number, plan)
        try:
            act.say(f"one more is started before the first goes: {name}")
            await self._runtime.start(id_)
            await self._passage.back(act, id_, Former.of(replicas[-1]))
            target = self._watched.by_id(id_).target
            act.say(await self._passage.again(id_), target)
        except (Ended, ActionError) as error:
            gone = await self._taken_back(act, id_, name)
            way_on = f"nothing else was touched; to go on, roll {like.service} again once that is"
            raise Ended(Outcome.FAILED, f"{error}. {gone}, {way_on} cured", name) from error
        return target

    async def _taken_back(self, act: Act, id_: str, name: str) -> str:
        report = self._watched.seen(id_)
        if report is not None:
            await act.preserve(report.target)
        try:
            await self._removed(act, id_)
        except (Ended, ActionError) as error:
            return f"{name}, the one more, is there still ({error}): docker rm -f {name}"
        return f"{name}, the one more, was removed"

    async def _removed(self, act: Act, id_: str) -> int:
        """Take the one more out again, as carefully as any other; its exit code."""
        with self._passage.kept_out(act, id_):
            report = self._watched.seen(id_)
            if report is not None:
                await self._passage.out(act, report)
            code = await self._runtime.stop(id_)
            await self._runtime.remove(id_)
        return code
