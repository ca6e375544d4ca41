"""What many ask of one thing is worked out once."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass

from healthagent.core.once import once


@dataclass(frozen=True, eq=False)
class Whole:
    number: int


class Sum:
    def __init__(self, whole: Whole, more: int) -> None:
        self.whole = whole
        self.value = whole.number + more


@once
def added(whole: Whole, more: int) -> Sum:
    return Sum(whole, more)


def test_all_who_ask_the_same_of_one_thing_get_the_same() -> None:
    wholes = [Whole(number) for number in range(100)]
    first = [added(whole, 1) for whole in wholes]
    assert [each.value for each in first] == list(range(1, 101))
    assert [added(whole, 1) for whole in wholes] == first


def test_who_asks_something_else_of_it_gets_something_else() -> None:
    whole = Whole(1)
    assert (added(whole, 1).value, added(whole, 2).value) == (2, 3)


def test_it_is_forgotten_with_the_thing_though_it_refers_to_it() -> None:
    whole = Whole(1)
    kept = weakref.ref(added(whole, 1))
    assert kept() is not None
    del whole
    gc.collect()
    assert kept() is None
