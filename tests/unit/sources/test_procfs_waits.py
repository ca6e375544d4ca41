"""How long a process has been waiting in the kernel."""

from __future__ import annotations

import pytest

from healthagent.sources.procfs.waits import Key, Waits

APP, CHILD = (100, 5), (101, 6)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def status(switches: int) -> bytes:
    return b"Name:\tbun\nvoluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t9\n" % switches


def test_it_counts_from_the_first_look_that_found_it_so() -> None:
    clock = Clock()
    waits = Waits(clock)
    assert waits.of("app-1", {APP: status(7)}) == {APP: 0.0}
    clock.now = 6.0
    assert waits.of("app-1", {APP: status(7), CHILD: status(7)}) == {APP: 6.0, CHILD: 0.0}
    assert waits.of("app-2", {APP: status(7)}) == {APP: 0.0}, "another replica's"


def test_one_that_ran_in_between_is_counted_anew() -> None:
    clock = Clock()
    waits = Waits(clock)
    waits.of("app-1", {APP: status(7)})
    clock.now = 6.0
    assert waits.of("app-1", {APP: status(8)}) == {APP: 0.0}, "it slept once more: it had run"


@pytest.mark.parametrize("others", [{}, {CHILD: status(7)}], ids=["nobody waits", "another does"])
def test_one_that_waits_no_longer_or_has_ended_is_not_remembered(others: dict[Key, bytes]) -> None:
    clock = Clock()
    waits = Waits(clock)
    waits.of("app-1", {APP: status(7)})
    assert APP not in waits.of("app-1", others)
    clock.now = 6.0
    assert waits.of("app-1", {APP: status(7)}) == {APP: 0.0}


def test_where_switches_are_not_told_it_is_unknown() -> None:
    assert Waits(Clock()).of("app-1", {APP: b"Name:\tbun\n"}) == {}
