"""Builds reports as the watcher does: real checks judge facts, real timelines fold them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from healthagent.checks import CHECKS
from healthagent.core.action import Outcome, Step
from healthagent.core.attribution import Ledger
from healthagent.core.budget import budget
from healthagent.core.check import Check
from healthagent.core.exits import Exits
from healthagent.core.notice import Notice
from healthagent.core.observation import (
    Backend,
    ContainerState,
    Database,
    DatabaseDown,
    DatabaseSession,
    Fact,
    Fleet,
    Livez,
    Observation,
    Process,
    ProcessTree,
    Readyz,
    ServerLimits,
    Unseen,
)
from healthagent.core.report import Report, Subject, assess
from healthagent.core.target import DatabaseRef, Pools, Target
from healthagent.core.timeline import Timeline

NOW = 1_767_323_045.678  # 2026-01-02T03:04:05.678Z
RESTARTED = Step(NOW, "5f0c", "restart", "supervisor", "app", "app-1", Outcome.DONE, "ready again")
Facts = dict[type[Fact], Fact | Unseen]
DATABASE = DatabaseRef("postgres", 5432, "shop")


@dataclass(frozen=True)
class Replica:
    """A target, the facts that differ from those of a healthy one, and how its start went."""

    target: Target
    facts: Facts = field(default_factory=dict)
    grace_until: float = 0.0
    looked_at: bool = True
    ran_before: bool = False

    def but(self, **changes: Any) -> Replica:
        """The same replica with other declarations."""
        return replace(self, target=replace(self.target, **changes))

    def seen(self, *facts: Fact) -> Replica:
        """The same replica with other facts."""
        return replace(self, facts={**self.facts, **{type(fact): fact for fact in facts}})


class World:
    """What a test says of the world; the rest is a healthy Bun app with a database."""

    def replica(self, name: str, service: str = "app", number: int | None = None) -> Replica:
        number = int(name.rpartition("-")[2]) if number is None else number
        return Replica(
            Target(
                id=f"{number:04x}" * 16,
                name=name,
                service=service,
                address=f"10.0.0.{number}",
                addresses=(f"10.0.0.{number}",),
                port=3000,
                pools=Pools(5, 3),
                database=DATABASE,
                origins={"port": "EXPOSE", "runtime": "label"},
            )
        )

    def frozen(self, name: str, service: str = "app") -> Replica:
        """A replica whose process was stopped by SIGSTOP."""
        return self.replica(name, service).seen(
            ProcessTree((_bun("T"),)), Livez("/livez", None, 0.8, "timeout")
        )

    def refusing(self, name: str, body: str = "warming up") -> Replica:
        """A replica whose own /readyz says no."""
        return self.replica(name).seen(Readyz("/readyz", 503, 0.002, "", body))

    def without_database(self, name: str) -> Replica:
        """A replica whose own /readyz says no, since nothing listens where its database was."""
        down = DatabaseSession(DatabaseDown(DATABASE, "refused", "", 0.001))
        return self.refusing(name, "database: ECONNREFUSED").seen(down)

    def report(
        self,
        *replicas: Replica,
        at: float = NOW,
        settled: bool = True,
        notices: tuple[Notice, ...] = (),
    ) -> Report:
        targets = tuple(replica.target for replica in replicas)
        database = _database(targets)
        services = assess([_subject(r, targets, database, at) for r in replicas], CHECKS, at)
        sharing = tuple(target for target in targets if target.database)
        ledger = Ledger(database, sharing)
        budgets = (budget(ledger, ledger.owners({})),) if sharing else ()
        return Report(at, settled, services, budgets, notices)


def _subject(replica: Replica, fleet: tuple[Target, ...], database: Database, at: float) -> Subject:
    healthy: Facts = {
        ContainerState: ContainerState("running", pid=100, health="healthy"),
        ProcessTree: ProcessTree((_bun("S"),), cpu=0.01),
        Exits: Exits(at),
        Livez: Livez("/livez", 200, 0.0012),
        Readyz: Readyz("/readyz", 200, 0.0034),
        DatabaseSession: DatabaseSession(database),
        Fleet: Fleet(fleet),
    }
    facts = {**healthy, **replica.facts}
    timelines = {
        check.name: _timeline(replica, check, healthy, facts, at)
        for check in CHECKS
        if check.applies(replica.target)
    }
    container = facts[ContainerState]
    return Subject(
        replica.target,
        timelines,
        replica.grace_until,
        container if isinstance(container, ContainerState) else None,
        ran_before=replica.ran_before,
    )


def _timeline(replica: Replica, check: Check, healthy: Facts, facts: Facts, at: float) -> Timeline:
    """A minute in health, then as many looks at what is as it takes to believe it."""
    target, timeline = replica.target, Timeline()
    if not replica.looked_at:
        return timeline
    if not replica.grace_until:
        well = check.judge(Observation(target, healthy))
        timeline = timeline.fold(well, at - 60, target.timing)
    verdict = check.judge(Observation(target, facts))
    for _ in range(target.timing.fall):
        timeline = timeline.fold(verdict, at, target.timing)
    return timeline


def _bun(state: str) -> Process:
    return Process(100, 1, 1, "bun", ("bun", "build/index.js"), state, catches_sigterm=True)


def _database(targets: tuple[Target, ...]) -> Database:
    agent = Backend(1, "healthagent", "shop", "healthagent", "10.0.0.250", 40000)
    backends = [agent]
    for index, target in enumerate(targets):
        name = f"dbos_transact_{target.name}_1.0.0"
        dbos = Backend(10 * index + 10, "app", "shop", name, target.address, 41000)
        prisma = Backend(10 * index + 11, "app", "shop", "prisma", target.address, 41001)
        backends += [replace(dbos, idle_for=0.2, listens_dbos=True), prisma]
    return Database(DATABASE, 0.002, 1, "healthagent", ServerLimits(40, 3), tuple(backends))
