"""Whole numbers in a request."""

from __future__ import annotations

import pytest

from healthagent.surfaces.http.number import MOST_DIGITS, whole


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("500", 500)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1\n", "1_0", "x", "\N{SUPERSCRIPT TWO}"])
def test_anything_else_is_none(text: str) -> None:
    assert whole(text) is None


def test_more_digits_than_int_would_read_are_none_and_no_fault() -> None:
    assert whole("9" * MOST_DIGITS) == int("9" * MOST_DIGITS)
    assert whole("9" * (MOST_DIGITS + 1)) is None
    assert whole("9" * 5000) is None
