"""Every reader of the native probe, for half a minute, on inputs that a fuzzer thinks of."""

from __future__ import annotations

import pytest

from provision.errors import Unavailable
from provision.progress import Progress
from tests.fuzz import fuzzer

SECONDS = 30


@pytest.mark.system
@pytest.mark.timeout(600)
def test_no_input_makes_a_reader_leave_its_buffers() -> None:
    try:
        with Progress().step("fuzzer") as step:
            program = fuzzer.build(step)
    except Unavailable as error:
        pytest.skip(f"no clang: {error}")

    result = fuzzer.run(program, SECONDS)

    assert not result.crashed, result.said
    assert result.runs >= fuzzer.MINIMUM_RUNS, result.said
