"""Replicas on which acts are played: a runtime without an Engine, and a watcher that reports what
becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from healthagent.core.action import Plan, Step
from healthagent.core.observation import ContainerState, Unseen
from healthagent.core.report import Report
from healthagent.core.target import Target
from healthagent.supervisor import Drains, ReplicaOperations
from healthagent.supervisor.fake import FakeRecorder, FakeRouter, FakeRuntime, FakeTraffic
from healthagent.supervisor.ports import Container, Image
from tests.unit.supervisor.scenes import WORLD, drained, frozen, starting
from tests.unit.surfaces.world import NOW, Replica

IMAGE = "shop:1"
AMPLE = 20.0


@dataclass(slots=True)
class Stage:
    """``sick`` are names of replicas that are frozen, ``stillborn`` images, by name or id, whose
    containers never get ready. Nothing takes any time but for the turns of the event loop."""

    quorum: int = 1
    grace: float = 30.0
    sick: set[str] = field(default_factory=set)
    stillborn: set[str] = field(default_factory=set)
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    router: FakeRouter = field(default_factory=FakeRouter)
    traffic: FakeTraffic = field(default_factory=FakeTraffic)
    recorder: FakeRecorder = field(default_factory=FakeRecorder)
    drains: Drains = field(default_factory=Drains)
    settled: bool = True
    """Whether the agent has judged all of them."""
    lowest: int = 99
    """The fewest replicas that were ever ready."""
    _reported: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, *names: str, **fields: object) -> None:
        """Add replicas that run."""
        self.runtime.images.setdefault("shop:2", Image("sha256:two"))
        for name in names:
            number = int(name.rpartition("-")[2])
            container = Container(f"{number:04x}" * 16, name, IMAGE, "sha256:one")
            self.runtime.put(replace(container, **fields))  # type: ignore[arg-type]

    def report(self) -> Report:
        replicas = [self._replica(c) for c in self.runtime.containers.values()]
        if not self.settled:
            replicas = [replace(replica, looked_at=False) for replica in replicas]
        seen = WORLD.report(*replicas, settled=self.settled)
        for container in self.runtime.containers.values():
            if (drain := self.drains[container.id]) is not None:
                seen = drained(seen, container.name, drain)
        return seen

    def _replica(self, container: Container) -> Replica:
        number = int(container.name.rpartition("-")[2])
        replica = WORLD.replica(container.name, number=number)
        if container.name in self.sick:
            replica = frozen(container.name)
        timing = replace(replica.target.timing, grace=self.grace)
        replica = replica.but(id=container.id, quorum=self.quorum, timing=timing)
        if not container.running:
            return replica.seen(ContainerState("exited", started_at=self._life(container)))
        state = ContainerState("running", pid=100, started_at=self._life(container))
        replica = replica.seen(state)
        never = {container.image, container.image_id} & self.stillborn
        return starting(replica) if never else replica

    def _life(self, container: Container) -> float:
        """Another one after each act that starts it."""
        begun = sum(
            act.split()[0] in ("restart", "start") and act.split()[1] == container.name
            for act in self.runtime.acts
        )
        return NOW - 500.0 + begun

    @asynccontextmanager
    async def played(self) -> AsyncIterator[ReplicaOperations]:
        """The operations on this stage, reported on again and again."""
        operations = ReplicaOperations(
            self.runtime, self.router, self.traffic, self.drains, self.recorder, patience=0.2
        )
        operations.publish(self.report(), ())
        watching = asyncio.create_task(self._watch(operations))
        try:
            yield operations
        finally:
            watching.cancel()
            await operations.aclose()

    async def reported(self) -> None:
        """Until all know of what is so now."""
        await self._reported.wait()

    async def _watch(self, operations: ReplicaOperations) -> None:
        while True:
            seen = self.report()
            self.lowest = min(self.lowest, len(seen.services[0].ready) if seen.services else 0)
            for surface in (self.drains, operations):
                surface.publish(seen, ())
            self._reported.set()
            self._reported = asyncio.Event()
            await asyncio.sleep(0.002)


class FailsMeanwhile(FakeRouter):
    """Whenever ``leaving`` leaves the router of this stage, ``other`` falls ill."""

    def __init__(self, stage: Stage, leaving: str, other: str, times: int = 99) -> None:
        super().__init__()
        self.stage = stage
        self.leaving = leaving
        self.other = other
        self.times = times

    async def settles(self, target: Target, routed: bool, timeout: float) -> bool | Unseen:
        if target.name == self.leaving and not routed and self.times:
            self.times -= 1
            self.stage.sick.add(self.other)
            await self.stage.reported()
        return await super().settles(target, routed, timeout)


async def steps(act: AsyncIterator[Step]) -> list[Step]:
    async with asyncio.timeout(AMPLE):
        return [step async for step in act]


def told(act: list[Step]) -> str:
    """All texts of an act, for a look and for a failure's message."""
    return "\n".join(f"{step.target} {step.outcome}: {step.text}" for step in act)


def plan(**fields: object) -> Plan:
    return Plan(**fields)  # type: ignore[arg-type]
