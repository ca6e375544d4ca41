"""When a dead replica is restarted, and each reason not to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import pytest

from healthagent.core.observation import ContainerState, ProcessTree
from healthagent.core.report import Report
from healthagent.core.rotation import Drain
from healthagent.core.transition import Transition
from healthagent.supervisor.guards import (
    BEING_STOPPED,
    FIRST_PAUSE,
    JITTER,
    OUTLIVED,
    REFUSALS,
    Guard,
    Limits,
    pause,
)
from healthagent.supervisor.memory import HOUR, Memory, Past, died
from healthagent.supervisor.policy import Choice, Decision, decide, spared
from healthagent.supervisor.supervise import SILENT
from tests.unit.supervisor.scenes import (
    LONG_AGO,
    being_stopped,
    blocked,
    crashing,
    down,
    drained,
    frozen,
    paused,
    process,
    report,
    running,
    since,
    stale,
    starting,
    untold,
    well,
    without_database,
)
from tests.unit.surfaces.world import NOW, Replica

BY_HAND = Drain("alice", "a new disk", NOW - 60, lasting=True)
ACT = (Choice.ACT, "restart")


@dataclass(frozen=True)
class Row:
    """A report in which ``app-2`` is dead, and what is decided about it."""

    name: str
    report: Report
    expected: tuple[Choice, str] | None
    fell: float | Memory = LONG_AGO
    restarts: tuple[Past, ...] = ()
    busy: frozenset[str] = frozenset()
    said: str = ""
    limits: Limits = field(default_factory=Limits)

    @property
    def memory(self) -> Memory:
        memory = self.fell if isinstance(self.fell, Memory) else since(self.report, self.fell)
        return replace(memory, restarts={"app-2": self.restarts})


def refused(code: str) -> tuple[Choice, str]:
    return Choice.REFUSE, code


def waits(code: str) -> tuple[Choice, str]:
    return Choice.WAIT, code


def of(state: str, comm: str = "bun") -> Replica:
    one = replace(process(state, comm), waits=60.0 if state == "D" else None)
    return running("app-2", ProcessTree((one,)))


CALM = (well("app-1"), well("app-3"))
FROZEN = report(*CALM, frozen("app-2"))
PM2 = ProcessTree(
    (process("S", "PM2 v5.3.0: God"), replace(process("S", pid=101), ppid=100, ns_pid=2))
)
STOPPING = report(*CALM, being_stopped(frozen("app-2"), ago=3.0))
QUORUM_2 = tuple(
    replica.but(quorum=2)
    for replica in (frozen("app-1", supervise="observe"), frozen("app-2"), well("app-3"))
)

ROWS = (
    # What is done
    Row("stopped", FROZEN, ACT, said="pid 100 is stopped"),
    Row("blocked", report(*CALM, blocked("app-2")), ACT, said="event_loop blocked"),
    Row("deadlocked", report(*CALM, of("S")), ACT, said="event_loop deadlocked"),
    Row("the only replica", report(frozen("app-2")), ACT),
    Row("the other was put down", report(down("app-1", 143, asked=True), frozen("app-2")), ACT),
    Row(
        "another service was put down at that moment",
        report(*CALM, frozen("app-2"), down("worker-4", 0, asked=True).but(service="worker")),
        ACT,
    ),
    Row("the other starts", report(starting(well("app-1")), frozen("app-2")), ACT),
    Row("dead for as long as is waited for", FROZEN, ACT, fell=5.0),
    Row("the pause is over", FROZEN, ACT, restarts=(Past(NOW - 1.3 * FIRST_PAUSE, 1.0),)),
    Row("the hour is over", FROZEN, ACT, restarts=tuple(Past(NOW - HOUR) for _ in range(9))),
    Row(
        "below its quorum, and the other fell long before",
        report(*QUORUM_2),
        ACT,
        fell=since(report(*QUORUM_2), names=["app-2"]),
    ),
    Row(
        "below its quorum, and the other was dead in an earlier life of the agent",
        report(*QUORUM_2),
        ACT,
        fell=replace(
            since(report(*QUORUM_2)), died={frozen("app-1").target.id: NOW - 50 * LONG_AGO}
        ),
    ),
    Row(
        "another service had its fault long before",
        report(frozen("db-1", "db"), *CALM, frozen("app-2")),
        ACT,
        fell=since(report(frozen("db-1", "db"), *CALM, frozen("app-2")), names=["app-2"]),
    ),
    Row(
        "an act of the agent's own left it drained",
        drained(FROZEN, "app-2", Drain("supervisor", "", NOW - 60)),
        ACT,
    ),
    Row(
        "it did not heed who wanted to stop it",
        report(*CALM, being_stopped(frozen("app-2"), ago=BEING_STOPPED)),
        ACT,
    ),
    # What is only said
    Row(
        "no label",
        report(*CALM, frozen("app-2", supervise="observe")),
        (Choice.OBSERVE, "observe"),
        said="pid 100 is stopped",
    ),
    # What is waited for
    Row("just fallen", FROZEN, waits("patience"), fell=4.0, said="dead for 4 s; 5 s"),
    Row(
        "just found, and dead in an earlier life of the agent",
        FROZEN,
        waits("patience"),
        fell=replace(since(FROZEN, 4.0), died={frozen("app-2").target.id: NOW - LONG_AGO}),
    ),
    Row(
        "looked at rarely",
        report(
            *CALM, frozen("app-2").but(timing=replace(frozen("app-2").target.timing, interval=10.0))
        ),
        waits("patience"),
        fell=29.0,
        said="30 s",
    ),
    Row(
        "restarted before",
        FROZEN,
        waits("backoff"),
        restarts=(Past(NOW - 1.2 * FIRST_PAUSE, 1.0),),
        said="in 0 s",
    ),
    Row(
        "restarted three times before",
        FROZEN,
        waits("backoff"),
        restarts=(Past(NOW - 900), Past(NOW - 500), Past(NOW - 39)),
        said="in 1 s",
    ),
    Row("a roll is on", FROZEN, waits("busy"), busy=frozenset({"app"}), said="has to end"),
    # What is refused
    Row(
        "static",
        report(*CALM, frozen("app-2").but(id="static:app-2", pid=100)),
        refused("static"),
        said="no container",
    ),
    Row("exited", report(*CALM, down("app-2", 1, asked=False)), refused("docker")),
    Row("stopped by hand", report(*CALM, down("app-2", 143, asked=True)), refused("docker")),
    Row(
        "waiting for Docker's restart",
        report(*CALM, down("app-2", 1, asked=False, status="restarting")),
        refused("docker"),
    ),
    Row("crash loop", report(*CALM, crashing("app-2")), refused("docker"), said="ended 3 times"),
    Row("somebody is stopping it", STOPPING, refused("docker"), said="somebody is stopping it"),
    Row(
        "somebody is stopping it by a clock that is ahead",
        report(*CALM, being_stopped(frozen("app-2"), ago=-3.0)),
        refused("docker"),
    ),
    Row(
        "the agent itself is stopping it",
        STOPPING,
        waits("busy"),
        busy=frozenset({"app"}),
        said="has to end",
    ),
    Row("paused", report(*CALM, paused("app-2")), refused("paused"), said="docker unpause"),
    Row(
        "unknown",
        stale(FROZEN, "app-2"),
        refused("unknown"),
        said="unknown is not dead",
    ),
    Row(
        "dead, in a container of which Docker does not tell",
        untold(FROZEN, "app-2"),
        refused("unknown"),
        said="cannot be seen",
    ),
    Row("PM2", report(*CALM, running("app-2", PM2)), refused("hopeless"), said="PM2"),
    Row("not the runtime", report(*CALM, of("S", "python")), refused("hopeless")),
    Row("in the kernel", report(*CALM, of("D")), refused("uninterruptible"), said="state D"),
    Row(
        "drained by a person",
        drained(FROZEN, "app-2", BY_HAND),
        refused("drained"),
        said="drained by alice: a new disk",
    ),
    Row(
        "its database",
        report(*map(without_database, (*CALM, frozen("app-2")))),
        refused("database"),
        said="nothing listens",
    ),
    Row(
        "the database of another replica of its service",
        report(without_database(well("app-1")), frozen("app-2")),
        refused("database"),
    ),
    Row(
        "all replicas",
        report(blocked("app-1"), frozen("app-2"), frozen("app-3")),
        refused("service"),
        said="all 3 replicas of app are dead",
    ),
    Row(
        "all that run",
        report(down("app-1", 143, asked=True), frozen("app-2"), frozen("app-3")),
        refused("service"),
        said="all 2",
    ),
    Row(
        "all services",
        report(frozen("db-1", "db"), well("db-2", "db"), *CALM, frozen("app-2")),
        refused("host"),
        said="all 2 services",
    ),
    Row(
        "all services, and others of each live on",
        report(frozen("db-1", "db"), well("db-2", "db"), *CALM, frozen("app-2")),
        ACT,
        fell=OUTLIVED,
    ),
    Row(
        "all services, of which one has nobody left",
        report(frozen("db-1", "db"), *CALM, frozen("app-2")),
        refused("host"),
        fell=OUTLIVED,
    ),
    Row(
        "all services, of which one has but a replica that starts",
        report(frozen("db-1", "db"), starting(well("db-2", "db")), *CALM, frozen("app-2")),
        refused("host"),
        fell=OUTLIVED,
    ),
    Row(
        "all services that are meant to live",
        report(
            frozen("db-1", "db"),
            well("db-2", "db"),
            *CALM,
            frozen("app-2"),
            down("worker-4", 0, asked=True).but(service="worker"),
        ),
        refused("host"),
        said="all 2 services",
    ),
    Row(
        "quorum, both of an earlier life of the agent",
        report(*QUORUM_2),
        refused("quorum"),
        fell=replace(
            since(report(*QUORUM_2)),
            died={frozen(name).target.id: NOW - HOUR for name in ("app-1", "app-2")},
        ),
    ),
    Row("quorum", report(*QUORUM_2), refused("quorum"), said="(1 of 2)"),
    Row(
        "cap",
        FROZEN,
        refused("cap"),
        restarts=tuple(Past(NOW - ago) for ago in (3000.0, 2000.0, 1500.0, 1200.0, 900.0)),
        said="5 times within the hour",
    ),
    Row(
        "a cap of one",
        FROZEN,
        refused("cap"),
        restarts=(Past(NOW - 3000.0),),
        limits=Limits(most=1),
        said="once within the hour and it is dead: that does not help, and none is begun for 10 "
        "min",
    ),
    # Nothing to decide
    Row("it lives", report(*CALM, well("app-2")), None),
    Row("it starts", report(*CALM, starting(frozen("app-2"))), None),
    Row("the agent has just started", replace(FROZEN, settled=False), None),
)


def decided(row: Row) -> Decision | None:
    made = decide(row.report, row.memory, row.busy, row.limits)
    return next((each for each in made if each.replica.target.name == "app-2"), None)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_decided_about_a_replica(row: Row) -> None:
    made = decided(row)
    if row.expected is None:
        assert made is None
        return
    assert made is not None
    assert (made.choice, made.code) == row.expected, made.why
    assert row.said in made.why


def test_every_guard_has_a_row() -> None:
    shown = {row.expected[1] for row in ROWS if row.expected} - {"restart", "observe"}
    assert len(shown) == len(REFUSALS) + 1, "uninterruptible is asked together with hopeless"


def test_the_docs_name_every_guard_that_is_ever_said() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "supervision.md").read_text(encoding="utf-8")
    for code in get_args(Guard):
        assert code in SILENT or f"| `{code}` |" in docs, code


def test_two_of_one_service_are_never_restarted_at_once() -> None:
    seen = report(frozen("app-1"), frozen("app-2"), well("app-3"))
    made = decide(seen, since(seen))
    assert [each.code for each in made] == ["restart", "busy"]


def test_two_services_are_healed_side_by_side() -> None:
    seen = report(
        *CALM, frozen("app-2"), well("db-1", "db"), frozen("db-2", "db"), well("x-1", "x")
    )
    assert [each.code for each in decide(seen, since(seen))] == ["restart", "restart"]


def test_what_only_the_agent_sees_is_no_reason() -> None:
    """A frozen executor is seen in Postgres as well, which is the agent's word: it neither adds to
    the reason nor speaks against a restart."""
    made = decide(FROZEN, since(FROZEN))[0]
    assert "dbos" not in made.why and "postgres" not in made.why


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (FROZEN, ""),
        (report(*CALM, well("app-2")), "it lives again"),
        (report(*CALM), "it is not there any more"),
        (drained(FROZEN, "app-2", BY_HAND), "it is drained by alice: a new disk"),
        (report(frozen("app-1"), frozen("app-2"), frozen("app-3")), "all 3 replicas"),
        (STOPPING, "somebody is stopping it"),
    ],
    ids=["as it was", "back", "gone", "drained", "all", "stopping"],
)
def test_it_is_asked_again_before_the_stop(later: Report, said: str) -> None:
    why = spared(later, since(later), "app-2")
    assert why.startswith(said) and bool(why) == bool(said)


def test_pauses_double_and_end_somewhere() -> None:
    assert [pause(n, 0.0) for n in (1, 2, 3, 4)] == [10.0, 20.0, 40.0, 80.0]
    assert pause(50, 0.0) == 600.0
    assert pause(1, 1.0) == 10.0 * (1 + JITTER)
    assert pause(1, -1.0) == 10.0 * (1 - JITTER)


class TestMemory:
    def test_dead_since_the_first_report_that_says_so_without_a_break(self) -> None:
        memory = Memory().after(report(frozen("app-2"), at=NOW))
        memory = memory.after(report(blocked("app-2"), at=NOW + 3))
        assert list(memory.fell.values()) == [NOW], "dead in another way is dead all the same"
        assert memory.after(report(well("app-2"), at=NOW + 4)).fell == {}

    def test_restarts_are_forgotten_after_an_hour(self) -> None:
        memory = Memory().restarting("app-2", Past(NOW - HOUR + 1))
        memory = memory.restarting("app-2", Past(NOW))
        assert len(memory.after(report(at=NOW)).restarts["app-2"]) == 2
        assert memory.after(report(at=NOW + 2)).restarts["app-2"] == (Past(NOW),)
        assert memory.after(report(at=NOW + HOUR)).restarts == {}

    def test_a_clock_that_is_set_back_lets_nothing_lie_ahead(self) -> None:
        memory = Memory({}, {"app-2": (Past(NOW - 5, 0.5), Past(NOW))}).after(
            report(frozen("app-2"), at=NOW)
        )
        back = NOW - 7200.0
        memory = memory.after(report(frozen("app-2"), at=back))
        assert list(memory.fell.values()) == [back], "or it would be dead for less than nothing"
        assert memory.restarts == {"app-2": (Past(back, 0.5), Past(back))}, (
            "or the next would wait for the clock to catch up"
        )
        assert list(memory.after(report(frozen("app-2"), at=back + 9)).fell.values()) == [back]

    @pytest.mark.parametrize(
        ("seen", "holds"),
        [
            (frozen("app-2"), True),
            (starting(frozen("app-2")), True),
            (well("app-2"), False),
            (frozen("app-2").seen(ContainerState("running", pid=7, started_at=NOW - 5)), False),
        ],
        ids=["dead", "not judged yet", "alive", "started since"],
    )
    def test_a_death_of_an_earlier_life_holds_until_the_replica_is_known_to_have_lived(
        self, seen: Replica, holds: bool
    ) -> None:
        before = {seen.target.id: NOW - 60}
        assert Memory(died=before).after(report(seen)).died == (before if holds else {})

    def test_one_that_is_not_found_yet_is_not_known_to_have_lived(self) -> None:
        before = {frozen("app-2").target.id: NOW - 60}
        assert Memory(died=before).after(report(settled=False)).died == before

    def test_since_when_it_is_dead_is_told_by_all_lives_of_the_agent(self) -> None:
        first = [("ready", "not live")]
        again = [("absent", "starting"), ("starting", "unknown"), ("unknown", "not live")]
        assert self.died(*first, *again, *again) == 0
        assert self.died(*first, *again[:2]) == 0, "its end came before it saw more"
        assert self.died(*again) == 2

    def test_one_that_lived_or_was_started_since_died_later_if_at_all(self) -> None:
        assert self.died(("ready", "not live"), ("absent", "unknown"), ("unknown", "ready")) is None
        assert self.died(("ready", "not live"), ("not live", "absent")) is None
        again = [("not live", "starting"), ("starting", "not live")]
        assert self.died(("ready", "not live"), *again) == 2

    def died(self, *phases: tuple[str, str]) -> float | None:
        """When ``app-2`` died, by what each change was from and to, a second after one another."""
        target = frozen("app-2").target
        changes = [Transition(float(at), target, "", *each) for at, each in enumerate(phases)]
        return died(changes).get(target.id)

    def test_a_restart_that_was_not_made_does_not_count(self) -> None:
        memory = Memory().restarting("app-2", Past(NOW - 5)).restarting("app-2", Past(NOW))
        assert memory.spared("app-2").restarts == {"app-2": (Past(NOW - 5),)}
