"""Which target a request means."""

from __future__ import annotations

import pytest

from healthagent.surfaces.http.lookup import find_by_address, find_target, plain_address
from healthagent.surfaces.http.problem import Problem
from tests.unit.surfaces.world import World


def test_a_target_is_found_by_name_id_and_prefix(world: World) -> None:
    report = world.report(world.replica("app-1"), world.replica("app-2"))
    id_ = report.targets[1].target.id
    for reference in ("app-2", id_, id_[:12], id_[:4]):
        assert find_target(report, reference).target.name == "app-2", reference


def test_a_short_prefix_finds_nothing(world: World) -> None:
    report = world.report(world.replica("app-1"))
    with pytest.raises(Problem, match="takes 4 characters at least; known: app-1") as caught:
        find_target(report, report.targets[0].target.id[:3])
    assert caught.value.status == 404


def test_an_ambiguous_prefix_is_a_conflict_that_names_the_candidates(world: World) -> None:
    report = world.report(
        world.replica("app-1").but(id="abcd" * 16), world.replica("app-2").but(id="abcdef01" * 8)
    )
    with pytest.raises(Problem) as caught:
        find_target(report, "abcd")
    assert caught.value.status == 409
    assert [c["name"] for c in caught.value.members["candidates"]] == ["app-1", "app-2"]


def test_a_name_wins_over_an_id_that_begins_so(world: World) -> None:
    report = world.report(
        world.replica("app-1").but(id="cafe" * 16), world.replica("x-2").but(name="cafe")
    )
    assert find_target(report, "cafe").target.name == "cafe"


@pytest.mark.parametrize(
    ("seen", "plain"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("FD00::0:1", "fd00::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
    ],
)
def test_an_address_is_compared_as_docker_writes_it(seen: str, plain: str) -> None:
    assert plain_address(seen) == plain


def test_the_replica_that_asks_is_found_by_its_address(world: World) -> None:
    report = world.report(world.replica("app-1"), world.replica("app-2"))
    assert find_by_address(report, "::ffff:10.0.0.2").target.name == "app-2"


def test_an_address_of_nobody_or_of_several_is_not_found(world: World) -> None:
    shared = [world.replica(f"app-{n}").but(addresses=("127.0.0.1",)) for n in (1, 2)]
    report = world.report(*shared)
    for address, words in (("10.9.9.9", "no target has"), ("127.0.0.1", "app-1, app-2 share")):
        with pytest.raises(Problem, match=words) as caught:
            find_by_address(report, address)
        assert caught.value.status == 404
