"""The laws that need more than one check, kept where all timelines come together."""

from __future__ import annotations

from dataclasses import replace

from healthagent.core.check import Check, Group, Witness
from healthagent.core.observation import ContainerState
from healthagent.core.report import (
    Phase,
    ServiceReport,
    Subject,
    TargetReport,
    assess,
    blindness,
    is_judged,
    natural,
)
from healthagent.core.rotation import Drain
from healthagent.core.target import Target, Timing
from healthagent.core.timeline import Timeline
from healthagent.core.verdict import Verdict, conclusively_failed, degraded, failed, ok, unknown

NOW = 1000.0
SURE = Timing(rise=1, fall=1)
UNREACHABLE = unknown("unreachable", "no network in common")


def check(name: str, witness: Witness, *groups: Group, shared: bool = False) -> Check:
    return Check(name, frozenset(groups), witness, (), lambda _: True, lambda _: ok(), shared)


CHECKS = (
    check("process", Witness.REPLICA, Group.LIVENESS),
    check("http", Witness.REPLICA, Group.STARTUP, Group.READINESS),
    check("postgres", Witness.AGENT, Group.READINESS, shared=True),
    check("dbos", Witness.AGENT, Group.STARTUP, Group.READINESS),
)


def but(**verdicts: Verdict) -> dict[str, Verdict]:
    """The verdicts of some checks, where all others are ok."""
    return verdicts


def subject(
    name: str, verdicts: dict[str, Verdict] | None = None, quorum: int = 1, grace_until: float = 0.0
) -> Subject:
    """A replica of ``app`` whose checks reached these verdicts."""
    target = Target(id=name * 13, name=name, service="app", timing=SURE, quorum=quorum)
    timelines = {
        check.name: Timeline().fold((verdicts or {}).get(check.name, ok()), NOW - 1, SURE)
        for check in CHECKS
    }
    return Subject(target, timelines, grace_until)


def drained(one: Subject) -> Subject:
    return replace(one, drain=Drain("ops", "a new disk", 7.0))


def unseen(name: str, *, ran_before: bool = False) -> Subject:
    """A replica whose readiness the agent could not see yet."""
    return replace(subject(name, but(http=UNREACHABLE)), ran_before=ran_before)


def service(*subjects: Subject) -> ServiceReport:
    (only,) = assess(subjects, CHECKS, NOW)
    return only


def alone(**verdicts: Verdict) -> TargetReport:
    """The report of a replica beside a healthy one, so that quorum is no question."""
    return service(subject("app-1", verdicts), subject("app-2")).targets[0]


def test_a_replica_is_ready_when_nothing_speaks_against_it() -> None:
    report = alone()
    assert (report.phase, report.live, report.ready) == (Phase.READY, True, True)
    assert report.reason == ""


def test_readiness_includes_liveness() -> None:
    report = alone(process=failed("stopped", "it is stopped"))
    assert (report.phase, report.live, report.ready) == (Phase.NOT_LIVE, False, False)
    assert report.reason == "process stopped: it is stopped"


def test_liveness_does_not_look_past_the_process() -> None:
    report = alone(
        http=failed("status", "503"),
        postgres=failed("refused", "down"),
        dbos=failed("stale", "silent"),
    )
    assert (report.live, report.ready) == (True, False)


def test_degraded_replicas_serve() -> None:
    report = alone(process=degraded("sigterm_ignored", "no handler"))
    assert (report.phase, report.ready) == (Phase.DEGRADED, True)


def test_unknown_is_not_failed_and_what_was_known_holds() -> None:
    timeline = Timeline().fold(ok(), NOW - 100, SURE).fold(unknown("unseen", "gone"), NOW, SURE)
    stale = subject("app-1")
    stale = Subject(stale.target, {**stale.timelines, "http": timeline}, 0.0)
    report = service(stale).targets[0]
    assert report.phase is Phase.UNKNOWN
    assert report.ready, "routing stays as it was while the agent cannot look"


def test_a_replica_that_cannot_be_seen_is_unknown_since_it_became_so() -> None:
    blind = unknown("unseen", "the socket is gone")
    timelines = {
        check.name: Timeline().fold(ok(), NOW - 40, SURE).fold(blind, NOW - 30, SURE)
        for check in CHECKS
    }
    report = service(replace(subject("app-1"), timelines=timelines)).targets[0]
    assert (report.phase, report.since) == (Phase.UNKNOWN, NOW - 40 + SURE.stale_after)


def test_an_unknown_replica_is_told_by_what_hides_it_and_by_no_lesser_fault() -> None:
    blind = unknown("unseen", "its readiness endpoint could not be looked at")
    timeline = Timeline().fold(ok(), NOW - 100, SURE).fold(blind, NOW, SURE)
    hidden = subject("app-1", but(postgres=degraded("slow", "took 411 ms to answer")))
    report = service(replace(hidden, timelines={**hidden.timelines, "http": timeline})).targets[0]
    assert (report.phase, report.blame and report.blame.name) == (Phase.UNKNOWN, "http")
    assert "could not be looked at" in report.reason


def test_no_traffic_before_the_first_success() -> None:
    blind = alone(http=UNREACHABLE)
    assert not blind.ready
    assert blind.phase is Phase.UNKNOWN


def test_a_service_of_which_the_agent_sees_nobody_keeps_who_ran_before_it() -> None:
    report = service(*(unseen(f"app-{n}", ran_before=True) for n in (1, 2, 3)))
    assert report.ready == report.targets, "the agent's restart must not empty the routing"
    assert {target.phase for target in report.targets} == {Phase.UNKNOWN}


def test_and_says_so_with_the_remedy() -> None:
    (notice,) = blindness([service(*(unseen(f"app-{n}", ran_before=True) for n in (1, 2)))])
    assert notice.about == "app"
    assert "app-1, app-2" in notice.problem
    assert "http unreachable" in notice.problem
    assert "healthagent explain app-1" in notice.remedy
    assert blindness([service(subject("app-1"))]) == ()


def test_what_started_since_gets_no_traffic_before_its_first_success_whoever_is_blind() -> None:
    report = service(*(unseen(f"app-{n}", ran_before=False) for n in (1, 2)))
    assert report.ready == ()


def test_what_ran_before_the_agent_gets_none_unseen_where_the_quorum_is_seen() -> None:
    report = service(unseen("app-1", ran_before=True), subject("app-2"))
    assert [target.ready for target in report.targets] == [False, True]


def test_what_is_known_to_fail_or_drained_is_not_kept_for_want_of_sight() -> None:
    sick = replace(subject("app-1", but(http=failed("status", "503"))), ran_before=True)
    kept_out = drained(unseen("app-2", ran_before=True))
    report = service(sick, kept_out, unseen("app-3", ran_before=True))
    assert [target.ready for target in report.targets] == [False, False, True]


def test_a_first_failure_that_is_not_believed_yet_takes_no_trust_away() -> None:
    timing = replace(SURE, fall=2)
    once = Timeline().fold(UNREACHABLE, NOW - 20, timing).fold(failed("timeout", ""), NOW, timing)
    veteran = subject("app-1")
    veteran = replace(veteran, timelines={**veteran.timelines, "http": once}, ran_before=True)
    assert service(veteran).targets[0].ready


def test_before_all_are_judged_nobody_is_kept_unseen() -> None:
    (report,) = assess([unseen("app-1", ran_before=True)], CHECKS, NOW, settled=False)
    assert report.ready == ()
    assert blindness([report]) == ()


def test_blindness_is_believed_once_it_has_lasted_as_long_as_a_state_holds() -> None:
    blind = unseen("app-1")
    began = NOW - 1
    assert not is_judged(blind, CHECKS, began + SURE.stale_after - 0.1), (
        "a first look that fails for the agent's sake must not settle the report"
    )
    assert is_judged(blind, CHECKS, began + SURE.stale_after)


def test_a_replica_is_judged_at_once_where_what_is_not_seen_keeps_nobody_out() -> None:
    assert is_judged(subject("app-1", but(dbos=unknown("unseen", "no pg_monitor"))), CHECKS, NOW)
    assert is_judged(subject("app-1", but(process=unknown("unseen", "no /proc"))), CHECKS, NOW)
    down = replace(unseen("app-1"), container=ContainerState("created"))
    assert is_judged(down, CHECKS, NOW), "one that does not run serves nobody"


def test_it_is_not_judged_before_every_check_was() -> None:
    fresh = subject("app-1")
    assert not is_judged(
        replace(fresh, timelines={**fresh.timelines, "process": Timeline()}), CHECKS, NOW
    )


def test_the_agents_blindness_does_not_hold_a_starting_replica_back() -> None:
    assert alone(dbos=unknown("unseen", "no pg_monitor")).ready


def test_in_its_grace_a_replica_starts_and_lives_and_gets_no_traffic() -> None:
    report = service(
        subject("app-1", but(http=failed("not_listening", "not yet")), grace_until=NOW + 5)
    )
    (starting,) = report.targets
    assert (starting.phase, starting.live, starting.ready) == (Phase.STARTING, True, False)


def test_in_its_grace_a_replica_whose_process_fails_too_still_lives() -> None:
    early = but(
        process=failed("wrong_runtime", "a script"), http=failed("not_listening", "not yet")
    )
    report = service(subject("app-1", early, grace_until=NOW + 5)).targets[0]
    assert (report.phase, report.live, report.ready) == (Phase.STARTING, True, False)


def test_a_replica_that_has_started_does_not_start_again_when_it_fails_within_its_grace() -> None:
    begun = subject("app-1", grace_until=NOW + 5)
    refuses = begun.timelines["http"].fold(failed("status", "503"), NOW, SURE)
    report = service(replace(begun, timelines={**begun.timelines, "http": refuses})).targets[0]
    assert (report.phase, report.starting) == (Phase.NOT_READY, False)
    assert not any(check.awaited for check in report.checks), "it has passed each once"


def test_after_its_grace_the_same_replica_is_not_ready() -> None:
    late = subject("app-1", but(http=failed("not_listening", "not yet")), grace_until=NOW - 1)
    assert service(late).targets[0].phase is Phase.NOT_READY


def test_a_container_that_exits_in_its_grace_is_not_starting_any_more() -> None:
    report = service(
        subject(
            "app-1",
            but(
                process=conclusively_failed("exited", "exited 1"),
                http=failed("not_listening", "nothing"),
            ),
            grace_until=NOW + 5,
        )
    )
    assert report.targets[0].phase is Phase.NOT_LIVE


def test_a_drained_replica_lives_and_is_fit_and_gets_no_traffic() -> None:
    report = service(drained(subject("app-1")), subject("app-2")).targets[0]
    assert (report.phase, report.live, report.fit, report.ready) == (
        Phase.DRAINED,
        True,
        True,
        False,
    )
    assert (report.reason, report.since) == ("drained by ops: a new disk", 7.0)


def test_a_drained_replica_that_fails_says_what_fails() -> None:
    sick = drained(subject("app-1", but(process=failed("gone", "no process"))))
    report = service(sick, subject("app-2")).targets[0]
    assert (report.phase, report.fit) == (Phase.NOT_LIVE, False)
    assert report.reason == "process gone: no process"


def test_what_only_the_agent_sees_takes_out_a_replica_while_the_quorum_holds() -> None:
    report = service(subject("app-1", but(dbos=failed("stale", "silent"))), subject("app-2"))
    assert [target.ready for target in report.targets] == [False, True]


def test_a_shared_failure_takes_nobody_out_not_even_the_first_that_it_is_seen_on() -> None:
    """Replicas are looked at one after another, so a shared failure never shows on all at once."""
    first = alone(postgres=failed("refused", "down"))
    assert (first.phase, first.ready) == (Phase.DEGRADED, True)


def test_a_shared_failure_is_told_of_the_service_and_once() -> None:
    down = but(http=failed("status", "503"), postgres=failed("refused", "down"))
    report = service(subject("app-1", down), subject("app-2", down))
    assert [failure.told for failure in report.shared_failures] == ["postgres refused: down"]


def test_two_databases_that_are_down_are_two_shared_failures() -> None:
    report = service(
        subject("app-1", but(postgres=failed("refused", "one is down"))),
        subject("app-2", but(postgres=failed("refused", "two is down"))),
        subject("app-3"),
    )
    reasons = [failure.reason for failure in report.shared_failures]
    assert reasons == ["one is down", "two is down"]


def test_what_only_the_agent_sees_takes_nobody_out_if_it_hits_all() -> None:
    down = but(dbos=failed("stale", "silent"))
    report = service(subject("app-1", down), subject("app-2", down))
    assert [target.ready for target in report.targets] == [True, True]
    assert {target.phase for target in report.targets} == {Phase.DEGRADED}, "kept, but loud"


def test_a_larger_quorum_keeps_more_replicas_in() -> None:
    report = service(
        subject("app-1", but(dbos=failed("stale", "silent")), quorum=2),
        subject("app-2", quorum=2),
    )
    assert [target.ready for target in report.targets] == [True, True]


def test_what_replicas_say_themselves_counts_even_if_it_hits_all() -> None:
    sick = but(http=failed("status", "GET /readyz answered 503"))
    report = service(subject("app-1", sick), subject("app-2", sick))
    assert report.ready == ()


def test_blame_goes_to_what_keeps_the_replica_out() -> None:
    report = alone(
        process=degraded("zombies", "many"), http=failed("status", "GET /readyz answered 503")
    )
    assert report.reason == "http status: GET /readyz answered 503"


def test_replicas_are_listed_in_the_order_of_their_numbers() -> None:
    names = ["app-10", "app-9", "app-1"]
    assert sorted(names, key=natural) == ["app-1", "app-9", "app-10"]
    listed = service(*(subject(name) for name in names)).targets
    assert [report.target.name for report in listed] == ["app-1", "app-9", "app-10"]


def test_a_name_may_hold_digits_that_are_no_number() -> None:
    names = ["x²-10", "x²-9", "²", "٣", "app-1"]
    assert sorted(names, key=natural) == ["٣", "app-1", "x²-9", "x²-10", "²"], (
        "a key takes for a number what int() takes for one, and nothing else"
    )
