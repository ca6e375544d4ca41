"""What was seen to be asked on a connection is remembered as long as it is that connection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.sources.postgres.asked import Asked
from tests.unit.checks.database import AGENT

CONNECTION = replace(AGENT, pid=7, age=60.0)


def test_what_a_round_saw_is_told_by_the_next() -> None:
    asked = Asked()
    asked.remembered([replace(CONNECTION, asked_dbos=3.0)])
    (later,) = asked.remembered([CONNECTION])
    assert later.asked_dbos == pytest.approx(3.0, abs=1.0)
    (newer,) = asked.remembered([replace(CONNECTION, asked_dbos=0.5)])
    assert newer.asked_dbos == 0.5


def test_nothing_is_told_of_a_connection_on_which_nothing_was_seen() -> None:
    assert Asked().remembered([CONNECTION]) == (CONNECTION,)


def test_what_was_seen_ends_with_the_connection() -> None:
    asked = Asked()
    asked.remembered([replace(CONNECTION, asked_dbos=3.0)])
    asked.remembered([])
    assert asked.remembered([CONNECTION]) == (CONNECTION,)


def test_a_new_connection_of_the_same_pid_is_another_one() -> None:
    asked = Asked()
    asked.remembered([replace(CONNECTION, asked_dbos=3.0)])
    newer = replace(CONNECTION, age=1.0)
    assert asked.remembered([newer]) == (newer,)
