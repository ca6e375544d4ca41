"""Reports as the supervisor reads them: real checks judge facts, real timelines fold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from healthagent.core.exits import End, Exits
from healthagent.core.observation import (
    ContainerState,
    DatabaseDown,
    DatabaseSession,
    Livez,
    Process,
    ProcessTree,
)
from healthagent.core.report import CheckReport, Report, TargetReport
from healthagent.core.rotation import Drain
from healthagent.core.verdict import unknown
from healthagent.supervisor.memory import Memory
from tests.unit.surfaces.world import DATABASE, NOW, Replica, World

WORLD = World()
SILENT = Livez("/livez", None, 0.8, "timeout")
LONG_AGO = 120.0


def process(state: str, comm: str = "bun", pid: int = 100) -> Process:
    return Process(pid, 1, 1, comm, (comm, "build/index.js"), state, catches_sigterm=True, age=99.0)


def well(name: str, service: str = "app", supervise: str = "restart") -> Replica:
    return WORLD.replica(name, service).but(supervise=supervise)


def frozen(name: str, service: str = "app", supervise: str = "restart") -> Replica:
    return WORLD.frozen(name, service).but(supervise=supervise)


def blocked(name: str, service: str = "app", supervise: str = "restart") -> Replica:
    """Its event loop is in synchronous code that does not return."""
    tree = ProcessTree((process("R"),), cpu=0.99)
    return well(name, service, supervise).seen(tree, SILENT)


def down(name: str, exit_code: int, *, asked: bool, status: str = "exited") -> Replica:
    """A container that does not run, and whether somebody asked Docker to stop it."""
    state = ContainerState(
        status,  # type: ignore[arg-type]
        exit_code=exit_code,
        finished_at=NOW - LONG_AGO,
    )
    ends = Exits(NOW, (End(NOW - LONG_AGO, exit_code, asked, ran_for=500.0),), final=asked)
    return well(name).seen(state, ends, Livez("/livez", None, 0.0, "refused"))


def being_stopped(replica: Replica, ago: float) -> Replica:
    """Somebody sent it a signal to end through Docker, so many seconds ago."""
    return replica.seen(Exits(NOW, stopping=NOW - ago))


def crashing(name: str) -> Replica:
    """It happens to run, between two of its crashes."""
    ends = tuple(End(NOW - ago, 1, asked=False, ran_for=2.0) for ago in (9.0, 6.0, 3.0))
    state = ContainerState("running", pid=100, restart_count=3, started_at=NOW - 2.0)
    return well(name).seen(state, Exits(NOW, ends), SILENT, ProcessTree((process("R"),), cpu=0.9))


def paused(name: str) -> Replica:
    return well(name).seen(ContainerState("paused", pid=100), SILENT)


def running(name: str, tree: ProcessTree) -> Replica:
    return well(name).seen(tree, SILENT)


def without_database(replica: Replica) -> Replica:
    gone = DatabaseDown(DATABASE, "refused", "connection refused", 0.001)
    return replace(replica, facts={**replica.facts, DatabaseSession: DatabaseSession(gone)})


def starting(replica: Replica) -> Replica:
    return replace(replica, grace_until=NOW + 1000.0, looked_at=False)


def report(*replicas: Replica, at: float = NOW, settled: bool = True) -> Report:
    return WORLD.report(*replicas, at=at, settled=settled)


def drained(seen: Report, name: str, drain: Drain) -> Report:
    return _but(seen, name, lambda target: replace(target, drain=drain))


def stale(seen: Report, name: str) -> Report:
    """Nothing new was seen of a replica for so long that how it is reads unknown; what routing
    keeps to is what was known last."""

    def unseen(check: CheckReport) -> CheckReport:
        return check._replace(shown=unknown("stale", ""))

    return _but(seen, name, lambda t: replace(t, checks=tuple(map(unseen, t.checks))))


def untold(seen: Report, name: str) -> Report:
    """Docker does not tell how a replica's container is."""
    return _but(seen, name, lambda target: replace(target, container=None))


def _but(seen: Report, name: str, change: Callable[[TargetReport], TargetReport]) -> Report:
    def one(target: TargetReport) -> TargetReport:
        return change(target) if target.target.name == name else target

    return replace(
        seen,
        services=tuple(
            replace(service, targets=tuple(map(one, service.targets))) for service in seen.services
        ),
    )


def since(seen: Report, ago: float = LONG_AGO, names: Iterable[str] | None = None) -> Memory:
    """A memory of the dead as dead for ``ago`` seconds; those not named fell long before."""
    wanted = None if names is None else set(names)
    return Memory(
        {
            target.target.id: seen.at
            - (ago if wanted is None or target.target.name in wanted else 50 * LONG_AGO)
            for target in seen.targets
            if not target.live
        }
    )
