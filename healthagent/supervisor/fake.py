"""A runtime, a router and traffic that do what they are told to: for tests of what acts.

The runtime passes the same contract tests as the Engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

from healthagent.core.action import Plan, Step
from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Evidence
from healthagent.errors import ActionError
from healthagent.supervisor.ports import Container, Image, Successor


@dataclass(slots=True)
class FakeRuntime:
    """Containers that exist in memory alone.

    ``containers`` are those there are, by id, ``images`` those that a plan may name, by reference,
    and ``successors`` what they make of a container but for the plan's labels. ``acts`` are all
    that was done, in order, as words. ``refuses`` maps an act's verb to the words with which the
    next one of its kind is refused.
    """

    containers: dict[str, Container] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    successors: dict[str, Successor] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    printed: str = ""

    def put(self, container: Container) -> str:
        self.containers[container.id] = container
        self.images.setdefault(container.image, Image(container.image_id))
        return container.id

    async def inspect(self, id_: str) -> Container:
        container = self._known(id_)
        self._heed("inspect", container)
        return container

    async def image(self, reference: str, files: tuple[str, ...] = ()) -> Image | None:
        found = self.images.get(reference)
        if found is None:
            return None
        return replace(found, missing=tuple(file for file in files if file in found.missing))

    async def foresee(self, id_: str, plan: Plan) -> Successor:
        known = self.successors.get(plan.image or self._known(id_).image, Successor())
        return replace(known, labels={**known.labels, **plan.labels})

    async def stop(self, id_: str) -> int:
        container = self._known(id_)
        if container.exit_code is None:
            self._act("stop", container)
            container = replace(container, exit_code=0)
            self.containers[id_] = container
        return container.exit_code or 0

    async def restart(self, id_: str) -> None:
        self._act("restart", self._known(id_))
        self.containers[id_] = replace(self._known(id_), exit_code=None)

    async def start(self, id_: str) -> None:
        container = self._known(id_)
        self._heed("start", container)
        if not container.running:
            self._act("start", container)
            self.containers[id_] = replace(container, exit_code=None)

    async def replace(self, id_: str, plan: Plan) -> str:
        old = self._known(id_)
        self._act("replace", old)
        if old.running:
            raise ActionError(f"cannot replace {old.name}: it runs")
        new = self._made(old, plan, old.name)
        del self.containers[id_]
        return new

    async def recover(self, id_: str, name: str) -> Container:
        named = (each.id for each in self.containers.values() if each.name == name)
        found = id_ if id_ in self.containers else next(named, id_)
        await (self.restart(found) if found == id_ else self.start(found))
        return self._known(found)

    async def add(self, id_: str, name: str, number: int, plan: Plan) -> str:
        old = self._known(id_)
        self._act("add", replace(old, name=name), f" as number {number}")
        if name in (container.name for container in self.containers.values()):
            raise ActionError(f"cannot create {name}: the name is taken")
        return self._made(old, plan, name)

    async def remove(self, id_: str) -> None:
        container = self._known(id_)
        self._act("remove", container)
        if container.running:
            raise ActionError(f"cannot remove {container.name}: it runs")
        del self.containers[id_]

    async def logs(self, id_: str, lines: int) -> str:
        self._known(id_)
        return "".join(self.printed.splitlines(keepends=True)[-lines:])

    async def stats(self, id_: str) -> Mapping[str, object]:
        return {"pids_stats": {"current": 1}} if self._known(id_).running else {}

    def _made(self, old: Container, plan: Plan, name: str) -> str:
        reference = plan.image or old.image
        image = self.images.get(reference)
        if image is None:
            raise ActionError(f"cannot create {name}: No such image: {reference}")
        new = f"{len(self.acts):x}".rjust(64, "f")
        self.containers[new] = replace(
            old, id=new, name=name, image=reference, image_id=image.id, exit_code=0
        )
        return new

    def _known(self, id_: str) -> Container:
        if id_ not in self.containers:
            raise ActionError(f"there is no container {id_[:12]}; somebody may have removed it")
        return self.containers[id_]

    def _act(self, verb: str, container: Container, how: str = "") -> None:
        self.acts.append(f"{verb} {container.name}{how}")
        self._heed(verb, container)

    def _heed(self, verb: str, container: Container) -> None:
        refusal = self.refuses.pop(verb, None)
        if refusal is not None:
            raise ActionError(f"cannot {verb} {container.name}: {refusal}")


@dataclass(slots=True)
class FakeRouter:
    """Settles at once but where ``answers`` has something else for a target's name.

    ``asked`` are the questions, in order: a name, with ``+`` where it was to be routed.
    """

    answers: dict[str, bool | Unseen] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def settles(self, target: Target, routed: bool, timeout: float) -> bool | Unseen:  # noqa: ARG002
        self.asked.append(f"+{target.name}" if routed else target.name)
        return self.answers.get(target.name, True)


@dataclass(slots=True)
class FakeTraffic:
    """Tells the numbers of ``counts``, one after another, then that nothing is in flight."""

    counts: list[int | Unseen] = field(default_factory=list)

    async def in_flight(self, target: Target, within: float) -> AsyncIterator[int | Unseen]:  # noqa: ARG002
        while True:
            yield self.counts.pop(0) if self.counts else 0
            await asyncio.sleep(0)


@dataclass(slots=True)
class FakeRecorder:
    """Keeps all that is recorded. ``evidence`` is what is preserved of everybody."""

    steps: list[Step] = field(default_factory=list)
    evidence: Evidence = field(default_factory=dict)

    def record(self, step: Step) -> None:
        self.steps.append(step)

    async def preserve(self, target: Target, act: str) -> Evidence:  # noqa: ARG002
        return self.evidence
