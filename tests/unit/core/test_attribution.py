"""Whose a backend is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from healthagent.core.attribution import Held, Ledger, Ports
from healthagent.core.attribution import ledger as ledger_of
from healthagent.core.budget import budget, plans
from healthagent.core.executors import executors
from healthagent.core.observation import (
    LEFT,
    Backend,
    ClientPorts,
    Database,
    Fleet,
    ServerLimits,
    Unseen,
)
from healthagent.core.pooler import pooled
from healthagent.core.target import DatabaseRef, Target

NO_PORTS = Unseen("its ports are hidden", "run the agent with pid: host")


def replica(name: str, *addresses: str) -> Target:
    return Target(id=name, name=name, service="app", addresses=addresses)


def backend(pid: int, address: str | None, port: int = 0) -> Backend:
    return Backend(
        pid=pid,
        role="app",
        database="app",
        application="",
        client_address=address,
        client_port=port,
    )


REF = DatabaseRef("db", 5432, "app")


def database(backends: Sequence[Backend]) -> Database:
    limits = ServerLimits(max_connections=40, superuser_reserved=3)
    return Database(REF, 0.01, 1, "healthagent", limits, tuple(backends))


def ledger(backends: Sequence[Backend], sharing: Sequence[Target]) -> Ledger:
    return Ledger(database(backends), tuple(sharing))


def backends_of(
    target: Target,
    backends: Sequence[Backend],
    sharing: Sequence[Target],
    ports: ClientPorts | Unseen,
) -> Held:
    return ledger(backends, sharing).held_by(target, ports)


def owners(
    backends: Sequence[Backend], sharing: Sequence[Target], ports: Ports
) -> Mapping[str, Held]:
    return ledger(backends, sharing).owners(ports)


def pids(held: tuple[Backend, ...] | Unseen) -> list[int]:
    assert not isinstance(held, Unseen), f"expected backends, got: {held}"
    return [each.pid for each in held]


ONE, TWO = replica("app-1", "172.20.0.3", "172.21.0.9"), replica("app-2", "172.20.0.4")
LOCAL_ONE, LOCAL_TWO = replica("app-1", "127.0.0.1", "::1"), replica("app-2", "127.0.0.1", "::1")


def test_a_replica_holds_what_comes_from_any_of_its_addresses() -> None:
    backends = [backend(11, "172.20.0.3"), backend(2, "172.20.0.4"), backend(3, "172.21.0.9")]
    assert pids(backends_of(ONE, backends, [ONE, TWO], NO_PORTS)) == [11, 3]


def test_what_comes_over_a_unix_socket_is_nobodys() -> None:
    assert pids(backends_of(ONE, [backend(11, None)], [ONE], NO_PORTS)) == []


def test_replicas_that_share_an_address_are_told_apart_by_their_ports() -> None:
    backends = [backend(11, "127.0.0.1", 5001), backend(2, "127.0.0.1", 5002)]
    ports = ClientPorts(frozenset({5002, 8080}))
    assert pids(backends_of(LOCAL_ONE, backends, [LOCAL_ONE, LOCAL_TWO], ports)) == [2]


def test_a_port_counts_only_together_with_the_address() -> None:
    backends = [backend(11, "10.0.0.7", 5001)]
    ports = ClientPorts(frozenset({5001}))
    assert pids(backends_of(LOCAL_ONE, backends, [LOCAL_ONE, LOCAL_TWO], ports)) == []


def test_a_lone_local_process_does_not_hold_what_others_of_its_host_do() -> None:
    """The agent itself and an operator's psql come from 127.0.0.1 as well."""
    backends = [backend(11, "127.0.0.1", 5001), backend(2, "127.0.0.1", 6000)]
    ports = ClientPorts(frozenset({5001}))
    assert pids(backends_of(LOCAL_ONE, backends, [LOCAL_ONE], ports)) == [11]


def test_without_ports_a_shared_address_is_unseen_with_the_remedy_for_the_ports() -> None:
    held = backends_of(LOCAL_ONE, [backend(11, "127.0.0.1")], [LOCAL_ONE, LOCAL_TWO], NO_PORTS)
    assert isinstance(held, Unseen)
    assert "its ports are hidden" in held.reason
    assert held.remedy == NO_PORTS.remedy


def test_one_hidden_backend_makes_all_unseen_with_the_grant_that_helps() -> None:
    backends = [backend(11, "172.20.0.3"), replace(backend(2, None), visible=False)]
    held = backends_of(ONE, backends, [ONE], NO_PORTS)
    assert isinstance(held, Unseen)
    assert "pg_monitor" in held.remedy


def test_the_agents_own_connections_are_nobodys_in_whichever_database_they_are() -> None:
    """It has one per database, and as a sidecar comes from the replica's address."""
    own = replace(backend(1, "172.20.0.3"), role="healthagent", application="healthagent")
    elsewhere = replace(own, pid=2, database="reports")
    assert pids(backends_of(ONE, [own, elsewhere, backend(3, "172.20.0.3")], [ONE], NO_PORTS)) == [
        3
    ]


def test_outsiders_come_from_no_address_of_a_watched_replica() -> None:
    backends = [backend(11, "172.20.0.3"), backend(2, "10.0.0.9"), backend(3, None)]
    assert [each.pid for each in ledger(backends, [ONE]).outsiders] == [2, 3]


@pytest.mark.parametrize(
    "remaining", [(TWO,), (replace(ONE, addresses=()), TWO)], ids=["removed", "stopped"]
)
def test_what_a_replica_leaves_behind_is_nobodys_for_a_moment(
    remaining: tuple[Target, ...],
) -> None:
    """Postgres notices late, and a round may have begun before."""
    backends = database([backend(11, "172.20.0.3"), backend(2, "10.0.0.9")])

    def seen_after(seconds: float) -> tuple[list[int], int]:
        fleet = Fleet((ONE, TWO)).followed_by(remaining, 50).followed_by(remaining, 50 + seconds)
        account = ledger_of(backends, fleet)
        return pids(account.outsiders), budget(account, account.owners({})).others

    assert seen_after(LEFT / 2) == ([2], 1)
    assert seen_after(LEFT) == ([11, 2], 2), "a stranger has the address now, or Postgres is wrong"


def test_an_address_that_somebody_has_again_is_not_left() -> None:
    gone = Fleet((ONE, TWO)).followed_by((TWO,), 50)
    assert gone.left.keys() == set(ONE.addresses)
    assert gone.followed_by((ONE, TWO), 51).left == {}
    assert gone.followed_by((TWO,), 51) is gone, "rounds are joined with it by identity"


def test_a_container_that_does_not_run_has_no_address_and_holds_nothing() -> None:
    assert pids(backends_of(replica("app-1"), [backend(11, "172.20.0.3")], [], NO_PORTS)) == []


def test_a_local_process_without_an_address_is_unseen() -> None:
    local = replace(replica("app-1"), id="static:app-1")
    assert isinstance(backends_of(local, [], [], NO_PORTS), Unseen)


LOOPED, UNLOOPED = replica("app-1", "127.0.1.1"), replica("app-1", "1270::1")


@pytest.mark.parametrize(
    ("target", "sharing", "shared"),
    [
        (ONE, [ONE, TWO], False),
        (ONE, [ONE, replica("app-3", "172.21.0.9")], True),
        (LOCAL_ONE, [LOCAL_ONE], True),
        (LOOPED, [LOOPED], True),
        (UNLOOPED, [UNLOOPED], False),
    ],
)
def test_who_shares_an_address(target: Target, sharing: list[Target], shared: bool) -> None:
    assert ledger([], sharing).shares_address(target) is shared


def test_owners_tell_for_each_target_what_it_holds_or_why_not() -> None:
    backends = [backend(11, "172.20.0.3"), backend(2, "127.0.0.1", 5001)]
    ports = {"local": ClientPorts(frozenset({5001}))}
    local, unlooked = replica("local", "127.0.0.1"), replica("unlooked", "127.0.0.1")
    held = owners(backends, [ONE, local, unlooked], ports)
    assert pids(held[ONE.id]) == [11]
    assert pids(held[local.id]) == [2]
    assert isinstance(held[unlooked.id], Unseen)


@pytest.mark.parametrize(
    "of",
    [lambda account: account, executors, pooled, plans],
    ids=["ledger", "executors", "pooled", "plans"],
)
def test_replicas_share_what_is_made_of_a_round_however_many_databases_there_are(
    of: Callable[[Ledger], object],
) -> None:
    """Each database has rounds of its own, and its replicas are judged in any order."""
    fleet, rounds = Fleet((ONE, TWO)), [database([]) for _ in range(50)]
    asked = [of(ledger_of(each, fleet)) for _ in fleet.targets for each in rounds]
    assert len({id(each) for each in asked}) == len(rounds)
