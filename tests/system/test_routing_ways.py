"""The ways to keep sick replicas out, each with the real Traefik: see docs/routing.md."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from examples.quickstart.tour.condition import Seen, until
from provision import agent, app, images, projects
from provision.engine import Engine
from tests.system.ways.stack import SOON, Front, Got, Ways

BUILT = 300.0
AUTHORIZATION = "Basic c29tZW9uZTpwYXNzd29yZA=="  # someone:password

pytestmark = pytest.mark.timeout(BUILT)


@pytest.fixture(scope="module")
def ways(engine: Engine) -> Iterator[Ways]:
    projects.sweep(engine)
    images.ensure(engine)
    agent.ensure(engine)
    app.ensure(engine)
    with Ways(engine) as found:
        for front in (found.old, found.new):
            front.wait("shop.test", set(found.ids("app")))
            front.wait("checked.test", set(found.ids("checked")))
            front.wait("solo.test", set(found.ids("solo")))
        yield found


REQUESTS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("web", "shop.test", "/", {}),
    ("web", "shop.test", "/a/b?c=d", {}),
    ("web", "shop.test", "/both", {}),
    ("inner", "shop.test", "/both", {}),
    ("inner", "shop.test", "/", {}),
    ("inner", "shop.test", "/admin/users", {}),
    ("inner", "shop.test", "/admin/users", {"Authorization": AUTHORIZATION}),
    ("web", "other.test", "/admin/users", {"Authorization": AUTHORIZATION}),
    ("web", "old.test", "/page", {}),
    ("web", "nobody.test", "/", {}),
)
"""Entry point, host, path and headers. Together they meet every label of the service ``app``."""


def outcome(got: Got) -> tuple[int, str | None, str | None, dict[str, Any]]:
    """What must be the same whatever replica it was, and whoever told Traefik of it."""
    told = json.loads(got.body) if got.status == 200 else {}
    told.pop("replica", None)
    return got.status, got.headers.get("X-Greeting"), got.headers.get("Location"), told


def test_the_same_labels_route_the_same_under_the_docker_provider_and_the_agent(
    ways: Ways,
) -> None:
    before, after = (
        [outcome(front.get(host, path, entry, **h)) for entry, host, path, h in REQUESTS]
        for front in (ways.old, ways.new)
    )
    assert after == before
    statuses = [status for status, *_ in before]
    assert statuses == [200, 200, 200, 200, 404, 401, 200, 404, 302, 404], "the labels do something"
    greeting, page, admin = before[0][1], before[0][3], before[6][3]
    assert (greeting, page["tag"]) == ("hello", "shop")
    assert (admin["port"], admin["path"]) == (3001, "/users")


def test_every_router_and_middleware_of_the_labels_is_there_under_either(ways: Ways) -> None:
    names = {"site", "both", "admin", "away"}
    for front, provider in ((ways.old, "docker"), (ways.new, "http")):
        routers = front.things("routers")
        mine = {
            n.removesuffix(f"@{provider}") for n, r in routers.items() if r["provider"] == provider
        }
        assert names <= mine
        assert not [n for n in names if routers[f"{n}@{provider}"]["status"] != "enabled"]
        rules = {n: routers[f"{n}@{provider}"]["rule"] for n in names}
        assert rules["both"] == "Host(`shop.test`) && PathPrefix(`/both`)"


def test_a_session_stays_with_its_replica_under_either(ways: Ways) -> None:
    for front in (ways.old, ways.new):
        first = front.get("shop.test")
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        assert cookie.startswith("lane=")
        again = {front.get("shop.test", Cookie=cookie).replica for _ in range(6)}
        assert again == {first.replica}


def test_beside_the_agent_the_docker_provider_serves_what_the_agent_does_not_watch(
    ways: Ways,
) -> None:
    providers = {name: r["provider"] for name, r in ways.new.things("routers").items()}
    assert providers.keys() >= {"site@http", "checked@docker", "solo@docker"}
    assert "site@docker" not in providers, "else each request has two routers to choose from"


def test_a_sick_replica_is_out_under_the_agent_and_the_router_stays_when_all_are(
    ways: Ways,
) -> None:
    one, two = ways.ids("app")
    with ways.sick(one):
        ways.new.wait("shop.test", {two})
        with ways.sick(two):
            ways.new.wait("shop.test", {"503"})
        ways.new.wait("shop.test", {two})
    ways.new.wait("shop.test", {one, two})


def test_a_sick_replica_is_out_under_dockers_healthcheck_and_the_router_goes_when_all_are(
    ways: Ways,
) -> None:
    """As before healthagent, which neither needs nor disturbs it."""
    one, two = ways.ids("app")
    with ways.sick(one):
        ways.old.wait("shop.test", {two})
        with ways.sick(two):
            ways.old.wait("shop.test", {"404"})
        ways.old.wait("shop.test", {two})
    ways.old.wait("shop.test", {one, two})


def test_traefiks_own_check_of_readyz_takes_a_sick_and_a_frozen_replica_out(ways: Ways) -> None:
    one, two = ways.ids("checked")
    with ways.sick(one):
        ways.old.wait("checked.test", {two})
        with ways.sick(two):
            ways.old.wait("checked.test", {"503"})
        ways.old.wait("checked.test", {two})
    ways.old.wait("checked.test", {one, two})
    with ways.frozen(one):
        _wait_until_down(ways, ways.old, one)
        ways.old.wait("checked.test", {two})
    ways.old.wait("checked.test", {one, two})


def test_traefiks_own_check_of_a_sidecar_takes_its_replica_out_and_says_why(ways: Ways) -> None:
    [solo] = ways.ids("solo")
    with ways.sick(solo):
        ways.old.wait("solo.test", {"503"})
    ways.old.wait("solo.test", {solo})
    with ways.frozen(solo):
        _wait_until_down(ways, ways.old, solo)
        assert "is stopped (state T)" in ways.sidecar("/targets/app/readyz").body
    ways.old.wait("solo.test", {solo})


def test_a_sidecar_ends_with_its_replica_and_serves_again_once_it_is_started(ways: Ways) -> None:
    """It shares the replica's pid namespace, which ends with the replica. Docker then mostly fails
    to start it, as the container that it joins is just being restarted, and never tries again."""
    [solo], [sidecar] = ways.ids("solo"), ways.ids("sidecar")
    died = ways.engine.inspect(solo)["RestartCount"]
    os.kill(ways.engine.inspect(solo)["State"]["Pid"], signal.SIGKILL)
    until("Docker restarted the replica", lambda: _restarted(ways, solo, died), within=SOON)
    ways.engine.start(sidecar)
    ways.old.wait("solo.test", {solo})


def _restarted(ways: Ways, container: str, before: int) -> Seen:
    found = ways.engine.inspect(container)
    state = found["State"]["Status"]
    return Seen(found["RestartCount"] > before and state == "running", state)


def _wait_until_down(ways: Ways, front: Front, container: str) -> None:
    """By Traefik's own word: to ask a frozen replica would be to wait for it."""
    address = ways.engine.address(container)

    def look() -> Seen:
        states = {
            url: state
            for service in front.things("services").values()
            for url, state in service.get("serverStatus", {}).items()
        }
        return Seen(states.get(f"http://{address}:3000") == "DOWN", str(states))

    until(f"Traefik holds {container} down", look, within=SOON)
