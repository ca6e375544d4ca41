"""How long a process has been waiting in the kernel."""

from __future__ import annotations

from healthagent.sources.procfs.waits import Waits

APP = (100, 5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def status(switches: int) -> bytes:
    return b"Name:\tbun\nvoluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t9\n" % switches


def test_it_counts_from_the_first_look_that_found_it_so() -> None:
    clock = Clock()
    waits = Waits(clock)
    assert waits.of("app-1", APP, "D", status(7)) == 0.0
    clock.now = 6.0
    assert waits.of("app-1", APP, "D", status(7)) == 6.0


def test_one_that_ran_in_between_is_counted_anew() -> None:
    clock = Clock()
    waits = Waits(clock)
    waits.of("app-1", APP, "D", status(7))
    clock.now = 6.0
    assert waits.of("app-1", APP, "D", status(8)) == 0.0, "it slept once more: it had run"


def test_another_state_ends_it_and_has_no_wait() -> None:
    clock = Clock()
    waits = Waits(clock)
    waits.of("app-1", APP, "D", status(7))
    assert waits.of("app-1", APP, "S", status(7)) is None
    clock.now = 6.0
    assert waits.of("app-1", APP, "D", status(7)) == 0.0


def test_where_switches_are_not_told_it_is_unknown() -> None:
    assert Waits(Clock()).of("app-1", APP, "D", b"Name:\tbun\n") is None
