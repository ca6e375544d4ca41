"""Rolling a service: one replica after another, with one more in the meantime where asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from healthagent.core.action import Outcome, Plan
from healthagent.core.report import ServiceReport, TargetReport
from healthagent.core.target import Target
from healthagent.errors import ActionError
from healthagent.supervisor import plan as planning
from healthagent.supervisor.act import Act, Ended
from healthagent.supervisor.passage import Former, Passage
from healthagent.supervisor.ports import Container, Image, Runtime, Successor
from healthagent.supervisor.recovery import brought_back, restarted
from healthagent.supervisor.surge import Surge


class Rolling:
    def __init__(self, runtime: Runtime, passage: Passage, surge: Surge) -> None:
        self._runtime = runtime
        self._passage = passage
        self._watched = passage.watched
        self._surge = surge

    async def __call__(self, act: Act, name: str, plan: Plan) -> str:
        """The whole act; how it ended. Raises :class:`Ended` and ``ActionError``."""
        service = self._watched.service(name)
        containers = {
            report.target.id: await self._runtime.inspect(report.target.id)
            for report in service.targets
            if report.target.is_container
        }
        image = await self._image(plan, containers)
        successors = await self._successors(plan, containers, image)
        budgets = self._watched.budgets
        against = planning.objections(service, containers, image, budgets, plan, successors)
        if why := "; ".join(against):
            raise Ended(Outcome.REFUSED, why)
        replicas = planning.order(service)
        if plan.rehearse:
            self._rehearse(act, service, replicas, containers, plan)
        names = ", ".join(report.target.name for report in replicas)
        act.say(f"one after another: {names}", outcome=Outcome.BEGUN)
        more = await self._surge.add(act, replicas, plan) if plan.surge else None
        for number, report in enumerate(replicas):
            try:
                await self._renew(act, report.target, plan)
            except (Ended, ActionError) as error:
                left = replicas[number + 1 :]
                before = await self._image_before(report.target, left, containers, image)
                way_on = planning.way_on(number, replicas, before, more, plan)
                raise Ended(Outcome.FAILED, f"{error}. {way_on}", report.target.name) from error
        if more is not None:
            await self._surge.over(act, more)
        known = {report.target.name for report in replicas} | ({more.name} if more else set())
        now = (report.target.name for report in self._watched.service(name).targets)
        came = ", ".join(each for each in now if each not in known)
        done = f"{len(replicas)} of {len(replicas)} replicas are done"
        return f"{done}; {came} came meanwhile, and is as it was made" if came else done

    async def _image(self, plan: Plan, containers: Mapping[str, Container]) -> Image | None:
        """The image that the plan names, searched for what the health check runs."""
        if plan.image is None:
            return None
        image = await self._runtime.image(plan.image)
        files = planning.probe_files(containers.values(), image)
        return await self._runtime.image(plan.image, files)

    async def _successors(
        self, plan: Plan, containers: Mapping[str, Container], image: Image | None
    ) -> list[Successor]:
        """What the containers would be replaced by; nothing where they are not, or cannot be."""
        if not plan.replaces or (plan.image is not None and image is None):
            return []
        return [await self._runtime.foresee(id_, plan) for id_ in containers]

    async def _image_before(
        self,
        failed: Target,
        left: Sequence[TargetReport],
        containers: Mapping[str, Container],
        tried: Image | None,
    ) -> str:
        """The image to go back to after the one that was tried; by its id, unless its reference is
        known to mean it still. Empty where there is none."""
        if tried is None:
            return ""
        now = (self._watched.seen(report.target.id) for report in left)
        before = planning.way_back(failed, filter(None, now), containers, tried)
        if before is None:
            return ""
        try:
            named = await self._runtime.image(before.image)
        except ActionError:
            named = None
        return before.image if named and named.id == before.image_id else before.image_id

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
        passage, new = self._passage, target.id
        async with passage.aside(act, target) as report:
            former = Former.of(report)
            if plan.replaces:
                new = await self._replaced(act, target, plan, former)
            else:
                await restarted(act, self._runtime, target)
                await passage.back(act, new, former)
        act.say(await passage.again(new), target)

    async def _replaced(self, act: Act, target: Target, plan: Plan, former: Former) -> str:
        """The id of its successor, once that is ready. Where the Engine fails half-way, what it
        left is started: nobody else would, since the Engine takes it for stopped on purpose."""
        passage, runtime, drain = self._passage, self._runtime, None
        act.say_sigterm(target)
        try:
            code = await runtime.stop(target.id)
            drain = passage.drains[target.id]
            new = await runtime.replace(target.id, plan)
            passage.succeed(drain, target.id, new)
            with passage.kept_out(act, new):
                act.say(f"ended with {code}; its successor {new[:12]} starts", target)
                await runtime.start(new)
                await passage.back(act, new, former)
        except ActionError as error:
            what = await brought_back(act, runtime, passage, target.id, target.name, drain)
            raise ActionError(f"{error}; {what}") from error
        return new
