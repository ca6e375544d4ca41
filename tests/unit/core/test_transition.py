"""What is told when one report follows another."""

from __future__ import annotations

from dataclasses import replace

from healthagent.core.check import Check, Group, Witness
from healthagent.core.report import Report, Subject, assess
from healthagent.core.target import Target, Timing
from healthagent.core.timeline import Timeline
from healthagent.core.transition import ABSENT, transitions
from healthagent.core.verdict import Verdict, conclusively_failed, failed, ok, unknown

TIMING = Timing(rise=1, fall=1)
CHECK = Check(
    "http", frozenset({Group.READINESS}), Witness.REPLICA, (), lambda _: True, lambda _: ok()
)
EMPTY = Report(at=0.0, settled=False)


def report(
    at: float, *verdicts: Verdict, checks: tuple[Check, ...] = (CHECK,), grace_until: float = 0.0
) -> Report:
    """A report at one time on one replica whose first check went through these verdicts."""
    timelines = {check.name: Timeline() for check in checks}
    for verdict in verdicts:
        timelines[CHECK.name] = timelines[CHECK.name].fold(verdict, at, TIMING)
    target = Target(id="a" * 64, name="app-1", service="app", timing=TIMING)
    subject = Subject(target, timelines, grace_until)
    return Report(at, settled=True, services=assess([subject], checks, at))


def told(before: Report, after: Report) -> list[tuple[str, str, str]]:
    return [(change.check, change.before, change.after) for change in transitions(before, after)]


def test_a_target_that_appears_is_told_with_its_checks() -> None:
    assert told(EMPTY, report(1, ok())) == [("http", ABSENT, "ok"), ("", ABSENT, "ready")]


def test_a_target_that_was_not_looked_at_yet_is_no_news_of_its_checks() -> None:
    assert [check for check, _, _ in told(EMPTY, report(1))] == [""]


def test_a_failure_is_told_of_the_check_and_then_of_the_target_with_the_reason() -> None:
    sick = report(2, ok(), failed("status", "GET /readyz answered 503"))
    changes = transitions(report(1, ok()), sick)
    assert [(c.check, c.before, c.after) for c in changes] == [
        ("http", "ok", "failed"),
        ("", "ready", "not ready"),
    ]
    assert changes[1].reason == "http status: GET /readyz answered 503"
    assert all(change.worse for change in changes)


def test_a_check_that_begins_anew_is_no_turn_for_the_worse_though_the_target_is() -> None:
    changes = transitions(report(1, ok()), report(2))
    assert [(c.check, c.after, c.worse) for c in changes] == [
        ("http", "unknown", False),
        ("", "unknown", True),
    ]


def test_that_the_agent_has_an_eye_yet_to_open_is_no_turn_for_the_worse() -> None:
    later = replace(CHECK, name="pool", witness=Witness.AGENT)
    changes = transitions(EMPTY, report(1, ok(), checks=(CHECK, later)))
    assert [(c.check, c.after, c.code, c.worse) for c in changes] == [
        ("http", "ok", "ok", False),
        ("", "degraded", "pending", False),
    ]


def test_that_a_replica_is_found_and_not_looked_at_yet_is_no_turn_for_the_worse() -> None:
    (found,) = transitions(EMPTY, report(1))
    assert (found.after, found.code, found.worse) == ("unknown", "pending", False)


def test_what_a_replica_is_given_its_grace_for_is_told_loudly_only_after_it() -> None:
    startup = replace(CHECK, groups=CHECK.groups | {Group.STARTUP})
    closed = failed("not_listening", "nothing listens on port 3000")

    def starts(at: float, *verdicts: Verdict) -> Report:
        return report(at, *verdicts, checks=(startup,), grace_until=10.0)

    (change,) = transitions(starts(1), starts(2, closed))
    assert (change.check, change.after, change.worse) == ("http", "failed", False)
    (late,) = transitions(starts(2, closed), starts(11, closed))
    assert (late.check, late.after, late.worse) == ("", "not ready", True)
    assert "nothing listens" in late.reason
    (dead, *_) = transitions(starts(1), starts(2, conclusively_failed("exited", "it ended")))
    assert dead.worse, "there is nothing to wait for"


def test_while_a_replica_starts_what_it_need_not_pass_first_is_loud_where_it_fails() -> None:
    startup = replace(CHECK, name="event_loop", groups=CHECK.groups | {Group.STARTUP})

    def starts(at: float, *verdicts: Verdict) -> Report:
        return report(at, *verdicts, checks=(CHECK, startup), grace_until=10.0)

    (sick,) = transitions(starts(1), starts(2, failed("status", "503")))
    assert (sick.check, sick.after, sick.worse) == ("http", "failed", True)
    (blind,) = transitions(starts(1), starts(2, unknown("unseen", "no way there")))
    assert (blind.check, blind.after, blind.worse) == ("http", "unknown", False)


def test_a_new_reason_for_the_same_state_is_told() -> None:
    before = report(1, failed("timeout", "no answer"))
    assert told(before, report(2, failed("status", "503"))) == [("http", "failed", "failed")]


def test_no_change_is_no_news() -> None:
    assert told(report(1, ok("took 1 ms")), report(2, ok("took 2 ms"))) == []


def test_a_target_that_went_is_told_once() -> None:
    assert told(report(1, ok()), EMPTY) == [("", "ready", ABSENT)]
