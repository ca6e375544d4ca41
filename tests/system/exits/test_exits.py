"""Every way in which Bun and Node end or multiply as PID 1, on the real Engine, named rightly."""

from __future__ import annotations

import asyncio

import pytest

from provision.engine import Engine
from tests.system.exits.course import Course
from tests.system.exits.table import ROWS, Row


@pytest.fixture(scope="module")
def course(engine: Engine) -> Course:
    """The whole table, run once: its rows side by side take a fraction of the time."""
    ran = Course(engine)
    asyncio.run(ran.run(ROWS))
    return ran


@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_it_is_named_rightly(course: Course, row: Row) -> None:
    outcome = course.outcomes[row.what]
    assert not outcome.missed, f"{row.command}: {outcome.missed}"
    assert outcome.exit_code == row.exit_code


def test_a_neighbour_with_short_lived_children_was_well_throughout(course: Course) -> None:
    faults = course.neighbour_faults
    assert not faults, f"whatever else happens, it is well; it was told to be {faults}"
