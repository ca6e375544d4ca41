"""``python -m benchmarks.judge``: what it takes to judge a thousand replicas, and to keep them.

Judging is pure, so nothing is started here: the facts are those of healthy replicas, of which two
in a hundred are stopped, on one server. A round is all that comes after the facts: every check of
every replica, its timeline, and the report on all of them. Time is of the fastest of several rounds
on one core, which no other program's burst moves. Memory is what stays allocated when the facts of
a new round have replaced the old ones: declarations, newest facts, timelines and the report, as
tracemalloc counts them. The last line of stdout is one JSON object. Exit code 0: the promise holds,
which is under 50 ms for 1 000 replicas and under 20 kB for each. 1: it does not.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from healthagent.checks import CHECKS
from healthagent.core.check import Check
from healthagent.core.exits import Exits
from healthagent.core.observation import (
    Backend,
    ClientPorts,
    ContainerState,
    Database,
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
from healthagent.core.report import ServiceReport, Subject, assess
from healthagent.core.target import DatabaseRef, Pools, Target
from healthagent.core.timeline import Timeline

_TARGETS: Final = 1000
_MS: Final = 50.0
_BYTES: Final = 20_000
_ROUNDS: Final = 15
_SICK: Final = 50
"""Every so many replicas one is stopped."""
_SERVICE: Final = 50
"""Replicas of one service."""
_DATABASE: Final = DatabaseRef("postgres", 5432, "app")

Facts = Mapping[type[Fact], Fact | Unseen]


@dataclass(slots=True)
class Kept:
    """What there is of one replica from round to round, as the watcher keeps it."""

    target: Target
    checks: tuple[Check, ...]
    timelines: dict[str, Timeline]
    facts: Facts = field(default_factory=dict)


def main() -> int:
    options = _options()
    taken = min(_times(options.targets))
    held = _bytes_per_target(options.targets)
    print(f"{options.targets} replicas, {len(CHECKS)} checks each")
    print(f"  a round of judging: {taken:.1f} ms; the promise is less than {_MS:g}")
    print(f"  kept for a replica: {held} bytes; the promise is less than {_BYTES}")
    print(json.dumps({"targets": options.targets, "ms": round(taken, 1), "bytes_per_target": held}))
    return 0 if taken < _MS and held < _BYTES else 1


def _times(count: int) -> Iterator[float]:
    """Milliseconds of CPU that each round took, with the garbage collector off, as timeit does."""
    fleet = _fleet(count)
    for number in range(1, _ROUNDS + 1):
        _look(fleet, number)
        gc.collect()
        gc.disable()
        begun = time.process_time()
        judge(fleet, at=float(number))
        yield (time.process_time() - begun) * 1000
        gc.enable()


def _bytes_per_target(count: int) -> int:
    """What is allocated for each replica after a few rounds. What all share counts in parts."""
    gc.collect()
    tracemalloc.start()
    try:
        fleet = _fleet(count)
        for number in range(1, 4):
            _look(fleet, number)
            services = judge(fleet, at=float(number))
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(service.targets) for service in services) == len(fleet)
    return held // count


def judge(fleet: list[Kept], at: float) -> tuple[ServiceReport, ...]:
    """One round: verdicts, timelines, and the picture as a whole."""
    for kept in fleet:
        seen = Observation(kept.target, kept.facts)
        for check in kept.checks:
            timeline = kept.timelines[check.name]
            kept.timelines[check.name] = timeline.fold(check.judge(seen), at, kept.target.timing)
    subjects = [Subject(kept.target, kept.timelines, grace_until=0.0) for kept in fleet]
    return assess(subjects, CHECKS, at)


def _look(fleet: list[Kept], number: int) -> None:
    """Put the facts of a new round in the place of the old."""
    for kept, facts in zip(fleet, _seen(fleet, number), strict=True):
        kept.facts = facts


def _fleet(count: int) -> list[Kept]:
    found = []
    for number in range(count):
        target = _target(number)
        checks = tuple(check for check in CHECKS if check.applies(target))
        found.append(Kept(target, checks, {check.name: Timeline() for check in checks}))
    return found


def _target(number: int) -> Target:
    name = f"stack-app{number // _SERVICE}-{number % _SERVICE + 1}"
    address = f"10.1.{number // 250}.{number % 250 + 2}"
    return Target(
        id=f"{number:064x}",
        name=name,
        service=f"app{number // _SERVICE}",
        address=address,
        addresses=(address,),
        port=3000,
        pools=Pools(prisma=5, dbos=3),
        database=_DATABASE,
        executor=name,
        origins={key: f"label healthagent.{key}" for key in ("port", "pool.prisma", "pool.dbos")},
    )


def _seen(fleet: list[Kept], number: int) -> list[Facts]:
    """The facts of a round, made anew as sources make them; one server's are one fact for all."""
    shared: dict[type[Fact], Fact | Unseen] = {
        Fleet: Fleet(tuple(kept.target for kept in fleet)),
        DatabaseSession: _session(fleet),
    }
    return [{**shared, **_own(place, number)} for place in range(len(fleet))]


def _own(place: int, number: int) -> dict[type[Fact], Fact | Unseen]:
    """What was seen of one replica alone. The stopped ones are so from the second round on."""
    stopped = place % _SICK == 0 and number > 1
    pid = 10_000 + place
    app = Process(
        pid, 1, 1, "bun", ("bun", "src/main.ts"), "T" if stopped else "S", True, 60.0 + number
    )
    took = 0.002 + place % 7 / 1000
    return {
        ContainerState: ContainerState("running", pid, started_at=1.0 + place),
        Exits: Exits(at=float(number)),
        ProcessTree: ProcessTree((app,), cpu=0.01, accept_queue={3000: int(stopped)}),
        Livez: Livez("/livez", None, 0.8, "timeout") if stopped else Livez("/livez", 200, took),
        Readyz: Readyz("/readyz", None, 0.8, "timeout")
        if stopped
        else Readyz("/readyz", 200, took),
        ClientPorts: ClientPorts(frozenset(range(40_000, 40_006))),
    }


def _session(fleet: list[Kept]) -> DatabaseSession:
    """Six backends of each replica, four of them its DBOS executor's or its pool's at rest."""
    backends = tuple(
        Backend(
            pid=100 + 6 * place + part,
            role="app",
            database=_DATABASE.name,
            application=f"dbos_transact_{kept.target.executor}_1.0.0" if part < 3 else "prisma",
            client_address=kept.target.address,
            client_port=40_000 + part,
            idle_for=0.3,
            listens_dbos=part == 0,
        )
        for place, kept in enumerate(fleet)
        for part in range(6)
    )
    limits = ServerLimits(max_connections=10 * len(fleet), superuser_reserved=3)
    return DatabaseSession(Database(_DATABASE, 0.002, 99, "healthagent", limits, backends))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--targets", type=_count, default=_TARGETS, metavar="N", help="(%(default)d)"
    )
    return parser.parse_args()


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 20_000:
        raise argparse.ArgumentTypeError("must be from 1 to 20000")
    return count


if __name__ == "__main__":
    sys.exit(main())
