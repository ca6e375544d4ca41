"""Does exactly one live DBOS executor, under the expected id, stand for a replica?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from healthagent.checks.dbos import CHECK
from healthagent.core.observation import (
    Backend,
    ClientPorts,
    Elsewhere,
    PendingWorkflows,
    Unseen,
)
from healthagent.core.target import Pools, Target
from healthagent.core.verdict import Status, Verdict
from tests.unit.checks.database import AGENT, HIDDEN, REF, observed, said

ONE, TWO = "172.20.0.11", "172.20.0.12"


def replica(name: str, address: str, executor: str | None = "") -> Target:
    """A replica whose executor is expected to be called as it is, if nothing else is said."""
    return Target(
        id=name,
        name=name,
        service="app",
        addresses=(address,),
        pools=Pools(dbos=3),
        database=REF,
        executor=name if executor == "" else executor,
    )


def executor(id_: str = "app-1", version: str = "v1", address: str = ONE) -> list[Backend]:
    """The two connections that an idle executor holds, one of which listens."""
    name = f"dbos_transact_{id_}_{version}"[:63]
    idle = replace(
        AGENT, role="app", application=name, client_address=address, idle_for=0.9, client_port=5001
    )
    return [idle, replace(idle, listens_dbos=True, idle_for=400.0)]


APP, SIBLING = replica("app-1", ONE), replica("app-2", TWO)


def judged(
    *backends: Backend,
    target: Target = APP,
    sibling: Target = SIBLING,
    ports: ClientPorts | Unseen = HIDDEN,
    pending: tuple[PendingWorkflows, ...] | Unseen = (),
    left: Sequence[str] = (),
    began: float | None = None,
) -> Verdict:
    seen = observed(
        target, (target, sibling), backends, ports=ports, pending=pending, left=left, began=began
    )
    return CHECK.judge(seen)


def test_an_executor_of_the_expected_id_is_ok() -> None:
    verdict = judged(*executor(), *executor("app-2", address=TWO))
    assert said(verdict) == (Status.OK, "ok")
    assert verdict.evidence == {"backends": 2}


@pytest.mark.parametrize(
    "backends",
    [
        [],
        executor("app-2", address=TWO),
        [replace(backend, application="") for backend in executor()[:1]],
    ],
)
def test_no_connection_of_an_executor_fails(backends: list[Backend]) -> None:
    verdict = judged(*backends)
    assert said(verdict) == (Status.FAILED, "not_registered")
    assert "DBOS.launch()" in verdict.reason


@pytest.mark.parametrize(("idle_for", "code"), [(5.0, "ok"), (5.1, "stale")])
def test_an_executor_whose_freshest_connection_is_silent_is_stale(
    idle_for: float, code: str
) -> None:
    assert judged(*(replace(each, idle_for=idle_for) for each in executor())).code == code


def test_a_stale_executor_fails_and_says_for_how_long() -> None:
    verdict = judged(*(replace(each, idle_for=61.04) for each in executor()))
    assert verdict.status is Status.FAILED
    assert "61 s" in verdict.reason
    assert verdict.evidence == {"idle_s": 61.0}


@pytest.mark.parametrize(("waits", "code"), [(5.0, "ok"), (5.1, "unanswered")])
def test_an_executor_that_waits_for_postgres_is_not_the_one_that_is_silent(
    waits: float, code: str
) -> None:
    """As where somebody holds a lock on DBOS's tables: what it asks next waits for that."""
    asking, listening = executor()
    asking = replace(asking, state="active", idle_for=waits)
    assert judged(asking, listening).code == code


def test_what_an_executor_waits_for_is_said_with_how_long_and_takes_nobody_out() -> None:
    waiting = [replace(each, state="active", idle_for=12.04) for each in executor()]
    verdict = judged(*waiting)
    assert said(verdict) == (Status.DEGRADED, "unanswered")
    assert "Postgres has been at work for 12 s" in verdict.reason
    assert verdict.evidence == {"waits_s": 12.0}
    assert judged(*waiting, pending=of_killed("v1", "app-1")).code == "unanswered"


def test_in_the_middle_of_a_transaction_the_silence_is_the_executors_own() -> None:
    stuck = [replace(each, state="idle in transaction", idle_for=6.0) for each in executor()]
    assert judged(*stuck).code == "stale"


def test_an_executor_that_has_only_the_connection_it_listens_on_is_not_called_stuck() -> None:
    """As where Postgres takes no writes: DBOS closes a connection on which a query fails. A process
    that is stuck closes none, and how long ago it said something is not seen any more."""
    _, listening = executor()
    verdict = judged(listening)
    assert said(verdict) == (Status.DEGRADED, "listens_only")
    assert "400 s" not in verdict.reason


def test_stale_comes_before_any_fault_of_identity() -> None:
    frozen = [replace(each, idle_for=60.0) for each in executor("local")]
    assert judged(*frozen).code == "stale"


@pytest.mark.parametrize(
    ("expected", "id_", "code"),
    [
        ("app-1", "app-1", "ok"),
        ("app-1", "app-10", "unexpected_id"),
        ("app-1", "local", "local_id"),
        (None, "anything", "ok"),
        (None, "local", "local_id"),
        (None, "localhost", "ok"),
        ("local_job", "local_job", "ok"),
        ("app_1_blue", "app_1_blue", "ok"),
        ("app_1", "app_2", "unexpected_id"),
        ("local", "local", "ok"),
    ],
)
def test_the_id_is_held_to_what_is_declared_and_is_never_the_default(
    expected: str | None, id_: str, code: str
) -> None:
    assert judged(*executor(id_), target=replica("app-1", ONE, expected)).code == code


def test_a_second_executor_of_another_id_in_the_same_replica_is_found() -> None:
    assert judged(*executor(), *executor("zombie")).code == "unexpected_id"


@pytest.mark.parametrize("named", ["local_", "app-1_"])
def test_a_client_beside_the_executor_is_no_executor_whatever_it_is_called(named: str) -> None:
    """A DBOSClient that was made before DBOS was launched knew no id, or no version."""
    client = replace(executor()[0], application=f"dbos_transact_{named}")
    enforcing = replace(APP, enforce=frozenset({"dbos"}))
    for target, sibling in ((enforcing, SIBLING), (SIBLING, enforcing)):
        backends = (*executor(), client, *executor("app-2", address=TWO))
        verdict = judged(*backends, target=target, sibling=sibling)
        assert said(verdict) == (Status.OK, "ok")
        assert verdict.evidence == {"backends": 2}
    silent = replace(executor()[0], listens_dbos=False)
    assert judged(silent, replace(client, application="dbos_transact_local_")).code == "local_id"


def test_an_id_is_told_as_far_as_postgres_kept_its_name() -> None:
    long = "a-very-long-project-name-with-a-very-long-service-name-1"
    assert judged(*executor(long), target=replica(long, ONE)).code == "ok"
    assert judged(*executor("b" + long), target=replica(long, ONE)).code == "unexpected_id"


def test_two_replicas_with_one_id_are_told_of_both() -> None:
    both = (*executor(), *executor(address=TWO))
    for target, sibling in ((APP, SIBLING), (replica("app-2", TWO, "app-1"), APP)):
        verdict = judged(*both, target=target, sibling=sibling)
        assert said(verdict) == (Status.DEGRADED, "shared_id")
        assert "2 processes share" in verdict.reason


def test_a_shared_id_is_found_where_nobody_listens() -> None:
    """``useListenNotify: false`` leaves no connection that listens."""
    silent = [replace(each, listens_dbos=False) for each in (*executor(), *executor(address=TWO))]
    assert judged(*silent).code == "shared_id"


LEFT_ADDRESS = "172.20.0.10"


def of_predecessor(address: str, version: str = "v1") -> list[Backend]:
    """What Postgres still shows of a container that was removed: older than the one that has its
    id now, which began 8 s ago."""
    return [replace(each, age=900.0) for each in executor(version=version, address=address)]


@pytest.mark.parametrize("address", [ONE, LEFT_ADDRESS], ids=["its own address", "one just left"])
@pytest.mark.parametrize("version", ["v1", "v0"])
def test_what_the_one_before_left_behind_under_the_same_id_is_no_second_process_or_version(
    address: str, version: str
) -> None:
    live = [replace(each, age=5.0) for each in executor()]
    dead = of_predecessor(address, version)
    assert judged(*live, *dead, began=8.0, left=[LEFT_ADDRESS]).code == "ok"


@pytest.mark.parametrize(
    ("address", "version", "code"),
    [
        (LEFT_ADDRESS, "v1", "shared_id"),
        (LEFT_ADDRESS, "v0", "mixed_versions"),
        (ONE, "v0", "mixed_versions"),
        (ONE, "v1", "ok"),
    ],
)
def test_who_speaks_on_where_the_one_before_was_lives_there_now(
    address: str, version: str, code: str
) -> None:
    """A second process in the replica itself, of the same name, is for ``process`` to tell."""
    live = [replace(each, age=5.0) for each in executor()]
    assert judged(*live, *of_predecessor(address, version), began=61.0).code == code


@pytest.mark.parametrize(("idle_for", "code"), [(5.0, "shared_id"), (5.1, "ok")])
def test_an_address_that_has_fallen_silent_is_no_second_process(idle_for: float, code: str) -> None:
    """A peer that vanished without a farewell is connected for two hours, as Postgres sees it."""
    silent = [replace(each, idle_for=idle_for) for each in executor(address=LEFT_ADDRESS)]
    assert judged(*executor(), *silent).code == code
    enforcing = replace(APP, enforce=frozenset({"dbos"}))
    assert judged(*executor(), *silent, target=enforcing).code == code


@pytest.mark.parametrize(("idle_for", "code"), [(5.0, "mixed_versions"), (5.1, "ok")])
def test_an_executor_that_has_fallen_silent_runs_no_version(idle_for: float, code: str) -> None:
    silent = [replace(each, idle_for=idle_for) for each in executor("app-2", "v0", TWO)]
    assert judged(*executor(), *silent).code == code


@pytest.mark.parametrize(("idle_for", "code"), [(5.0, "ok"), (5.1, "orphaned")])
def test_an_executor_that_has_fallen_silent_owns_no_workflows(idle_for: float, code: str) -> None:
    silent = [replace(each, idle_for=idle_for) for each in executor("app-3", address=OUTSIDE)]
    assert judged(*executor(), *silent, pending=of_killed()).code == code


def test_an_executor_that_waits_for_postgres_keeps_its_workflows() -> None:
    waiting = [
        replace(each, state="active", idle_for=60.0) for each in executor("app-3", address=OUTSIDE)
    ]
    assert judged(*executor(), *waiting, pending=of_killed()).code == "ok"


def test_a_connection_that_the_replica_itself_lost_is_no_second_process() -> None:
    lost = [replace(each, idle_for=900.0) for each in executor()]
    assert judged(*executor(), *lost).code == "ok"


def test_each_process_behind_one_address_counts() -> None:
    behind = executor(address=POOLER)
    assert "2 processes share" in judged(*behind, *behind).reason
    assert "3 processes share" in judged(*executor(), *behind, *behind).reason


def test_an_older_process_elsewhere_shares_the_id_of_one_that_has_just_begun() -> None:
    live = [replace(each, age=5.0) for each in executor()]
    assert judged(*live, *of_predecessor(TWO), began=8.0).code == "shared_id"


def test_what_was_left_behind_owns_no_workflows() -> None:
    dead = executor("app-3", address=LEFT_ADDRESS)
    assert judged(*executor(), *dead, pending=of_killed()).code == "ok"
    assert judged(*executor(), *dead, pending=of_killed(), left=[LEFT_ADDRESS]).code == "orphaned"


def test_a_shared_id_is_found_behind_one_address() -> None:
    local = replica("app-1", "127.0.0.1")
    mine = executor(address="127.0.0.1")
    others = [replace(each, client_port=5002) for each in mine]
    ports = ClientPorts(frozenset({5001}))
    assert judged(*mine, target=local, ports=ports).code == "ok"
    assert judged(*mine, *others, target=local, ports=ports).code == "shared_id"


def test_long_ids_that_postgres_cut_to_one_name_are_not_called_shared() -> None:
    stem = "a-very-long-project-name-with-a-very-long-service-name-"
    one, two = replica(f"{stem}1", ONE), replica(f"{stem}2", TWO)
    backends = (*executor(one.name), *executor(two.name, address=TWO))
    assert len({backend.application for backend in backends}) == 1
    assert judged(*backends, target=one, sibling=two).code == "ok"


def test_two_that_are_called_local_are_called_the_danger_that_they_are() -> None:
    both = (*executor("local"), *executor("local", address=TWO))
    for target in (APP, replica("app-1", ONE, None)):
        verdict = judged(*both, target=target)
        assert said(verdict) == (Status.DEGRADED, "local_shared")
        assert "takes the others' PENDING workflows and runs them a second time" in verdict.reason
        assert "DBOS__VMID" in verdict.reason


POOLER = "172.20.0.99"


def test_behind_a_pooler_a_declared_id_tells_whose_an_executor_is() -> None:
    pooled = (*executor(address=POOLER), *executor("app-2", address=POOLER))
    assert judged(*pooled).code == "ok"
    assert judged(*pooled, target=replica("app-2", TWO), sibling=APP).code == "ok"


def test_behind_a_pooler_an_id_that_is_not_seen_is_unknown_and_says_what_would_help() -> None:
    """A connection that clients share bears the name of whoever used it last."""
    verdict = judged(*executor("app-2", address=POOLER))
    assert said(verdict) == (Status.UNKNOWN, "behind_pooler")
    assert f"come from {POOLER}, which is no replica's" in verdict.reason
    assert "let DBOS connect to Postgres itself" in verdict.reason


def test_behind_a_pooler_a_name_that_was_left_on_a_silent_connection_is_not_called_stale() -> None:
    left = [replace(each, idle_for=60.0) for each in executor(address=POOLER)]
    assert said(judged(*left)) == (Status.UNKNOWN, "behind_pooler")


def test_behind_a_pooler_without_a_declared_id_it_is_unknown_and_says_what_to_declare() -> None:
    verdict = judged(*executor(address=POOLER), target=replica("app-1", ONE, None))
    assert said(verdict) == (Status.UNKNOWN, "behind_pooler")
    assert "healthagent.dbos.executor" in verdict.reason


def test_a_container_that_does_not_run_has_no_executor_behind_a_pooler_either() -> None:
    """One of its name that was removed a moment ago may be seen still, at an address of nobody."""
    created = replace(APP, addresses=())
    assert judged(*executor(address=ONE), target=created).code == "not_registered"


OF_APP = replace(AGENT, role="app", application="", client_address=POOLER, idle_for=0.1)
"""A connection of the app's role from an address that is no replica's, without a name."""


@pytest.mark.parametrize(
    ("held", "outside", "code"),
    [
        ([], [OF_APP], "behind_pooler"),
        ([], [replace(OF_APP, role="reports")], "not_registered"),
        ([replace(OF_APP, client_address=ONE)], [OF_APP], "not_registered"),
        ([replace(OF_APP, client_address=ONE)], executor("x", address=POOLER), "behind_pooler"),
        ([], [*executor("app-2", address=TWO), OF_APP], "not_registered"),
    ],
    ids=[
        "it holds none, and its role connects from elsewhere",
        "another role connects from elsewhere",
        "it holds some of its own",
        "it holds some of its own, and an executor of its role is elsewhere",
        "an executor of its service connects with no pooler in between",
    ],
)
def test_a_pooler_is_supposed_where_the_replicas_connections_may_come_from_there(
    held: list[Backend], outside: list[Backend], code: str
) -> None:
    target = replace(APP, role="app")
    assert judged(*held, *outside, target=target).code == code


def of_killed(version: str = "v1", id_: str = "app-3") -> tuple[PendingWorkflows, ...]:
    return (PendingWorkflows(id_, version, 4),)


def test_pending_workflows_of_no_living_executor_name_the_id_to_bring_back() -> None:
    verdict = judged(*executor(), pending=of_killed())
    assert said(verdict) == (Status.DEGRADED, "orphaned")
    assert "4 of 'app-3' version 'v1'" in verdict.reason
    assert verdict.evidence == {"orphans": 4, "executor": "app-3", "version": "v1"}


def test_orphans_of_a_watched_replica_are_told_of_it_alone() -> None:
    orphans = of_killed(id_="app-2")
    assert judged(*executor(), pending=orphans).code == "ok"
    verdict = judged(*executor(), target=SIBLING, sibling=APP, pending=orphans)
    assert said(verdict) == (Status.FAILED, "not_registered")
    assert "4 PENDING workflows wait for its return" in verdict.reason


@pytest.mark.parametrize(
    ("alive", "pending", "code"),
    [
        (executor("app-1", "v1"), of_killed("v1", "app-1"), "ok"),
        (executor("app-1", "v2"), of_killed("v1", "app-1"), "orphaned"),
        (executor("app-1", ""), of_killed("5f3c", "app-1"), "ok"),
        (executor("app-1", "v" * 60), of_killed("v" * 60, "app-1"), "ok"),
    ],
    ids=["its own", "of an older version", "of a computed version", "of a version that was cut"],
)
def test_workflows_have_an_owner_where_their_id_and_version_live(
    alive: list[Backend], pending: tuple[PendingWorkflows, ...], code: str
) -> None:
    assert judged(*alive, pending=pending).code == code


def test_where_an_executor_bears_no_name_it_may_be_the_owner() -> None:
    for sign in ({"listens_dbos": True}, {"listens_dbos": False, "asked_dbos": 0.5}):
        nameless = [replace(each, application="", **sign) for each in executor(address=TWO)]
        assert judged(*executor(), *nameless, pending=of_killed()).code == "ok"


OUTSIDE = "10.0.0.9"
"""Where an app runs that nobody here watches."""


def staging(id_: str = "app-1", version: str = "v1", address: str = OUTSIDE) -> list[Backend]:
    """An executor of another database on the same server."""
    return in_database("shop_staging", executor(id_, version, address))


def in_database(name: str, backends: list[Backend]) -> list[Backend]:
    return [replace(each, database=name) for each in backends]


class TestExecutorsOfAnotherDatabase:
    """They have workflows of their own: nothing is common to them but the server."""

    def test_share_no_id(self) -> None:
        assert judged(*executor(), *staging()).code == "ok"
        assert judged(*executor("local"), *staging("local")).code == "local_id"

    def test_do_not_stand_for_one_that_is_not_there(self) -> None:
        verdict = judged(*staging())
        assert said(verdict) == (Status.FAILED, "not_registered")
        shared_role = replace(APP, role="app")
        assert judged(*staging("other"), target=shared_role).code == "not_registered"

    def test_own_no_workflows_of_this_one(self) -> None:
        for theirs in (staging("app-3"), [replace(each, application="") for each in staging()]):
            assert judged(*executor(), *theirs, pending=of_killed()).code == "orphaned"

    def test_are_not_told_of_its_orphans(self) -> None:
        """They are told of all replicas of the database that the workflows are in."""
        namesake = replace(SIBLING, executor="app-3", database=replace(REF, name="shop_staging"))
        verdict = judged(*executor(), sibling=namesake, pending=of_killed())
        assert verdict.code == "orphaned"

    def test_may_run_another_version(self) -> None:
        assert judged(*executor(), *staging("app-2", "v2")).code == "ok"
        undeclared = replace(SIBLING, executor=None)
        verdict = judged(*executor(), *staging("app-2", "v2", TWO), sibling=undeclared)
        assert verdict.code == "ok"

    def test_are_compared_where_it_has_a_system_database_of_its_own(self) -> None:
        mine, other = (in_database("shop_dbos_sys", executor(address=at)) for at in (ONE, OUTSIDE))
        assert judged(*mine, pending=ELSEWHERE).code == "ok"
        assert judged(*mine, *other, pending=ELSEWHERE).code == "shared_id"


ELSEWHERE = Elsewhere("shop has no table workflow_status")


def test_behind_a_pooler_the_system_database_may_be_any_while_the_apps_own_has_no_tables() -> None:
    pooled = in_database("shop_dbos_sys", executor(address=POOLER))
    assert judged(*pooled, pending=ELSEWHERE).code == "ok"
    assert judged(*pooled).code == "not_registered", "DBOS's tables are in shop"


def test_where_a_siblings_executor_is_seen_the_replicas_own_is_in_the_same_database() -> None:
    sibling = in_database("shop_dbos_sys", executor("app-2", address=TWO))
    assert judged(*sibling, *staging(), pending=ELSEWHERE).code == "not_registered"
    mine = in_database("shop_dbos_sys", executor(address=POOLER))
    assert judged(*sibling, *mine, pending=ELSEWHERE).code == "ok"


def test_workflows_that_cannot_be_seen_are_no_fault_and_say_which_grant_would_help() -> None:
    hidden = Unseen("the role may not read dbos.workflow_status", "GRANT SELECT ON it")
    verdict = judged(*executor(), pending=hidden)
    assert verdict.status is Status.OK
    assert "GRANT SELECT" in verdict.reason


def test_an_empty_version_is_one_that_was_computed() -> None:
    verdict = judged(*executor(version=""), *executor("app-2", address=TWO))
    assert said(verdict) == (Status.DEGRADED, "mixed_versions")
    assert "a computed one, 'v1'" in verdict.reason
    assert judged(*executor(version=""), *executor("app-2", "", TWO)).code == "ok"


def test_an_identity_that_is_enforced_fails() -> None:
    enforcing = replace(APP, enforce=frozenset({"dbos"}))
    assert said(judged(*executor("other"), target=enforcing)) == (Status.FAILED, "unexpected_id")


def test_replicas_of_one_service_in_several_versions_are_degraded() -> None:
    verdict = judged(*executor(), *executor("app-2", "v2", TWO))
    assert said(verdict) == (Status.DEGRADED, "mixed_versions")
    assert "'v1', 'v2'" in verdict.reason


def test_versions_are_compared_within_a_service() -> None:
    jobs = replace(SIBLING, service="jobs")
    assert judged(*executor(), *executor("app-2", "v2", TWO), sibling=jobs).code == "ok"


@pytest.mark.parametrize(
    ("id_", "version", "code"),
    [
        ("app-2", "v2", "mixed_versions"),
        ("app-2", "v1", "ok"),
        ("app-2", "", "mixed_versions"),
        ("app_2", "v2", "ok"),
        ("app-2", "v_2", "ok"),
    ],
    ids=[
        "another version",
        "the same version",
        "a computed version",
        "an id that may end at either underscore",
        "a version that may begin at either underscore",
    ],
)
def test_where_no_id_is_declared_a_version_is_compared_if_it_can_be_told_from_the_id(
    id_: str, version: str, code: str
) -> None:
    undeclared = replace(SIBLING, executor=None)
    backends = (*executor(), *executor(id_, version, TWO))
    assert judged(*backends, sibling=undeclared).code == code


def test_a_version_that_was_cut_is_not_compared() -> None:
    long = "v" * 60
    assert judged(*executor(version=long), *executor("app-2", address=TWO)).code == "ok"


def own_pool(
    idle_for: float = 0.2, asked: float | None = None, *, listens: bool = False
) -> list[Backend]:
    """A pool that the app made for DBOS. The connection that listens says nothing for long."""
    pooled, listener = (replace(each, application="") for each in executor())
    pooled = replace(pooled, idle_for=idle_for, asked_dbos=asked)
    return [pooled, replace(listener, idle_for=max(idle_for, 400.0), listens_dbos=listens)]


@pytest.mark.parametrize(
    ("pool", "status", "code"),
    [
        (own_pool(listens=True), Status.DEGRADED, "unnamed"),
        (own_pool(asked=10.0), Status.DEGRADED, "unnamed"),
        (own_pool(asked=10.1), Status.UNKNOWN, "covered"),
        (own_pool(asked=10.1, listens=True), Status.DEGRADED, "unnamed"),
        (own_pool(5.1, listens=True), Status.FAILED, "stale"),
        (own_pool(5.1, 5.1), Status.FAILED, "stale"),
        (own_pool(), Status.FAILED, "not_registered"),
    ],
    ids=[
        "it listens",
        "it asked what executors ask",
        "it has not asked for long, and is in use",
        "it listens, and others cover what it asks",
        "it listens, and is silent",
        "it asked, and is silent",
        "it never asked",
    ],
)
def test_a_pool_of_the_apps_own_bears_no_id_and_is_told_by_what_is_asked_on_it(
    pool: list[Backend], status: Status, code: str
) -> None:
    verdict = judged(*pool)
    assert said(verdict) == (status, code)
    if code in ("unnamed", "covered"):
        assert "set application_name" in verdict.reason
        assert "systemDatabasePool" in verdict.reason


def test_hidden_connections_are_unknown_with_the_grant_that_helps() -> None:
    verdict = judged(*(replace(each, visible=False) for each in executor()))
    assert said(verdict) == (Status.UNKNOWN, "not_granted")
    assert "pg_monitor" in verdict.reason


@pytest.mark.parametrize(
    ("target", "applies"),
    [
        (APP, True),
        (replace(APP, executor=None), True),
        (replace(APP, pools=Pools()), True),
        (replace(APP, executor=None, pools=Pools(prisma=5)), False),
        (replace(APP, database=None), False),
    ],
)
def test_only_a_declared_executor_is_judged(target: Target, applies: bool) -> None:
    assert CHECK.applies(target) is applies
