"""Events tell how runs end; an inspection tells of the last end alone."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pytest

from healthagent.core.exits import End, Exits
from healthagent.core.observation import ContainerState
from healthagent.core.target import Target
from healthagent.sources.docker import DockerDiscovery, ExitsSource
from healthagent.sources.docker.event import Event
from healthagent.sources.docker.exits import KEPT, History

ID = "c" * 64


def event(action: str, at: float, **attributes: str) -> Event:
    return Event(ID, action, int(at * 1e9), "", attributes)


def after(*events: Event, history: History | None = None) -> History:
    return reduce(History.hear, events, history or History())


def die(at: float, code: int) -> Event:
    return event("die", at, exitCode=str(code))


def last(history: History) -> End:
    assert history.ends, "no end is known"
    return history.ends[-1]


START, TERM = event("start", 10.0), event("kill", 20.0, signal="15")


def test_an_end_that_no_signal_went_before_was_asked_for_by_nobody() -> None:
    assert last(after(START, die(30.0, 1))) == End(30.0, 1, asked=False, ran_for=20.0)


def test_a_stop_is_known_by_its_signals() -> None:
    kill = event("kill", 30.0, signal="9")
    end = last(after(START, TERM, kill, die(30.1, 137), event("stop", 30.2)))
    assert end.asked
    assert [(sent.number, sent.at) for sent in end.signals] == [(15, 20.0), (9, 30.0)]


@pytest.mark.parametrize("signal", ["1", "10", "11", "19"])
def test_a_signal_that_asks_for_no_end_does_not(signal: str) -> None:
    assert last(after(START, event("kill", 20.0, signal=signal), die(30.0, 1))).asked is False


def test_a_stop_with_a_signal_of_its_own_is_known_by_what_follows_it() -> None:
    own = event("kill", 20.0, signal="10")
    assert last(after(START, own, die(20.1, 0), event("stop", 20.2))).asked


def test_a_stop_while_docker_waits_to_restart_did_not_ask_for_the_end() -> None:
    end = last(after(START, die(30.0, 1), event("stop", 35.0)))
    assert (end.asked, end.left) == (False, True)


def test_a_stop_while_docker_waits_makes_no_end_of_the_one_whose_time_it_corrects() -> None:
    """As Docker 20.10 tells it: it had noted when it began to wait."""
    waits = ContainerState("restarting", exit_code=3, started_at=10.0, finished_at=29.99)
    stopped = replace(waits, status="exited", finished_at=29.95)
    ended = after(START, die(30.0, 3)).take(waits)
    history = after(event("stop", 35.0), history=ended).take(stopped)
    assert [(end.at, end.left) for end in history.ends] == [(30.0, True)]
    runs = after(event("start", 40.0), history=history).take(
        ContainerState("running", started_at=40.0, finished_at=29.95)
    )
    assert len(runs.ends) == 1


def test_signals_of_one_run_are_forgotten_in_the_next() -> None:
    assert last(after(START, TERM, die(21.0, 0), event("start", 22.0), die(23.0, 1))).asked is False


@pytest.mark.parametrize("oom_at", [29.9, 30.1])
def test_want_of_memory_is_told_before_or_after_the_end(oom_at: float) -> None:
    events = sorted((die(30.0, 137), event("oom", oom_at)), key=lambda told: told.at)
    assert last(after(START, *events)).oom


def test_a_repeated_event_counts_once() -> None:
    assert len(after(START, die(30.0, 1), START, die(30.0, 1)).ends) == 1


def test_events_are_heard_though_the_engines_clock_was_set_back() -> None:
    set_back = (event("start", 10.0), die(12.0, 1))
    history = after(event("start", 3600.0), die(3610.0, 1), *set_back, *set_back)
    assert [(end.at, end.ran_for) for end in history.ends] == [(3610.0, 10.0), (12.0, 2.0)], (
        "only what is repeated is nothing"
    )


def test_a_run_in_which_the_clock_was_set_back_has_no_length() -> None:
    assert last(after(event("start", 3600.0), die(12.0, 1))).ran_for is None, "0 would be short"


def test_the_last_ends_are_kept() -> None:
    runs = [e for n in range(99) for e in (event("start", 2.0 * n + 1), die(2.0 * n + 2, n))]
    ends = after(*runs).ends
    assert [end.exit_code for end in ends] == list(range(99 - KEPT, 99))


def test_what_an_inspection_tells_is_known_already_once_an_event_told_it() -> None:
    heard = after(START, die(30.0, 1))
    state = ContainerState("exited", exit_code=1, started_at=9.9, finished_at=29.9)
    assert heard.take(state).ends == heard.ends


def test_an_end_from_before_the_agent_leaves_open_who_asked() -> None:
    state = ContainerState("exited", exit_code=143, started_at=10.0, finished_at=30.0)
    assert last(History().take(state)) == End(30.0, 143, asked=None, ran_for=20.0)


def test_what_docker_is_restarting_nobody_had_stopped() -> None:
    state = ContainerState("restarting", 0, 1, restart_count=4, started_at=10.0, finished_at=30.0)
    assert last(History().take(state)).asked is False


def test_what_docker_restarted_nobody_had_stopped_and_its_exit_code_is_gone() -> None:
    state = ContainerState("running", 7, restart_count=1, started_at=31.0, finished_at=30.0)
    assert last(History().take(state)) == End(30.0, None, asked=False)


def test_an_event_says_better_what_an_inspection_had_said_of_the_same_end() -> None:
    state = ContainerState("exited", exit_code=1, started_at=10.0, finished_at=30.0)
    running = ContainerState("running", 7, started_at=10.0)
    history = History().take(running).take(state)
    assert after(die(30.1, 1), history=history).ends == (End(30.1, 1, asked=False, ran_for=20.1),)


def test_an_end_that_no_event_told_is_taken_from_the_next_inspection() -> None:
    heard = after(START, die(30.0, 1))
    restarted = ContainerState("running", 7, restart_count=2, started_at=51.0, finished_at=50.0)
    history = heard.take(restarted)
    assert [end.at for end in history.ends] == [30.0, 50.0]
    assert last(after(die(60.0, 1), history=history)).ran_for == 9.0


def test_a_child_killed_for_want_of_memory_is_no_reason_for_a_later_end() -> None:
    assert not last(after(START, event("oom", 20.0), die(30.0, 137))).oom


def test_only_an_inspection_tells_that_docker_leaves_it_at_an_end() -> None:
    heard = after(START, die(30.0, 1))
    exited = ContainerState("exited", exit_code=1, started_at=10.0, finished_at=29.9)
    assert not heard.final
    assert heard.take(exited).final
    assert not heard.take(ContainerState("restarting", finished_at=29.9)).final
    assert not after(event("start", 31.0), history=heard.take(exited)).final


def test_a_container_that_never_started_has_no_end() -> None:
    assert History().take(ContainerState("created", exit_code=127, error="no such file")).ends == ()


def test_after_the_clock_was_set_back_an_inspection_tells_of_an_end_that_no_event_told() -> None:
    heard = after(START, die(30.0, 1)).take(
        ContainerState("running", 7, started_at=31.0, finished_at=29.9)
    )
    restarted = ContainerState("running", 8, 2, started_at=5.0, finished_at=4.0)
    history = heard.take(restarted).take(restarted)
    assert [end.at for end in history.ends] == [30.0, 4.0]
    assert not history.over, "it runs again"


def test_want_of_memory_from_before_the_clock_was_set_back_is_no_reason_for_an_end() -> None:
    assert not last(after(START, event("oom", 20.0), die(4.0, 137))).oom


def test_a_run_that_is_asked_to_end_is_being_stopped_until_it_has_ended() -> None:
    asked = after(START, TERM)
    assert asked.stopping == 20.0
    assert after(event("kill", 30.0, signal="9"), history=asked).stopping == 30.0, "the last time"
    assert after(die(31.0, 0), history=asked).stopping is None
    assert after(die(31.0, 0), event("start", 32.0), history=asked).stopping is None


def test_a_signal_that_asks_for_no_end_stops_nothing() -> None:
    assert after(START, event("kill", 20.0, signal="10")).stopping is None


def test_want_of_memory_that_a_run_outlives_is_of_that_run_alone() -> None:
    killed = after(START, event("oom", 20.0))
    assert killed.outlived == 20.0
    assert after(event("oom", 30.0), history=killed).outlived == 30.0, "the last time"
    assert after(die(31.0, 137), history=killed).outlived is None
    assert after(die(31.0, 137), event("start", 32.0), history=killed).outlived is None


async def test_a_look_tells_what_was_heard() -> None:
    class Told(DockerDiscovery):
        def history_of(self, target: Target) -> History:
            return after(START, die(15.0, 1), event("start", 16.0), event("oom", 18.0), TERM)

    source = ExitsSource(Told("unix:///none", own_ids=()), clock=lambda: 23.0)
    exits = await source.look(Target(ID, "app-1", "app"), 1.0)
    ends = (End(15.0, 1, asked=False, ran_for=5.0),)
    assert exits == Exits(23.0, ends, stopping=20.0, oom_at=18.0)
