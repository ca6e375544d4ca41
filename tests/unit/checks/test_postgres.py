"""What a round with the database means."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from healthagent.checks.postgres import CHECK, MEANING
from healthagent.core.observation import (
    Database,
    DatabaseDown,
    DatabaseError,
    DatabaseSession,
    Observation,
    ServerLimits,
    Unseen,
)
from healthagent.core.target import DatabaseRef, Target, Timing
from healthagent.core.verdict import Status, Verdict

REF = DatabaseRef("db", 5432, "shop")
APP = Target(id="a", name="app-1", service="app", database=REF, timing=Timing(timeout=0.8))
LIMITS = ServerLimits(max_connections=100, superuser_reserved=3)
ANSWERED = Database(REF, 0.004, 1, "healthagent", LIMITS, ())


def judged(session: Database | DatabaseDown | Unseen) -> Verdict:
    fact = session if isinstance(session, Unseen) else DatabaseSession(session)
    return CHECK.judge(Observation(APP, {DatabaseSession: fact}))


def down(error: DatabaseError, detail: str = "", sqlstate: str = "") -> DatabaseDown:
    return DatabaseDown(REF, error, detail, 0.1, sqlstate)


def test_a_session_in_time_is_ok() -> None:
    verdict = judged(ANSWERED)
    assert (verdict.status, verdict.reason) == (Status.OK, "db:5432/shop answered")
    assert verdict.evidence == {"ms": 4.0}


@pytest.mark.parametrize(("elapsed", "code"), [(0.4, "ok"), (0.401, "slow")])
def test_more_than_half_of_the_timeout_is_slow(elapsed: float, code: str) -> None:
    assert judged(replace(ANSWERED, elapsed=elapsed)).code == code


def test_a_slow_session_is_degraded_and_says_how_slow() -> None:
    verdict = judged(replace(ANSWERED, elapsed=0.6))
    assert verdict.status is Status.DEGRADED
    assert "600 ms" in verdict.reason


def test_a_standby_is_degraded_since_it_takes_no_writes() -> None:
    verdict = judged(replace(ANSWERED, in_recovery=True))
    assert (verdict.status, verdict.code) == (Status.DEGRADED, "standby")


def test_a_server_that_takes_no_writes_is_degraded_and_the_setting_named() -> None:
    verdict = judged(replace(ANSWERED, read_only=True))
    assert (verdict.status, verdict.code) == (Status.DEGRADED, "read_only")
    assert "default_transaction_read_only is on" in verdict.reason


@pytest.mark.parametrize("error", get_args(DatabaseError))
def test_each_way_to_fail_has_a_code_and_names_the_server(error: DatabaseError) -> None:
    verdict = judged(down(error))
    assert (verdict.status, verdict.code) == (Status.FAILED, error)
    assert "db:5432" in verdict.reason


def test_no_meaning_is_kept_for_an_error_that_does_not_exist() -> None:
    assert set(MEANING) == set(get_args(DatabaseError))


def test_exhausted_is_told_from_down() -> None:
    verdict = judged(down("exhausted", "sorry, too many clients already", "53300"))
    assert "exhausted, not down" in verdict.reason
    assert verdict.evidence == {"sqlstate": "53300"}


def test_the_servers_own_words_stand_behind_the_meaning() -> None:
    verdict = judged(down("rejected", 'database "shop" does not exist'))
    assert verdict.reason.endswith('(database "shop" does not exist)')
    assert verdict.evidence == {}, "no SQLSTATE, no evidence of one"


def test_what_the_agent_could_not_see_is_unknown_with_the_remedy() -> None:
    verdict = judged(Unseen("the agent has no role", "set HEALTHAGENT_POSTGRES_USER"))
    assert verdict.status is Status.UNKNOWN
    assert "set HEALTHAGENT_POSTGRES_USER" in verdict.reason


def test_a_replica_without_a_database_is_not_judged() -> None:
    assert CHECK.applies(APP)
    assert not CHECK.applies(replace(APP, database=None))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_database_on_the_replicas_own_loopback_is_none_that_the_agent_can_ask(host: str) -> None:
    """What refuses the agent there is the agent's own network."""
    own = replace(APP, address="10.0.0.1", database=replace(REF, host=host))
    refused = DatabaseDown(replace(REF, host=host), "refused", "", 0.1, "")
    verdict = CHECK.judge(Observation(own, {DatabaseSession: DatabaseSession(refused)}))
    assert (verdict.status, verdict.code) == (Status.UNKNOWN, "unseen")
    assert "healthagent.database" in verdict.reason, "and the remedy is named"


@pytest.mark.parametrize(
    ("id_", "address"), [("a" * 64, "127.0.0.1"), ("static:app-1", "127.0.0.1")],
    ids=["both on the host's network", "a local process"],
)  # fmt: skip
def test_a_database_on_a_loopback_that_the_agent_shares_is_judged(id_: str, address: str) -> None:
    shared = replace(APP, id=id_, address=address, database=replace(REF, host="127.0.0.1"))
    refused = DatabaseDown(replace(REF, host="127.0.0.1"), "refused", "", 0.1, "")
    verdict = CHECK.judge(Observation(shared, {DatabaseSession: DatabaseSession(refused)}))
    assert (verdict.status, verdict.code) == (Status.FAILED, "refused")
