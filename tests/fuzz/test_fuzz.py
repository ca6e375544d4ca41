"""Every reader of the native probe, for half a minute, on inputs that a fuzzer thinks of."""

from __future__ import annotations

import pytest

from provision.errors import Unavailable
from provision.progress import Progress
from tests.fuzz import fuzzer

SECONDS = 30
MOST_ROUNDS = 4
"""A busy machine may give the fuzzer little of half a minute: then it goes on."""


@pytest.mark.system
@pytest.mark.timeout(600)
def test_no_input_makes_a_reader_leave_its_buffers() -> None:
    try:
        with Progress().step("fuzzer") as step:
            program = fuzzer.build(step)
    except Unavailable as error:
        pytest.skip(f"no clang: {error}")

    runs = 0
    for _ in range(MOST_ROUNDS):
        result = fuzzer.run(program, SECONDS)
        assert not result.crashed, result.said
        runs += result.runs
        if runs >= fuzzer.MINIMUM_RUNS:
            break
    assert runs >= fuzzer.MINIMUM_RUNS, f"{runs} runs, {result.said}"
