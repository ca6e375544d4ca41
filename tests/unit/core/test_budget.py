"""How many connections are planned, held and allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.core.attribution import Ledger, ledger
from healthagent.core.budget import Budget, Limit, Part, ReplicaBudget, budget, newest_rounds
from healthagent.core.observation import (
    Backend,
    ClientPorts,
    Database,
    DatabaseDown,
    DatabaseError,
    Fleet,
    ServerLimits,
)
from healthagent.core.target import DatabaseRef, Pools, Target

REF = DatabaseRef("postgres", 5432, "app")
LIMITS = ServerLimits(max_connections=40, superuser_reserved=3, reserved=2)
AGENT = Backend(
    pid=1,
    role="healthagent",
    database="app",
    application="healthagent",
    client_address="172.20.0.2",
    client_port=1,
)


POOLS = Pools(prisma=5, dbos=3)


def replica(number: int, pools: Pools = POOLS) -> Target:
    name, address = f"app-{number}", f"172.20.0.{10 + number}"
    return Target(
        id=name, name=name, service="app", addresses=(address,), pools=pools, database=REF
    )


def from_address(*addresses: str) -> tuple[Backend, ...]:
    return tuple(
        replace(AGENT, pid=pid, role="app", application="", client_address=address)
        for pid, address in enumerate(addresses, 100)
    )


def budgeted(sharing: list[Target], *backends: Backend) -> Budget:
    database = Database(REF, 0.01, AGENT.pid, AGENT.role, LIMITS, (AGENT, *backends))
    account = Ledger(database, tuple(sharing))
    return budget(account, account.owners({}))


def test_what_is_reserved_is_not_allowed_to_ordinary_roles() -> None:
    assert budgeted([]).allowed == 40 - 3 - 2


def test_the_plan_is_all_pools_the_agent_and_what_strangers_hold() -> None:
    made = budgeted(
        [replica(1), replica(2)], *from_address("172.20.0.11", "172.20.0.11", "10.0.0.9")
    )
    assert made.server == "postgres:5432"
    assert (made.declared, made.agent, made.others) == (16, 1, 1)
    assert made.planned == 16 + 1 + 1
    assert made.held == 4
    assert [each.held for each in made.replicas] == [2, 0]


def test_the_agents_own_connection_is_counted_once_though_it_shares_a_replicas_address() -> None:
    """As a sidecar (network_mode: service:app) the agent comes from the app's address."""
    beside = replace(replica(1), addresses=("172.20.0.2",))
    made = budgeted([beside], *from_address("172.20.0.2"))
    assert (made.agent, made.others, made.replicas[0].held) == (1, 0, 1)


def test_what_cannot_be_told_from_others_is_neither_held_nor_a_strangers() -> None:
    local = replace(replica(1), addresses=("127.0.0.1",))
    made = budgeted([local], *from_address("127.0.0.1", "10.0.0.9"))
    assert made.replicas[0].held is None
    assert made.others == 1, "only the backend from elsewhere is known to be a stranger's"


def test_local_replicas_are_told_apart_by_their_ports() -> None:
    local = replace(replica(1), addresses=("127.0.0.1",))
    mine, psql = (
        replace(backend, client_port=port)
        for backend, port in zip(from_address("127.0.0.1", "127.0.0.1"), (5001, 6000), strict=True)
    )
    database = Database(REF, 0.01, AGENT.pid, AGENT.role, LIMITS, (AGENT, mine, psql))
    account = Ledger(database, (local,))
    made = budget(account, account.owners({local.id: ClientPorts(frozenset({5001}))}))
    assert (made.replicas[0].held, made.others) == (1, 1)


OF_APP = [replace(replica(number), role="app") for number in (1, 2)]
POOLER = "172.20.0.99"


def test_what_comes_through_a_pooler_counts_against_the_declared_pools_first() -> None:
    """Or through NAT: whose each of them is cannot be told, only that they are planned for."""
    made = budgeted(OF_APP, *from_address(*[POOLER] * 16))
    assert (made.declared, made.others, made.planned, made.held) == (16, 0, 17, 17)
    assert [each.held for each in made.replicas] == [None, None]
    more = budgeted(OF_APP, *from_address(*[POOLER] * 16, "10.0.0.9", "10.0.0.9"))
    assert (more.others, more.planned) == (2, 19), "the pools have no room for two of them"


def test_of_a_pool_that_is_seen_to_connect_by_itself_none_is_supposed_behind_a_pooler() -> None:
    direct = budgeted(OF_APP, *from_address("172.20.0.11", *["10.0.0.9"] * 4))
    assert (direct.others, direct.planned) == (4, 16 + 1 + 4), "a person's psql, by the same role"
    dbos = replace(from_address("172.20.0.11")[0], pid=99, application="dbos_transact_app-1_v1")
    half = budgeted(OF_APP, dbos, *from_address(*[POOLER] * 12))
    assert half.others == 2, "two times five are declared for the app's own pool"
    assert [each.held for each in half.replicas] == [1, None]


def test_a_pooler_of_another_role_or_database_is_a_stranger() -> None:
    pooled = from_address(*[POOLER] * 4)
    assert budgeted([replica(1)], *pooled).others == 4, "the role of the replica is not known"
    for others in (
        [replace(each, role="reports") for each in pooled],
        [replace(each, database="reports") for each in pooled],
    ):
        assert budgeted(OF_APP, *others).others == 4


def test_a_replica_that_does_not_run_has_nothing_behind_a_pooler() -> None:
    created = [replace(each, addresses=()) for each in OF_APP]
    made = budgeted(created, *from_address(*[POOLER] * 4))
    assert (made.others, [each.held for each in made.replicas]) == (4, [0, 0])


def test_hidden_backends_are_nobodys_known() -> None:
    hidden = replace(from_address("172.20.0.11")[0], client_address=None, visible=False)
    made = budgeted([replica(1)], hidden)
    assert (made.replicas[0].held, made.others, made.held) == (None, 0, 2)


@pytest.mark.parametrize(("replicas", "fits"), [(3, True), (4, False)])
def test_the_budget_fits_while_the_plan_and_a_rollouts_surge_are_within_what_is_allowed(
    replicas: int, fits: bool
) -> None:
    made = budgeted([replica(number) for number in range(replicas)])
    assert made.planned == 8 * replicas + 1
    assert made.surge == 8, "one replica more, for as long as it stands beside the one it replaces"
    assert made.fits is fits


def test_only_one_service_at_a_time_is_rolled() -> None:
    jobs = replace(replica(9, Pools(prisma=2)), service="jobs", surge=3)
    assert budgeted([replica(1), jobs]).surge == 8
    assert budgeted([replace(replica(1), surge=0), jobs]).surge == 6


def limited(sharing: list[Target], *backends: Backend) -> Budget:
    """Under a CONNECTION LIMIT of the app's role, and one of its database."""
    limits = replace(LIMITS, role_limits={"app": 24, "idle": 1}, database_limits={"app": 30})
    database = Database(REF, 0.01, AGENT.pid, AGENT.role, limits, (AGENT, *backends))
    account = Ledger(database, tuple(sharing))
    return budget(account, account.owners({}))


def test_a_connection_limit_counts_the_replicas_of_its_role_and_others_under_it() -> None:
    sharing = [replace(replica(n), role="app") for n in (1, 2)]
    made = limited(sharing, *from_address("172.20.0.11", "10.0.0.9"))
    role, database = made.limits
    assert (str(role), role.held, role.agent, role.others) == (
        "the CONNECTION LIMIT of role app", 2, 0, 1,
    )  # fmt: skip
    assert (database.held, database.agent, database.others) == (3, 1, 1)
    assert (made.planned_within(role), made.planned_within(database)) == (17, 18)


def test_every_role_and_database_that_is_used_has_its_part_and_all_add_up() -> None:
    """Whether it has a CONNECTION LIMIT or not."""
    psql = replace(AGENT, pid=9, role="postgres", database="postgres", application="psql")
    sharing = [replace(replica(n), role="app") for n in (1, 2)]
    made = limited(sharing, *from_address("172.20.0.11"), replace(psql, client_address="10.0.0.9"))
    parts = {(part.kind, part.name): part for part in made.parts}
    assert list(parts) == [
        ("role", "app"), ("role", "healthagent"), ("role", "postgres"),
        ("database", "app"), ("database", "postgres"),
    ]  # fmt: skip
    for kind in ("role", "database"):
        ours = [part for part in made.parts if part.kind == kind]
        assert sum(part.held for part in ours) == made.held == 3
        assert sum(part.agent for part in ours) == made.agent == 1
        assert sum(part.others for part in ours) == made.others == 1
        assert sum(made.declared_within(part) for part in ours) == made.declared == 16
    assert [part.name for part in made.parts if isinstance(part, Limit)] == ["app", "app"]


def with_dbos_apart(*sharing: Target) -> Budget:
    """The first replica's DBOS is seen to log in by a role of its own, to a database of its own;
    both have a CONNECTION LIMIT, and so has the app's database."""
    limits = replace(
        LIMITS, role_limits={"dbos": 9}, database_limits={"app": 13, "app_dbos_sys": 12}
    )
    app, dbos = from_address("172.20.0.11", "172.20.0.11")
    dbos = replace(dbos, role="dbos", database="app_dbos_sys", application="dbos_transact_app-1_v1")
    database = Database(REF, 0.01, AGENT.pid, AGENT.role, limits, (AGENT, app, dbos))
    account = Ledger(database, sharing)
    return budget(account, account.owners({}))


def test_where_dbos_logs_in_otherwise_its_pool_counts_there_and_the_rest_where_the_app_does() -> (
    None
):
    made = with_dbos_apart(replica(1), replica(2))
    parts = {(part.kind, part.name): part for part in made.parts}
    assert {
        key: (made.planned_within(part), part.held, made.surge_within(part))
        for key, part in parts.items()
        if key[1] != "healthagent"
    } == {
        ("role", "app"): (10, 1, 5),
        ("role", "dbos"): (6, 1, 3),
        ("database", "app"): (11, 2, 5),
        ("database", "app_dbos_sys"): (6, 1, 3),
    }
    assert sum(made.declared_within(part) for part in made.parts if part.kind == "role") == 16
    assert (made.planned, made.surge) == (17, 8), "of the server it is all one"


def test_a_connection_limit_where_dbos_logs_in_bounds_the_replicas() -> None:
    assert {limit.name for limit in with_dbos_apart(replica(1)).limits} == {
        "dbos", "app", "app_dbos_sys",
    }  # fmt: skip
    two, three = (with_dbos_apart(*map(replica, range(1, n))) for n in (3, 4))
    assert two.largest("app") == 1, "13 for the app's database: 5 each, the agent's, and a rollout"
    lacking = three.lacking("app")
    assert lacking is not None
    assert (lacking[0].name, lacking[1]) == ("app", 8), "of four it lacks the most"
    without_limit = replace(three, parts=tuple(p for p in three.parts if p.name != "app"))
    assert without_limit.largest("app") == 2, "9 for DBOS's role: 3 each, and a rollout"


def test_a_replica_without_a_declared_pool_counts_where_it_holds_something() -> None:
    made = with_dbos_apart(replica(1, Pools()))
    planned = {part.name: made.planned_within(part) for part in made.parts}
    assert planned == {"app": 2, "app_dbos_sys": 1, "dbos": 1, "healthagent": 1}


def test_a_role_that_holds_nothing_yet_has_its_part() -> None:
    made = budgeted([replace(replica(1), role="app")])
    assert made.parts[0] == Part("role", "app", held=0, agent=0, others=0)


def test_a_connection_limit_of_a_role_that_no_replica_has_bounds_none_of_them() -> None:
    idle = replace(AGENT, pid=9, role="idle", client_address="10.0.0.9")
    made = limited([replace(replica(1), role="app")], idle)
    assert "idle" in {part.name for part in made.parts}
    assert "idle" not in {limit.name for limit in made.limits}


def test_a_server_of_two_names_has_one_budget_and_one_connection_of_the_agents_for_each() -> None:
    other = replace(replica(2), database=replace(REF, host="pooler", port=6432))
    second = replace(AGENT, pid=2)
    database = Database(
        REF,
        0.01,
        AGENT.pid,
        AGENT.role,
        LIMITS,
        (AGENT, second),
        also=frozenset({("pooler", 6432)}),
    )
    account = ledger(database, Fleet((replica(1), other, replace(replica(3), database=None))))
    made = budget(account, account.owners({}))
    assert (made.server, made.also) == ("pooler:6432", ("postgres:5432",))
    assert [each.name for each in made.replicas] == ["app-1", "app-2"]
    assert (made.declared, made.agent, made.others) == (16, 2, 0)


def test_a_server_of_an_ipv6_address_is_named_as_in_a_url() -> None:
    account = Ledger(a_round("fd00::5"), ())
    assert budget(account, {}).server == "[fd00::5]:5432"


def a_round(host: str = "postgres", database: str = "app", also: str = "") -> Database:
    ref = DatabaseRef(host, 5432, database)
    others = frozenset({(also, 5432)}) if also else frozenset()
    return Database(ref, 0.01, AGENT.pid, AGENT.role, LIMITS, (AGENT,), also=others)


def a_failure(error: DatabaseError = "refused", host: str = "postgres") -> DatabaseDown:
    return DatabaseDown(DatabaseRef(host, 5432, "app"), error, "", 0.01)


def test_of_each_server_the_newest_round_counts_whichever_database_it_was_of() -> None:
    older, newest = a_round(), a_round(database="reports")
    assert newest_rounds([older, newest]) == (newest,)
    assert newest_rounds([older, newest, older]) == (newest,), "the last look shared an old round"
    elsewhere = a_round("archive")
    assert newest_rounds([older, newest, elsewhere]) == (elsewhere, newest), "in the servers' order"


def test_a_round_through_another_address_of_the_server_is_one_of_the_same() -> None:
    newest = a_round("pooler", also="postgres")
    assert newest_rounds([a_round(), newest]) == (newest,)


def test_a_server_that_is_down_by_now_has_no_round() -> None:
    assert newest_rounds([a_round(), a_round(database="reports"), a_failure()]) == ()
    again, elsewhere = a_round(), a_round("archive")
    assert newest_rounds([a_round(), a_failure(), again]) == (again,), "it is back"
    assert newest_rounds([elsewhere, a_failure()]) == (elsewhere,)


def test_a_pooler_that_is_down_leaves_what_the_server_itself_told() -> None:
    direct = a_round(also="pooler")
    assert newest_rounds([direct, a_failure(host="pooler")]) == (direct,)


@pytest.mark.parametrize("error", ["absent", "closed", "exhausted"])
def test_a_server_that_refuses_one_session_is_not_down(error: DatabaseError) -> None:
    told = a_round(database="reports")
    assert newest_rounds([told, a_failure(error)]) == (told,)


def test_the_largest_scale_is_held_to_the_narrowest_limit() -> None:
    made = limited([replace(replica(1), role="app")])
    assert made.largest("app") == 2, "24 of the role are 2 replicas, and one more in a rollout"
    assert made.scaled("app", 2).fits
    assert not made.scaled("app", 3).fits


def test_the_agent_has_one_connection_in_each_database_of_the_server() -> None:
    reports = replace(replica(2), database=replace(REF, name="reports"))
    second = replace(AGENT, pid=2, database="reports")
    made = budgeted([replica(1), reports], second)
    assert (made.agent, made.others) == (2, 0)


def test_replicas_that_declare_no_pool_are_named_since_the_plan_lacks_them() -> None:
    made = budgeted([replica(1), replica(2, Pools())])
    assert made.undeclared == ("app-2",)
    assert made.planned == 8 + 1


def test_scaling_plans_for_replicas_like_the_ones_that_are_there() -> None:
    made = budgeted([replica(1), replica(2)])
    assert made.scaled("app", 4).declared == 4 * 8
    assert made.scaled("app", 1).declared == 8
    assert made.scaled("app", 0).declared == 0


def test_scaling_leaves_other_services_as_they_are() -> None:
    other = replace(replica(9), service="jobs")
    assert budgeted([replica(1), other]).scaled("app", 3).declared == 3 * 8 + 8


def test_the_largest_scale_is_the_last_that_fits() -> None:
    made = budgeted([replica(1)])
    largest = made.largest("app")
    assert largest is not None
    assert made.scaled("app", largest).fits
    assert not made.scaled("app", largest + 1).fits


def test_where_others_take_all_no_replica_fits() -> None:
    assert budgeted([replica(1)], *from_address(*["10.0.0.9"] * 40)).largest("app") == 0


def test_a_service_that_is_not_there_cannot_be_scaled() -> None:
    with pytest.raises(KeyError):
        budgeted([replica(1)]).scaled("jobs", 2)
    with pytest.raises(KeyError):
        budgeted([replica(1)]).largest("jobs")


def test_without_a_declared_pool_no_number_is_the_largest() -> None:
    assert budgeted([replica(1, Pools())]).largest("app") is None


def test_a_planned_replica_says_that_it_is_planned() -> None:
    scaled = budgeted([replica(1)]).scaled("app", 2)
    assert scaled.replicas[1] == ReplicaBudget("app (planned 2)", "app", 8, 0, database="app")


def test_one_replica_more_lacks_what_passes_a_limit() -> None:
    """35 are allowed: 4 replicas and the agent plan 33."""
    three = budgeted([replica(1), replica(2), replica(3)])
    assert three.lacking("app") is None
    assert three.lacking("nothing") is None
    four = budgeted([replica(1), replica(2), replica(3), replica(4)])
    assert four.lacking("app") == (four.bounds[0], 6)
