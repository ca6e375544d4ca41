"""Does a replica hold what it declared, and do all declarations fit the server?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.checks.pool import CHECK
from healthagent.core.observation import Backend, ServerLimits
from healthagent.core.target import DatabaseRef, Pools, Target
from healthagent.core.verdict import Status, Verdict
from tests.unit.checks.database import AGENT, LIMITS, REF, observed, said

POOLS = Pools(prisma=5, dbos=3)


def replica(number: int, service: str = "app") -> Target:
    name = f"{service}-{number}"
    return Target(
        id=name,
        name=name,
        service=service,
        addresses=(f"172.20.0.{10 + number}",),
        pools=POOLS,
        database=REF,
    )


APP = replica(1)


def prisma(count: int, address: str = "172.20.0.11") -> list[Backend]:
    return [replace(AGENT, role="app", application="", client_address=address)] * count


def dbos(count: int, address: str = "172.20.0.11") -> list[Backend]:
    return [
        replace(backend, application="dbos_transact_app-1_v1") for backend in prisma(count, address)
    ]


def judged(
    *backends: Backend,
    target: Target = APP,
    fleet: tuple[Target, ...] = (),
    limits: ServerLimits = LIMITS,
) -> Verdict:
    return CHECK.judge(observed(target, fleet or (target,), backends, limits=limits))


def test_no_connection_is_no_fault_since_prisma_opens_them_when_asked() -> None:
    assert said(judged()) == (Status.OK, "ok")


def test_full_pools_are_ok() -> None:
    verdict = judged(*prisma(5), *dbos(3))
    assert verdict.status is Status.OK
    assert verdict.reason == "holds 8 of 8 connections"


@pytest.mark.parametrize(
    ("backends", "hint"),
    [
        (prisma(6), "holds 6 prisma connections and declared 5"),
        (dbos(4), "holds 4 dbos connections and declared 3"),
    ],
)
def test_more_than_declared_is_degraded_and_names_the_pool(
    backends: list[Backend], hint: str
) -> None:
    verdict = judged(*backends)
    assert said(verdict) == (Status.DEGRADED, "over_declared")
    assert hint in verdict.reason


@pytest.mark.parametrize("sign", [{"listens_dbos": True}, {"asked_dbos": 0.5}], ids=str)
def test_where_dbos_has_a_pool_without_a_name_the_sum_of_both_is_held_to_what_they_declare(
    sign: dict[str, object],
) -> None:
    told = replace(prisma(1)[0], **sign)  # type: ignore[arg-type]
    assert judged(*prisma(7), told).code == "ok", "5 and 3"
    verdict = judged(*prisma(8), told)
    assert said(verdict) == (Status.DEGRADED, "over_declared")
    assert "holds 9 prisma and dbos connections and declared 8" in verdict.reason


def test_a_pool_that_declares_nothing_is_not_held_to_anything() -> None:
    assert judged(*prisma(20), target=replace(APP, pools=Pools(dbos=3))).status is Status.OK


def test_others_connections_are_not_held_against_a_replica() -> None:
    assert judged(*prisma(9, "10.0.0.9")).status is Status.OK


def test_the_agents_own_connection_is_not_the_replicas_though_it_shares_its_address() -> None:
    beside = replace(APP, addresses=("172.20.0.2",))
    verdict = judged(*prisma(5, "172.20.0.2"), target=beside)
    assert verdict.evidence == {"held": 5}


def test_what_is_enforced_fails() -> None:
    enforcing = replace(APP, enforce=frozenset({"pool"}))
    assert said(judged(*prisma(6), target=enforcing)) == (Status.FAILED, "over_declared")


def test_a_server_whose_last_ordinary_connection_is_taken_is_exhausted() -> None:
    assert said(judged(*prisma(36, "10.0.0.9"))) == (Status.DEGRADED, "exhausted")


@pytest.mark.parametrize(
    ("replicas", "strangers", "code"),
    [(4, 0, "ok"), (4, 4, "ok"), (4, 5, "foreign_holders"), (5, 0, "over_planned")],
)
def test_all_pools_the_agent_and_strangers_must_fit_the_server(
    replicas: int, strangers: int, code: str
) -> None:
    fleet = tuple(replica(number) for number in range(1, replicas + 1))
    assert judged(*prisma(strangers, "10.0.0.9"), fleet=fleet).code == code


def test_a_plan_that_does_not_fit_says_by_how_much_and_what_to_do() -> None:
    verdict = judged(fleet=tuple(replica(number) for number in range(1, 6)))
    assert "41 connections, the server allows 37" in verdict.reason
    assert "raise max_connections" in verdict.reason


def test_replicas_of_another_server_are_no_part_of_the_plan() -> None:
    elsewhere = DatabaseRef("other", 5432, "shop")
    fleet = (APP, *(replace(replica(number), database=elsewhere) for number in range(2, 9)))
    assert judged(fleet=fleet).status is Status.OK


def test_the_pools_of_a_service_must_fit_its_roles_connection_limit() -> None:
    limits = replace(LIMITS, role_limits={"app": 15, "healthagent": 3})
    verdict = judged(*prisma(1), fleet=(APP, replica(2)), limits=limits)
    assert said(verdict) == (Status.DEGRADED, "over_planned")
    assert "take 16 connections, the CONNECTION LIMIT of role app allows 15" in verdict.reason


def test_a_replica_that_holds_nothing_yet_has_the_role_of_its_url() -> None:
    fleet = tuple(replace(replica(n), role="app") for n in (1, 2))
    limits = replace(LIMITS, role_limits={"app": 15})
    assert judged(target=fleet[0], fleet=fleet, limits=limits).code == "over_planned"


def test_a_role_at_its_connection_limit_is_exhausted() -> None:
    limits = replace(LIMITS, role_limits={"app": 8})
    verdict = judged(*prisma(5), *dbos(3), limits=limits)
    assert said(verdict) == (Status.DEGRADED, "exhausted")
    assert "8 connections held, 8 allowed by the CONNECTION LIMIT of role app" in verdict.reason


def test_less_than_a_tenth_left_is_nearly_exhausted_and_names_who_holds_most() -> None:
    psql = [replace(each, application="psql") for each in prisma(3, "10.0.0.9")]
    jobs = prisma(7, "10.0.0.8")
    fleet = tuple(replica(n) for n in (1, 2, 3))
    held = [
        b for n in (11, 12, 13) for b in (*prisma(5, f"172.20.0.{n}"), *dbos(3, f"172.20.0.{n}"))
    ]
    verdict = judged(*held, *jobs, *psql, fleet=fleet)
    assert said(verdict) == (Status.DEGRADED, "nearly_exhausted")
    assert "(7 by role app from 10.0.0.8, 3 by role app from 10.0.0.9 as 'psql')" in verdict.reason


def test_foreign_holders_are_named_where_the_pools_alone_would_fit() -> None:
    fleet = tuple(replica(number) for number in range(1, 5))
    verdict = judged(*prisma(6, "10.0.0.9"), fleet=fleet)
    assert said(verdict) == (Status.DEGRADED, "foreign_holders")
    assert "6 by role app from 10.0.0.9" in verdict.reason


def test_the_surge_of_a_rollout_is_no_fault_of_what_runs_now() -> None:
    assert judged(fleet=tuple(replica(number) for number in range(1, 5))).status is Status.OK


def connected(age: float, idle: float, state: str = "idle") -> Backend:
    return replace(prisma(1)[0], state=state, age=age, idle_for=idle)


@pytest.mark.parametrize("state", ["idle", "idle in transaction", "idle in transaction (aborted)"])
def test_idle_connections_that_a_pool_passed_over_are_leaking(state: str) -> None:
    verdict = judged(*[connected(600, 300, state)] * 3, connected(5, 1))
    assert said(verdict) == (Status.DEGRADED, "leaking")
    assert "3 of its connections are idle, the longest for 300 s" in verdict.reason


@pytest.mark.parametrize(
    "backends",
    [
        [connected(600, 300)] * 4,
        [*[connected(600, 300)] * 2, connected(5, 1)],
        [*[connected(600, 4)] * 3, connected(5, 1)],
        [*[connected(600, 300, "active")] * 3, connected(5, 1)],
        [*[connected(302, 300)] * 3, connected(300, 299)],
    ],
    ids=["all idle", "a few may be meant", "used since", "at work", "opened together"],
)
def test_a_pool_that_merely_rests_does_not_leak(backends: list[Backend]) -> None:
    assert judged(*backends).code == "ok"


@pytest.mark.parametrize("other", ["application", "role", "database"])
def test_what_one_pool_opens_says_nothing_of_another(other: str) -> None:
    """Such as one of listeners that rest, beside the one that serves requests."""
    opens = replace(connected(5, 1), **{other: "web"})  # type: ignore[arg-type]
    assert judged(*[connected(600, 300)] * 3, opens).code == "ok"


def test_a_pool_with_nothing_free_is_saturated_and_the_database_is_not_to_blame() -> None:
    open_ = [connected(60, 30, "idle in transaction")] * 4
    verdict = judged(*open_, connected(60, 3, "active"))
    assert said(verdict) == (Status.DEGRADED, "saturated")
    assert "4 idle in transaction, 1 active" in verdict.reason
    assert "the database is well" in verdict.reason


@pytest.mark.parametrize(
    "last",
    [connected(60, 30), connected(60, 1.9, "active")],
    ids=["one is free", "one was, lately"],
)
def test_a_pool_that_gets_on_is_not_saturated(last: Backend) -> None:
    assert judged(*[connected(60, 30, "active")] * 4, last).code == "ok"


def test_a_limit_where_dbos_logs_in_is_told_of_the_replicas_and_counts_dbos_alone() -> None:
    apart = [replace(each, role="dbos", database="shop_dbos_sys") for each in dbos(3)]
    for limits, code in (
        (replace(LIMITS, database_limits={"shop_dbos_sys": 2}), "exhausted"),
        (replace(LIMITS, role_limits={"dbos": 5}), "over_planned"),
        (replace(LIMITS, role_limits={"dbos": 6}), "ok"),
        (replace(LIMITS, database_limits={"shop": 11}), "ok"),
    ):
        verdict = judged(*prisma(5), *apart, fleet=(APP, replica(2)), limits=limits)
        assert verdict.code == code, limits


def test_another_service_may_have_another_role() -> None:
    limits = replace(LIMITS, role_limits={"app": 15})
    assert judged(*prisma(1), fleet=(APP, replica(2, "jobs")), limits=limits).status is Status.OK


@pytest.mark.parametrize(
    ("role", "database", "limits"),
    [
        ("jobs", "reports", replace(LIMITS, role_limits={"jobs": 3})),
        ("jobs", "reports", replace(LIMITS, database_limits={"reports": 3})),
        ("shop", "reports", replace(LIMITS, role_limits={"shop": 3})),
        ("jobs", "app", replace(LIMITS, database_limits={"app": 3})),
    ],
)
def test_a_limit_that_another_service_has_reached_is_told_of_that_service_alone(
    role: str, database: str, limits: ServerLimits
) -> None:
    """Its role may be called as this one's database is, and its database as this one's role."""
    theirs = replace(REF, name=database)
    other = replace(replica(2, "jobs"), role=role, database=theirs)
    held = replace(prisma(1, "172.20.0.12")[0], role=role, database=database)
    backends, fleet = (*prisma(1), held, held, held), (APP, other)
    assert judged(*backends, fleet=fleet, limits=limits).code == "ok"
    assert judged(*backends, target=other, fleet=fleet, limits=limits).code == "exhausted"


def test_all_pools_and_the_agent_must_fit_the_databases_connection_limit() -> None:
    fleet = (APP, replica(2, "jobs"))
    assert judged(fleet=fleet, limits=replace(LIMITS, database_limits={"shop": 17})).code == "ok"
    verdict = judged(fleet=fleet, limits=replace(LIMITS, database_limits={"shop": 16}))
    assert "take 17 connections, the CONNECTION LIMIT of database shop allows 16" in verdict.reason


OF_ROLE = replace(APP, role="app")
POOLER = "172.20.0.99"


def test_behind_a_pooler_it_is_unknown_what_a_replica_holds_and_what_would_help() -> None:
    verdict = judged(*prisma(4, POOLER), *dbos(2, POOLER), target=OF_ROLE)
    assert said(verdict) == (Status.UNKNOWN, "behind_pooler")
    assert f"6 connections that may be its own come from {POOLER}" in verdict.reason
    assert "connect the replicas to Postgres itself" in verdict.reason


@pytest.mark.parametrize(
    ("target", "backends", "code"),
    [
        (OF_ROLE, [*dbos(2), *prisma(4, POOLER)], "behind_pooler"),
        (OF_ROLE, [*prisma(2), *dbos(2, POOLER)], "behind_pooler"),
        (OF_ROLE, [*prisma(2), *dbos(2), *prisma(4, POOLER)], "ok"),
        (OF_ROLE, [*prisma(1, "172.20.0.12"), *prisma(4, POOLER)], "ok"),
        (OF_ROLE, [*prisma(1), *prisma(4, POOLER)], "ok"),
        (replace(OF_ROLE, pools=Pools(dbos=3)), [*dbos(2), *prisma(4, POOLER)], "ok"),
        (replace(OF_ROLE, role="shop"), prisma(4, POOLER), "ok"),
        (APP, prisma(4, POOLER), "ok"),
        (replace(OF_ROLE, addresses=()), prisma(4, POOLER), "ok"),
        (OF_ROLE, [replace(each, database="shop_staging") for each in prisma(4, POOLER)], "ok"),
        (OF_ROLE, [*dbos(4), *prisma(4, POOLER)], "over_declared"),
        (OF_ROLE, prisma(36, POOLER), "exhausted"),
    ],
    ids=[
        "DBOS connects by itself, the app's pool does not",
        "the app's pool connects by itself, DBOS does not",
        "both connect by themselves, and a person has the same role",
        "a sibling connects by itself",
        "no executor is seen anywhere, and a person has the role of the pool that is seen",
        "the pool that connects from elsewhere is not declared",
        "its role is another",
        "its role is not known",
        "it does not run",
        "another database",
        "what it holds by itself is too much",
        "the server has no connection left",
    ],
)
def test_a_pooler_is_supposed_where_a_declared_pool_is_seen_of_no_replica_of_the_service(
    target: Target, backends: list[Backend], code: str
) -> None:
    sibling = replace(replica(2), role="app")
    assert judged(*backends, target=target, fleet=(target, sibling)).code == code


def test_connections_by_way_of_a_pooler_are_those_that_the_pools_plan_for() -> None:
    fleet = tuple(replace(replica(n), role="app") for n in (1, 2, 3, 4))
    pooled = [*prisma(20, POOLER), *dbos(12, POOLER)]
    assert judged(*pooled, target=fleet[0], fleet=fleet).code == "behind_pooler"
    psql = [replace(each, application="psql") for each in prisma(5, "10.0.0.9")]
    verdict = judged(*psql, *pooled[:30], target=fleet[0], fleet=fleet)
    assert verdict.code == "nearly_exhausted", "3 of the 35 are more than the pools declare"
    assert "(3 by role app from 10.0.0.9 as 'psql')" in verdict.reason


@pytest.mark.parametrize(
    ("target", "applies"),
    [
        (APP, True),
        (replace(APP, pools=Pools(prisma=0)), True),
        (replace(APP, pools=Pools()), False),
        (replace(APP, database=None), False),
    ],
)
def test_only_a_declared_pool_is_judged(target: Target, applies: bool) -> None:
    assert CHECK.applies(target) is applies
