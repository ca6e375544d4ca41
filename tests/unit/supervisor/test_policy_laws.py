"""What holds whatever the reports say, one after another."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from healthagent.core.check import Check, Group, Witness
from healthagent.core.observation import ContainerState
from healthagent.core.report import CheckReport, Report, ServiceReport, TargetReport
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.core.timeline import Timeline
from healthagent.core.verdict import Status, ok, unknown
from healthagent.core.verdict import failed as failed_for
from healthagent.supervisor.company import AT_ONCE
from healthagent.supervisor.guards import Limits
from healthagent.supervisor.memory import HOUR, Memory, Past
from healthagent.supervisor.policy import Choice, Decision, decide, spared

DEEDS = settings(max_examples=150)
BY_HAND = Drain("alice", "", 0.0, lasting=True)
BLOCKED, GONE = failed_for("blocked", ""), unknown("stale", "")
LIMITS = Limits(patience=5.0, most=3)

STATES = ["ready", "dead", "not ready", "stale", "down", "starting"]
first = st.sampled_from(["dead"] * 12 + STATES)
"""The first replica of a service is mostly dead, so that it is restarted often."""

others = st.sampled_from(["ready"] * 6 + ["dead"] * 4 + STATES)

rarely = st.integers(0, 19).map(lambda number: number == 0)


@dataclass(frozen=True)
class Look:
    """What a report says of one replica."""

    service: str
    number: int
    state: str
    quorum: int
    label: str
    drained: bool

    def told(self, database: bool) -> TargetReport:
        name = f"{self.service}-{self.number}"
        target = Target(name, name, self.service, supervise=self.label, quorum=self.quorum)  # type: ignore[arg-type]
        dead = self.state in ("dead", "stale", "down")
        checks = (
            _check("event_loop", Group.LIVENESS, failed=dead, stale=self.state == "stale"),
            _check("http", Group.READINESS, failed=dead or self.state == "not ready"),
            _check("postgres", Group.READINESS, failed=not database, shared=True),
        )
        return TargetReport(
            target,
            checks,
            starting=self.state == "starting",
            container=ContainerState("exited" if self.state == "down" else "running"),
            drain=BY_HAND if self.drained else None,
        )


def _check(
    name: str, group: Group, *, failed: bool, stale: bool = False, shared: bool = False
) -> CheckReport:
    witness = Witness.AGENT if shared else Witness.REPLICA
    check = Check(name, frozenset({group}), witness, (), lambda _: True, lambda _: GONE, shared)
    standing = BLOCKED if failed else ok()
    shown = GONE if stale else standing
    return CheckReport(check, Timeline(standing), shown, excused=shared and failed)


@st.composite
def reports(draw: st.DrawFn) -> list[tuple[float, Report, bool]]:
    """Reports one after another: how many seconds later, what is seen, whether an act that goes on
    has come to its end."""
    fleet = [
        (service, number, draw(st.integers(1, 2)), "observe" if draw(rarely) else "restart")
        for service in ("app", "web")[: draw(st.integers(1, 2))]
        for number in range(draw(st.integers(1, 4)))
    ]
    found = []
    for _ in range(draw(st.integers(1, 25))):
        database = not draw(rarely)
        told = [
            Look(
                service, number, draw(others if number else first), quorum, label, draw(rarely)
            ).told(database)
            for service, number, quorum, label in fleet
        ]
        services = tuple(
            ServiceReport(name, tuple(t for t in told if t.target.service == name))
            for name in dict.fromkeys(t.target.service for t in told)
        )
        settled = not draw(rarely)
        seconds = draw(st.sampled_from([1.0, 3.0, 10.0, 100.0, 100.0, 300.0]))
        found.append((seconds, Report(0.0, settled, services), draw(st.booleans())))
    return found


@DEEDS
@given(reports())
def test_no_restart_is_regretted(told: list[tuple[float, Report, bool]]) -> None:
    memory, now, going_on = Memory(), 0.0, dict[str, str]()
    made: list[tuple[float, str]] = []
    for seconds, seen, ends in told:
        now += seconds
        report = replace(seen, at=now)
        if ends:
            going_on.clear()
        memory = memory.after(report)
        decisions = decide(report, memory, going_on.keys(), LIMITS)
        acts = [each for each in decisions if each.choice is Choice.ACT]
        for act in acts:
            target = act.replica.target
            assert target.service not in going_on, "two of one service at once"
            _assert_right(act, report, memory)
            going_on[target.service] = target.name
            memory = memory.restarting(target.name, Past(now))
            made.append((now, target.name))
    for at, name in made:
        within = [other for when, other in made if other == name and at - HOUR < when <= at]
        assert len(within) <= LIMITS.most, "over the cap"


def _assert_right(act: Decision, report: Report, memory: Memory) -> None:
    replica, target = act.replica, act.replica.target
    service = next(each for each in report.services if each.name == target.service)
    assert report.settled
    assert target.supervise == "restart", "without the label"
    assert not replica.live and not replica.ready and not replica.starting
    assert all(check.status is not Status.UNKNOWN for check in replica.checks), "unknown"
    assert replica.container is not None and replica.container.status == "running"
    assert replica.drain is None, "a person is at work on it"
    assert report.at - memory.fell[target.id] >= LIMITS.patience
    assert all(check.holds is not Status.FAILED for check in replica.checks if check.shared)
    others = [each for each in service.targets if each is not replica]
    fallen = [
        each
        for each in others
        if not each.live
        and each.container is not None
        and each.container.status == "running"
        and abs(memory.fell[each.target.id] - memory.fell[target.id]) <= AT_ONCE
    ]
    assert service.has_quorum or not fallen, "below its quorum, and not alone"
    assert len(service.ready) == len([each for each in others if each.ready]), (
        "a restart takes no replica from those that serve"
    )
    assert spared(report, memory, target.name) == "", "what is asked last agrees with it"
