"""What ``pool`` and ``dbos`` say where nobody can tell what a replica holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from healthagent.checks.dbos import CHECK as DBOS
from healthagent.checks.pool import CHECK as POOL
from healthagent.core.check import Check
from healthagent.core.observation import (
    Backend,
    DatabaseDown,
    DatabaseSession,
    Fact,
    Fleet,
    Observation,
    Unseen,
)
from healthagent.core.target import Pools, Target
from healthagent.core.verdict import Status, Verdict
from tests.unit.checks.database import AGENT, REF, observed, said

APP = Target(id="app-1", name="app-1", service="app", pools=Pools(dbos=3), database=REF)
FLEET = Fleet((APP,))
DOWN = DatabaseSession(DatabaseDown(REF, "refused", "", 0.1))

pytestmark = pytest.mark.parametrize("check", [POOL, DBOS], ids=lambda check: check.name)


@pytest.mark.parametrize(
    ("facts", "code", "hint"),
    [
        ({DatabaseSession: Unseen("the agent has no role"), Fleet: FLEET}, "no_session", "no role"),
        ({DatabaseSession: DOWN, Fleet: FLEET}, "no_session", "see postgres"),
        ({DatabaseSession: DOWN}, "unseen", "no source for Fleet"),
    ],
    ids=["the agent's own want", "no session", "no fleet"],
)
def test_without_a_session_or_the_fleet_it_is_unknown(
    check: Check, facts: Mapping[type[Fact], Fact | Unseen], code: str, hint: str
) -> None:
    verdict = check.judge(Observation(APP, facts))
    assert said(verdict) == (Status.UNKNOWN, code)
    assert hint in verdict.reason


def test_connections_that_cannot_be_told_from_others_are_unknown_with_the_remedy(
    check: Check,
) -> None:
    local = replace(APP, addresses=("127.0.0.1",))
    verdict = check.judge(observed(local, [local], []))
    assert said(verdict) == (Status.UNKNOWN, "unseen")
    assert "pid: host" in verdict.reason


def test_a_connection_that_is_older_than_the_replica_is_of_who_had_its_address_before(
    check: Check,
) -> None:
    address, name = "172.20.0.11", "dbos_transact_app-1_v1"
    app = replace(APP, addresses=(address,))
    left = replace(AGENT, role="app", application=name, client_address=address, age=60.0)

    def judged(started: float, *backends: Backend) -> Verdict:
        """Of a replica that was started so many seconds ago."""
        return check.judge(observed(app, [app], backends, began=started))

    apart = 1.0 + 0.01  # what Docker leaves out of an age, and what the round took
    assert judged(58.9, left) == judged(58.9)
    assert judged(60.0 - apart, left) == judged(60.0, left) != judged(60.0)
    set_clock = replace(left, age=3600.0)
    assert judged(60.1, set_clock) == judged(60.1, left), "by then it is its own, whatever its age"
