"""How single verdicts become a state that holds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from healthagent.core.target import Timing
from healthagent.core.timeline import Timeline
from healthagent.core.verdict import (
    Status,
    Verdict,
    conclusively_failed,
    degraded,
    failed,
    ok,
    unknown,
)

TIMING = Timing(interval=1, rise=2, fall=3)
FAILED = failed("stopped", "it is stopped")
BLIND = unknown("unseen", "the socket is gone")


def after(*verdicts: Verdict, timing: Timing = TIMING, start: Timeline | None = None) -> Timeline:
    """The timeline after verdicts at the seconds 1, 2, 3, ..."""
    timeline = start or Timeline()
    for at, verdict in enumerate(verdicts, 1):
        timeline = timeline.fold(verdict, at, timing)
    return timeline


def standing(timeline: Timeline) -> Status | None:
    return timeline.standing.status if timeline.standing else None


def shown_since(timeline: Timeline, at: float) -> float:
    return timeline.shown_since(timeline.read(at, TIMING), TIMING)


def test_the_first_success_is_believed_at_once() -> None:
    assert standing(after(ok())) is Status.OK


def test_the_first_failure_is_not_believed_before_its_threshold() -> None:
    assert standing(after(FAILED, FAILED)) is None
    assert standing(after(FAILED, FAILED, FAILED)) is Status.FAILED


def test_what_is_not_believed_is_not_shown_as_failed_either() -> None:
    shown = after(FAILED, FAILED).read(2, TIMING)
    assert (shown.status, shown.code) == (Status.UNKNOWN, "pending")
    assert FAILED.reason in shown.reason
    assert after(FAILED, FAILED, FAILED).read(3, TIMING) == FAILED


def test_a_passing_check_fails_after_fall_failures_in_a_row() -> None:
    assert standing(after(ok(), FAILED, FAILED)) is Status.OK
    assert standing(after(ok(), FAILED, FAILED, FAILED)) is Status.FAILED


def test_a_success_in_between_starts_the_count_anew() -> None:
    assert standing(after(ok(), FAILED, FAILED, ok(), FAILED, FAILED)) is Status.OK


def test_a_failed_check_passes_after_rise_successes_in_a_row() -> None:
    fallen = after(ok(), FAILED, FAILED, FAILED)
    assert standing(after(ok(), start=fallen)) is Status.FAILED
    assert standing(after(ok(), ok(), start=fallen)) is Status.OK


def test_a_conclusive_failure_needs_no_second_look() -> None:
    assert standing(after(ok(), conclusively_failed("exited", "exited 1"))) is Status.FAILED


def test_ok_and_degraded_follow_one_another_at_once() -> None:
    assert standing(after(ok(), degraded("slow", "slow"))) is Status.DEGRADED
    assert standing(after(degraded("slow", "slow"), ok())) is Status.OK


def test_a_new_reason_for_failure_shows_at_once() -> None:
    timeline = after(FAILED, FAILED, FAILED, failed("blocked", "it is blocked"))
    assert timeline.standing is not None
    assert timeline.standing.code == "blocked"
    assert timeline.since == 4


def test_since_is_when_the_state_began_not_when_it_was_last_seen() -> None:
    assert after(ok(), ok(), ok()).since == 1


def test_a_fault_that_is_stale_is_still_named() -> None:
    """It keeps its replica out of rotation: whoever is paged must not lose the cause."""
    stale_at = 3.1 + TIMING.stale_after
    assert (
        "last known failed (stopped) is stale" in after(*[FAILED] * 3).read(stale_at, TIMING).reason
    )
    assert "last known ok is stale" in after(ok()).read(stale_at, TIMING).reason


def test_what_is_stale_is_unknown_since_it_became_so() -> None:
    timeline = after(ok(), BLIND, BLIND)
    stale_at = 1 + TIMING.stale_after
    assert shown_since(timeline, at=stale_at) == 1
    assert shown_since(timeline, at=stale_at + 7) == stale_at, (
        "time() - since is how long the shown state has held, not the one before"
    )


def test_what_was_never_seen_is_unknown_since_the_first_look() -> None:
    assert shown_since(Timeline(), at=9) == 0
    assert shown_since(after(BLIND, BLIND, BLIND), at=3) == 1
    assert shown_since(after(FAILED, BLIND, BLIND), at=3) == 2
    assert shown_since(after(BLIND, FAILED), at=2) == 2


def test_unknown_neither_fails_nor_heals_nor_breaks_a_run() -> None:
    assert standing(after(ok(), BLIND, BLIND, BLIND, BLIND)) is Status.OK
    assert standing(after(ok(), FAILED, BLIND, FAILED, BLIND, FAILED)) is Status.FAILED


def test_the_last_known_state_is_shown_until_it_is_stale() -> None:
    timeline = after(ok(), BLIND)
    assert timeline.read(1 + TIMING.stale_after, TIMING).status is Status.OK
    stale = timeline.read(1.1 + TIMING.stale_after, TIMING)
    assert (stale.status, stale.code) == (Status.UNKNOWN, BLIND.code)
    assert "the socket is gone" in stale.reason, "a stale state must say why nothing new was seen"
    assert after(ok()).read(1.1 + TIMING.stale_after, TIMING).code == "stale"
    assert standing(timeline) is Status.OK, "routing keeps to the last known state"


def test_a_blind_agents_clock_that_is_set_back_makes_no_state_hold_for_longer() -> None:
    seen = Timeline().fold(ok(), 5000, TIMING).fold(BLIND, 5001, TIMING)
    back = seen.fold(BLIND, 1000, TIMING).fold(BLIND, 1001, TIMING)
    assert back.read(1000 + TIMING.stale_after, TIMING).status is Status.OK
    assert back.read(1001 + TIMING.stale_after, TIMING).code == BLIND.code
    assert shown_since(back, at=1005) == 1000, "nothing began in the future"
    assert back.blind_for(1005) == 5


def test_a_clock_that_is_set_back_moves_no_beginning_that_lies_before_it() -> None:
    back = Timeline().fold(BLIND, 900, TIMING).fold(BLIND, 1100, TIMING).fold(BLIND, 1000, TIMING)
    assert back.blind_for(1005) == 105


def test_it_is_decided_by_a_state_or_by_blindness() -> None:
    assert not Timeline().decided
    assert not after(FAILED).decided
    assert after(FAILED, FAILED, FAILED).decided
    assert after(ok()).decided
    assert after(BLIND).decided


@given(
    st.lists(st.sampled_from([ok(), FAILED, BLIND, degraded("slow", "slow")])),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_unknown_never_turns_into_failed(verdicts: list[Verdict], rise: int, fall: int) -> None:
    timing = replace(TIMING, rise=rise, fall=fall)
    with_blindness = after(*verdicts, timing=timing)
    known = [verdict for verdict in verdicts if verdict.status is not Status.UNKNOWN]
    assert standing(with_blindness) == standing(after(*known, timing=timing))
