"""What counts as back: as well as it was, in another life, its own executor registered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.core.report import TargetReport
from healthagent.core.rotation import Drain
from healthagent.core.timeline import Timeline
from healthagent.core.verdict import Status, Verdict
from healthagent.supervisor.passage import Former
from healthagent.supervisor.watched import how
from tests.unit.supervisor.scenes import report, well


def replica(*, started_at: float, status: Status = Status.OK, code: str = "ok") -> TargetReport:
    """A replica that serves, as ``dbos`` sees its executor."""
    (seen,) = report(well("app-1")).targets
    assert seen.container is not None
    verdict = Verdict(status, code, "")
    return replace(
        seen,
        container=replace(seen.container, started_at=started_at),
        checks=tuple(
            check._replace(timeline=Timeline(verdict), shown=verdict)
            if check.name == "dbos"
            else check
            for check in seen.checks
        ),
    )


FORMER = Former.of(replica(started_at=1.0))


def test_in_the_same_life_it_is_not_back() -> None:
    assert not FORMER.is_over(replica(started_at=1.0))
    assert FORMER.is_over(replica(started_at=2.0))


def test_a_life_that_begins_after_the_clock_was_set_back_is_another_one() -> None:
    later = Former.of(replica(started_at=7200.0))
    assert later.is_over(replica(started_at=1.0)), "compare lives, not which began first"


def test_one_that_was_not_started_yet_is_not_back() -> None:
    assert not FORMER.is_over(replica(started_at=0.0)), "0 is the time of what never started"


@pytest.mark.parametrize(
    ("code", "back"),
    [
        ("mixed_versions", True),
        ("orphaned", True),
        ("unexpected_id", False),
        ("shared_id", False),
        ("local_id", False),
    ],
)
def test_it_is_back_with_its_own_executor_whatever_the_service_runs_besides(
    code: str, back: bool
) -> None:
    """In a roll to another version all but the first and the last meet two versions."""
    degraded = replica(started_at=2.0, status=Status.DEGRADED, code=code)
    assert FORMER.is_over(degraded) is back
    assert Former.of(degraded).had_executor is back


def test_without_an_executor_before_none_is_waited_for() -> None:
    never = Former.of(replica(started_at=1.0, status=Status.UNKNOWN, code="no_session"))
    assert never.is_over(replica(started_at=2.0, status=Status.UNKNOWN, code="no_session"))


def test_why_it_is_not_back_is_never_that_the_act_itself_keeps_it_out() -> None:
    seen = replica(started_at=2.0, status=Status.UNKNOWN, code="behind_pooler")
    kept_out = replace(seen, drain=Drain("somebody", "restart", 0.0))
    assert "drained" not in how(kept_out)
    assert how(kept_out) == how(seen)
