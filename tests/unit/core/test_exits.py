"""What the end of a container is called, and what several of them add up to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthagent.core.exits import (
    BACKOFF,
    OFTEN,
    STEADY,
    WINDOW,
    End,
    Exits,
    Kind,
    Sent,
    backoff,
    crash_loop,
    failed_start,
    name,
    steady_after,
)
from healthagent.core.observation import ContainerState

ERROR = End(at=1000.0, exit_code=1, asked=False, ran_for=0.5)
TERM, KILL, USR1, HUP = (Sent(number, 990.0) for number in (15, 9, 10, 1))


def asked(exit_code: int, *signals: Sent) -> End:
    return End(at=1000.0, exit_code=exit_code, asked=True, signals=signals)


def in_a_row(count: int, apart: float = 1.0, ran_for: float = 0.5) -> tuple[End, ...]:
    return tuple(replace(ERROR, at=1000.0 + n * apart, ran_for=ran_for) for n in range(count))


@pytest.mark.parametrize(
    ("exit_code", "code", "says"),
    [
        (0, "ended", "by itself with exit 0"),
        (1, "error", "uncaught error"),
        (7, "error", "exit 7"),
        (126, "not_executable", "(126)"),
        (127, "not_found", "(127)"),
        (130, "terminated", "SIGINT"),
        (132, "crashed", "segmentation fault"),
        (134, "crashed", "SIGABRT (134)"),
        (137, "killed", "did not come through Docker"),
        (139, "crashed", "SIGSEGV (139)"),
        (143, "terminated", "SIGTERM"),
        (255, "error", "exit 255"),
    ],
)
def test_an_end_that_nobody_asked_for_is_named(exit_code: int, code: str, says: str) -> None:
    named = name(replace(ERROR, exit_code=exit_code))
    assert (named.kind, named.code) == ("unasked", code)
    assert says in named.reason


@pytest.mark.parametrize(
    ("end", "kind", "code"),
    [
        (asked(0, TERM), "purpose", "stopped"),
        (asked(143, TERM), "purpose", "stopped"),
        (asked(137, KILL), "purpose", "stopped"),
        (asked(138, USR1), "purpose", "stopped"),
        (asked(143), "purpose", "stopped"),
        (asked(7, TERM), "unclean", "unclean_stop"),
        (asked(137, TERM, KILL), "unclean", "killed_after_grace"),
    ],
)
def test_an_end_that_somebody_asked_for_is_no_crash(end: End, kind: Kind, code: str) -> None:
    named = name(end)
    assert (named.kind, named.code) == (kind, code)


def test_ends_from_before_the_clock_was_set_back_are_not_held_to_be_of_late() -> None:
    before, since = in_a_row(2), replace(ERROR, at=ERROR.at - 3600)
    assert crash_loop(Exits(since.at, (*before, since))) is None, "they may be long ago"
    again = tuple(replace(end, at=end.at - 3600) for end in in_a_row(OFTEN))
    assert crash_loop(Exits(again[-1].at, (*before, *again))) is not None


def test_a_kill_after_the_grace_period_says_how_long_it_waited() -> None:
    killed = replace(KILL, at=TERM.at + 30)
    assert (
        "ignored SIGTERM, or was frozen, and was killed 30 s later"
        in name(asked(137, TERM, killed)).reason
    )


def test_out_of_memory_is_told_from_any_other_kill() -> None:
    assert name(replace(ERROR, exit_code=137, oom=True)).code == "oom_killed"
    assert name(replace(asked(137, TERM), oom=True)).code == "oom_killed"


def test_dockers_own_kill_is_none_of_memory() -> None:
    assert name(replace(asked(137, TERM, KILL), oom=True)).code == "killed_after_grace"


def test_a_child_that_was_killed_for_want_of_memory_does_not_rename_the_end() -> None:
    named = name(replace(ERROR, oom=True))
    assert named.code == "error"
    assert "one of its processes for want of memory" in named.reason
    for alone in (ERROR, replace(ERROR, exit_code=137, oom=True)):
        assert "one of its processes" not in name(alone).reason


@pytest.mark.parametrize("exit_code", [0, 137, 143, None])
def test_what_may_have_been_a_stop_that_nobody_saw_is_unclear(exit_code: int | None) -> None:
    assert name(replace(ERROR, exit_code=exit_code, asked=None)).kind == "unclear"


@pytest.mark.parametrize("exit_code", [1, 127, 132])
def test_what_no_stop_can_cause_is_named_whoever_watched(exit_code: int) -> None:
    assert name(replace(ERROR, exit_code=exit_code, asked=None)).kind == "unasked"


@pytest.mark.parametrize(
    ("exit_code", "code"), [(127, "not_found"), (126, "not_executable"), (128, "not_started")]
)
def test_a_container_that_could_not_start_says_why_in_the_runtimes_own_words(
    exit_code: int, code: str
) -> None:
    error = (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to "
        'start container process: exec: "/nope": stat /nope: no such file or directory: unknown'
    )
    named = failed_start(ContainerState("created", exit_code=exit_code, error=error))
    assert named is not None
    assert named.code == code
    assert named.reason.endswith(': exec: "/nope": stat /nope: no such file or directory')
    assert failed_start(ContainerState("exited", exit_code=exit_code)) is None


def test_ends_that_come_often_are_a_crash_loop() -> None:
    assert crash_loop(Exits(1010.0, in_a_row(OFTEN - 1))) is None
    loop = crash_loop(Exits(1010.0, in_a_row(OFTEN)))
    assert loop is not None
    assert (len(loop.ends), loop.span) == (OFTEN, OFTEN - 1.0)


def test_ends_that_come_seldom_are_none() -> None:
    assert crash_loop(Exits(9e9, in_a_row(9, apart=WINDOW))) is None


def test_who_stops_it_has_taken_it_in_hand() -> None:
    stopped = replace(asked(143, TERM), at=1100.0)
    later = tuple(replace(end, at=end.at + 150) for end in in_a_row(OFTEN - 1))
    assert crash_loop(Exits(2e3, (*in_a_row(OFTEN), stopped, *later))) is None


def test_who_stops_it_while_docker_waits_ends_the_loop() -> None:
    *ends, end = in_a_row(OFTEN)
    left = replace(end, left=True)
    assert crash_loop(Exits(2e3, (*ends, left))) is None
    assert name(left).kind == "purpose"
    assert "while Docker waited to start it again; before that it ended with exit 1" in (
        name(left).reason
    )


def test_ends_of_which_nobody_knows_whether_they_were_asked_for_do_not_count() -> None:
    unknown = tuple(replace(end, asked=None, exit_code=0) for end in in_a_row(9))
    assert crash_loop(Exits(2e3, unknown)) is None


@pytest.mark.parametrize(
    ("ran_for", "seconds"), [(0.5, STEADY[0]), (12.0, 24.0), (90.0, STEADY[1])]
)
def test_it_must_outlive_its_own_record_within_bounds(ran_for: float, seconds: float) -> None:
    assert steady_after(in_a_row(OFTEN, ran_for=ran_for)) == seconds


def test_dockers_pause_doubles_from_a_tenth_of_a_second_to_a_minute() -> None:
    pauses = [backoff(in_a_row(n), restarts=n) for n in range(1, 12)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, BACKOFF[1]]


def test_a_run_of_ten_seconds_starts_dockers_pause_anew() -> None:
    ends = (*in_a_row(5), replace(ERROR, ran_for=10.0), *in_a_row(2))
    assert backoff(ends, restarts=8) == 0.4


def test_a_pause_after_ends_that_were_not_seen_is_not_known() -> None:
    assert backoff(in_a_row(2), restarts=7) is None


ends = st.builds(
    End,
    at=st.floats(0, 1e10),
    exit_code=st.none() | st.integers(-1, 300),
    asked=st.none() | st.booleans(),
    oom=st.booleans(),
    signals=st.lists(st.builds(Sent, st.integers(0, 70), st.floats(0, 1e10)), max_size=3).map(
        tuple
    ),
    ran_for=st.none() | st.floats(0, 1e6),
)


@given(ends)
def test_every_end_has_a_name(end: End) -> None:
    named = name(end)
    assert named.reason
    assert named.kind != "unasked" or end.asked is not True or named.code == "oom_killed"


@given(st.lists(ends, max_size=12), st.integers(0, 99))
def test_every_history_can_be_judged(history: list[End], restarts: int) -> None:
    loop = crash_loop(Exits(0.0, tuple(history)))
    assert loop is None or all(end.asked is False for end in loop.ends)
    pause = backoff(history, restarts)
    assert pause is None or pause <= BACKOFF[1]
    assert STEADY[0] <= steady_after(history) <= STEADY[1]
