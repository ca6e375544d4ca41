"""What tests share is made once for a group, and is gone after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.standing import end, for_group


@pytest.fixture(autouse=True)
def nothing_else_stands() -> Iterator[None]:
    end()
    yield
    end()


def test_it_is_made_once_and_gone_in_the_end() -> None:
    told: list[str] = []

    @contextmanager
    def stack(name: str) -> Iterator[str]:
        told.append(f"{name} up")
        yield name
        told.append(f"{name} down")

    assert [for_group(stack, "a") for _ in range(2)] == ["a", "a"]
    assert told == ["a up"]
    end()
    assert told == ["a up", "a down"]
    assert for_group(stack, "b") == "b", "the next group has one of its own"


def test_what_was_made_last_goes_first() -> None:
    gone: list[str] = []

    @contextmanager
    def collector() -> Iterator[None]:
        yield
        gone.append("collector")

    @contextmanager
    def stack() -> Iterator[None]:
        yield
        gone.append("stack")

    for_group(collector)
    for_group(stack)
    end()
    assert gone == ["stack", "collector"]


def test_one_that_could_not_be_made_is_tried_again() -> None:
    @contextmanager
    def stack(*faults: Exception) -> Iterator[str]:
        for fault in faults:
            raise fault
        yield "up"

    with pytest.raises(OSError, match="no space"):
        for_group(stack, OSError("no space"))
    assert for_group(stack) == "up"
