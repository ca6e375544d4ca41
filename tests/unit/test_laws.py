"""The laws that no check and no fold may break, one test or more for each, by its name."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from healthagent.checks import CHECKS
from healthagent.core.check import Check, Group, Witness
from healthagent.core.exits import Exits
from healthagent.core.observation import (
    ContainerState,
    DatabaseSession,
    Fact,
    Fleet,
    Livez,
    Observation,
    ProcessTree,
    Unseen,
)
from healthagent.core.report import Subject, assess
from healthagent.core.target import DatabaseRef, Pools, Target, Timing
from healthagent.core.timeline import Timeline
from healthagent.core.verdict import Status, Verdict, failed, ok
from tests.unit.observations import FACTS, PARTS, observations, sessions, targets, unseen

thorough = settings(suppress_health_check=list(HealthCheck))
"""No test is timed: a busy machine is no fault."""

LIVENESS = [check for check in CHECKS if Group.LIVENESS in check.groups]
OF_THE_AGENT = [check for check in CHECKS if check.witness is Witness.AGENT]
OF_A_DATABASE = {"postgres", "pool", "dbos"}

verdicts = st.builds(
    Verdict,
    status=st.sampled_from(Status),
    code=st.sampled_from(["ok", "a", "b"]),
    reason=st.just("because"),
    evidence=st.just({}),
    conclusive=st.booleans(),
)
folds = st.lists(st.tuples(st.floats(0, 100), verdicts), max_size=20)
timings = st.builds(Timing, rise=st.integers(1, 3), fall=st.integers(1, 3))


def folded(steps: list[tuple[float, Verdict]], timing: Timing) -> Timeline:
    timeline, now = Timeline(), 0.0
    for passed, verdict in steps:
        now += passed
        timeline = timeline.fold(verdict, now, timing)
    return timeline


def judged(check: Check, seen: Observation) -> Verdict | None:
    """Its verdict where it applies; only what it asked for is there, as the watcher has it."""
    if not check.applies(seen.target):
        return None
    facts = {kind: fact for kind, fact in seen.facts.items() if kind in check.needs}
    return check.judge(Observation(seen.target, facts))


class TestNoObservationIsTooOdd:
    @thorough
    @given(observations())
    def test_no_check_ever_raises(self, seen: Observation) -> None:
        for check in CHECKS:
            judged(check, seen)

    @thorough
    @given(folds, timings, st.floats(0, 1e6))
    def test_no_timeline_ever_raises(
        self, steps: list[tuple[float, Verdict]], timing: Timing, later: float
    ) -> None:
        folded(steps, timing).read(later, timing)


class TestUnknownIsNotFailed:
    @thorough
    @given(targets, st.data())
    def test_what_could_not_be_seen_is_never_judged_failed(
        self, target: Target, data: st.DataObject
    ) -> None:
        for check in CHECKS:
            facts: dict[type[Fact], Fact | Unseen] = {k: data.draw(unseen) for k in check.needs}
            verdict = judged(check, Observation(target, facts))
            assert verdict is None or verdict.status is Status.UNKNOWN, check.name

    @thorough
    @given(folds, timings, st.integers(1, 9))
    def test_the_last_state_holds_while_nothing_new_is_seen(
        self, steps: list[tuple[float, Verdict]], timing: Timing, blind: int
    ) -> None:
        before = folded(steps, timing)
        unknown = Verdict(Status.UNKNOWN, "unseen", "the socket is gone")
        after = folded([*steps, *[(1.0, unknown)] * blind], timing)
        assert after.standing == before.standing
        assert after.ever_passed == before.ever_passed

    @thorough
    @given(folds, timings)
    def test_a_stale_state_reads_unknown(
        self, steps: list[tuple[float, Verdict]], timing: Timing
    ) -> None:
        timeline = folded(steps, timing)
        late = (timeline.known_at or 0.0) + timing.stale_after + 1
        assert timeline.read(late, timing).status in (Status.UNKNOWN, timeline.latest.status)
        if timeline.standing is not None:
            assert timeline.read(late, timing).status is Status.UNKNOWN


class TestLivenessNeverLooksPastTheProcess:
    def test_it_asks_for_nothing_but_the_process_and_its_own_word(self) -> None:
        own = {ContainerState, ProcessTree, Exits, Livez}
        for check in LIVENESS:
            assert set(check.needs) <= own, f"{check.name} looks past the process"

    def test_no_liveness_rests_on_the_agents_word_alone(self) -> None:
        assert {check.name for check in LIVENESS} & {c.name for c in OF_THE_AGENT} == set()


class TestASharedFailureIsNobodysFault:
    @thorough
    @given(observations(), sessions)
    def test_no_state_of_a_database_changes_a_verdict_on_liveness(
        self, seen: Observation, session: DatabaseSession
    ) -> None:
        other = Observation(seen.target, {**seen.facts, DatabaseSession: session})
        for check in LIVENESS:
            assert judged(check, seen) == judged(check, other), check.name

    @pytest.mark.parametrize("code", ["refused", "timeout", "exhausted", "name"])
    def test_with_its_database_down_every_replica_lives(self, code: str) -> None:
        (service,) = assess(
            [subject(n, postgres=failed(code, "down")) for n in (1, 2, 3)], CHECKS, 9
        )
        assert all(report.live for report in service.targets)


class TestEveryStateHasAReason:
    @thorough
    @given(observations())
    def test_what_is_not_ok_has_a_code_and_a_sentence(self, seen: Observation) -> None:
        for check in CHECKS:
            verdict = judged(check, seen)
            if verdict is not None and verdict.status is not Status.OK:
                assert verdict.code not in ("", "ok"), check.name
                assert verdict.reason.strip(), f"{check.name} {verdict.code} says nothing"


class TestNoCircles:
    @thorough
    @given(observations(), st.sampled_from(["healthy", "unhealthy", "starting", None]))
    def test_dockers_health_status_is_no_evidence(
        self, seen: Observation, health: str | None
    ) -> None:
        """It may rest on healthprobe, and that on the agent's own answer."""
        state = seen.facts.get(ContainerState)
        if isinstance(state, ContainerState):
            other = {**seen.facts, ContainerState: replace(state, health=health)}
            for check in CHECKS:
                assert judged(check, seen) == judged(check, Observation(seen.target, other))


class TestWhatIsNotDeclaredIsNotJudged:
    @thorough
    @given(targets)
    def test_a_replica_without_a_database_has_no_check_of_one(self, target: Target) -> None:
        applying = {c.name for c in CHECKS if c.applies(replace(target, database=None))}
        assert applying & OF_A_DATABASE == set()

    @thorough
    @given(targets)
    def test_nor_one_of_an_endpoint_a_pool_or_an_executor_that_it_lacks(
        self, target: Target
    ) -> None:
        bare = replace(target, livez=None, readyz=None, pools=Pools(), executor=None)
        applying = {c.name for c in CHECKS if c.applies(bare)}
        assert applying & {"event_loop", "http", "pool", "dbos"} == set()


class TestTheAgentIsNeverTheOutage:
    @pytest.mark.parametrize("check", [check.name for check in OF_THE_AGENT])
    def test_what_only_the_agent_sees_of_all_replicas_takes_nobody_out(self, check: str) -> None:
        seen = {check: failed("format_changed", "as of today nothing is as it was")}
        (service,) = assess([subject(n, **seen) for n in (1, 2, 3)], CHECKS, 9)
        assert [report.ready for report in service.targets] == [True] * 3
        assert all(report.reason for report in service.targets), "it is loud"

    @pytest.mark.parametrize("check", [c.name for c in OF_THE_AGENT if not c.shared])
    def test_it_takes_one_out_while_the_service_keeps_its_quorum(self, check: str) -> None:
        sick = subject(1, **{check: failed("shared_id", "two have one id")})
        (service,) = assess([sick, subject(2), subject(3)], CHECKS, 9)
        assert [report.ready for report in service.targets] == [False, True, True]

    def test_what_a_replica_says_itself_counts_for_all_of_them(self) -> None:
        (service,) = assess([subject(n, http=failed("status", "503")) for n in (1, 2)], CHECKS, 9)
        assert not service.ready

    @thorough
    @given(observations())
    def test_pool_and_identity_only_degrade_unless_more_is_asked_for(
        self, seen: Observation
    ) -> None:
        mild = Observation(replace(seen.target, enforce=frozenset()), seen.facts)
        for check in CHECKS:
            verdict = judged(check, mild)
            if check.name == "pool" and verdict is not None:
                assert verdict.status is not Status.FAILED
            if check.name == "dbos" and verdict is not None and verdict.status is Status.FAILED:
                assert verdict.code in ("not_registered", "stale")


def subject(number: int, **seen: Verdict) -> Subject:
    """A container that passed all checks, then came to the given verdicts, and was believed."""
    target = Target(
        id=f"{number:x}" * 64,
        name=f"app-{number}",
        service="app",
        address=f"172.20.0.{number}",
        addresses=(f"172.20.0.{number}",),
        port=3000,
        pools=Pools(5, 3),
        database=DatabaseRef("db", 5432, "shop"),
        executor=f"app-{number}",
        quorum=2,
    )
    timelines = {
        check.name: folded(
            [(1.0, ok()), *[(1.0, seen.get(check.name, ok()))] * target.timing.fall], target.timing
        )
        for check in CHECKS
    }
    return Subject(target, timelines, grace_until=0.0, container=ContainerState("running"))


def test_the_properties_above_are_tried_with_every_kind_of_fact() -> None:
    needed = {kind for check in CHECKS for kind in check.needs}
    assert needed <= FACTS.keys(), "give the new fact a strategy in FACTS"
    assert Fleet in FACTS


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, each.name) for kind in PARTS for each in fields(kind) if each.default is not MISSING],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_and_with_every_field_that_may_be_left_out(kind: type, name: str) -> None:
    (default,) = (each.default for each in fields(kind) if each.name == name)
    generated = settings(thorough, phases=[Phase.generate], database=None, derandomize=True)
    find(PARTS[kind], lambda made: getattr(made, name) != default, settings=generated)
