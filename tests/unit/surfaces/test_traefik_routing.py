"""The dynamic configuration for Traefik."""

from __future__ import annotations

from typing import Any

import pytest

from healthagent.core.report import Report
from healthagent.core.target import Traffic
from healthagent.surfaces.traefik import Routing, offered
from healthagent.surfaces.traefik.policy import NAME
from healthagent.surfaces.traefik.routing import MOST_GONE
from tests.unit.surfaces.world import NOW, Replica, World

RETRIES = ["healthagent-idempotent", "healthagent-unsent"]
RULE = {"traefik.http.routers.app.rule": "Host(`app.example`)"}
NOBODY = Report(NOW, settled=True)


def labelled(replica: Replica, **labels: str) -> Replica:
    """``labels`` are Traefik's, with ``__`` for a dot."""
    given = {f"traefik.http.{key.replace('__', '.')}": value for key, value in labels.items()}
    return replica.but(routing={**RULE, **given})


def http(routing: Routing) -> dict[str, Any]:
    found: dict[str, Any] = routing.configuration["http"]
    return found


def urls(routing: Routing, service: str = "app") -> list[str]:
    servers = http(routing)["services"][service]["loadBalancer"]["servers"]
    return [server["url"] for server in servers]


def test_ready_replicas_alone_are_servers_in_a_stable_order(world: World) -> None:
    replicas = [labelled(world.replica(f"app-{n}")) for n in (10, 9)]
    frozen = world.frozen("app-2").but(routing=RULE)
    routing = Routing().after(world.report(*replicas, frozen))
    assert urls(routing) == ["http://10.0.0.9:3000", "http://10.0.0.10:3000"]


def test_a_server_is_at_the_address_that_traefik_reaches_whatever_the_agent_dials(
    world: World,
) -> None:
    apart = labelled(world.replica("app-1")).but(routed_at="10.9.0.1")
    assert urls(Routing().after(world.report(apart))) == ["http://10.9.0.1:3000"]


def test_a_router_goes_to_the_only_service_there_is(world: World) -> None:
    routing = Routing().after(world.report(labelled(world.replica("app-1"))))
    [router] = http(routing)["routers"].values()
    assert (router["rule"], router["service"]) == ("Host(`app.example`)", "app")


def test_the_router_stays_when_none_is_ready(world: World) -> None:
    routing = Routing().after(world.report(world.frozen("app-1").but(routing=RULE)))
    assert "app" in http(routing)["routers"]
    assert urls(routing) == []


def test_the_router_stays_when_all_containers_are_gone(world: World) -> None:
    before = Routing().after(world.report(labelled(world.replica("app-1"))))
    after = before.after(NOBODY).after(NOBODY)
    assert "app" in http(after)["routers"], "Traefik would answer 404 instead of 503"
    assert urls(after) == []


def test_a_service_that_comes_back_is_served_again(world: World) -> None:
    report = world.report(labelled(world.replica("app-1")))
    assert urls(Routing().after(report).after(NOBODY).after(report)) == ["http://10.0.0.1:3000"]


def test_of_very_many_services_that_are_gone_those_that_went_last_keep_their_routers(
    world: World,
) -> None:
    def only(name: str) -> Report:
        rule = {f"traefik.http.routers.{name}.rule": f"Host(`{name}.example`)"}
        return world.report(world.replica("app-1", name).but(routing=rule))

    names = [f"app{number}" for number in range(MOST_GONE + 1)]
    first, second, *others = names
    routing = Routing().after(only(first)).after(only(second))
    for name in (first, *others):
        routing = routing.after(only(name))
    assert http(routing)["routers"].keys() == set(names), "one that lives, and all that may be gone"
    routing = routing.after(NOBODY)
    assert http(routing)["routers"].keys() == set(names) - {second}, "the first was back since"


def test_a_gone_service_leaves_its_rule_to_the_one_that_took_its_place(world: World) -> None:
    renamed = world.replica("web-2", "web").but(
        routing={"traefik.http.routers.web.rule": "Host(`app.example`)"}
    )
    before = Routing().after(world.report(labelled(world.replica("app-1"))))
    after = before.after(world.report(renamed))
    assert list(http(after)["routers"]) == ["web"], "the dead router would take its requests"
    assert list(http(after)["services"]) == ["web"], "nothing leads to the one that is gone"


def test_a_generated_transport_is_used_unless_the_labels_name_one(world: World) -> None:
    own = labelled(
        world.replica("app-1"), services__app__loadbalancer__serverstransport="slow@file"
    )
    plain = labelled(world.replica("app-1"))
    transports = [
        http(Routing().after(world.report(replica)))["services"]["app"]["loadBalancer"][
            "serversTransport"
        ]
        for replica in (plain, own)
    ]
    assert transports == [NAME, "slow@file"]


def test_a_transport_waits_as_long_as_the_replica_says_that_an_answer_takes(world: World) -> None:
    quick = labelled(world.replica("app-1")).but(traffic=Traffic(response=1.5))
    found = http(Routing().after(world.report(quick)))
    name = found["services"]["app"]["loadBalancer"]["serversTransport"]
    waits = found["serversTransports"][name]["forwardingTimeouts"]
    assert waits == {"dialTimeout": "500ms", "responseHeaderTimeout": "1500ms"}


def middlewares_of(replica: Replica, world: World) -> tuple[list[str], dict[str, Any]]:
    """Those of the router, and all that are defined."""
    found = http(Routing().after(world.report(replica)))
    return found["routers"]["app"].get("middlewares", []), found.get("middlewares", {})


def test_a_router_repeats_as_its_label_says(world: World) -> None:
    plain = labelled(world.replica("app-1"))
    for traffic, names in (
        (Traffic("idempotent"), RETRIES),
        (Traffic("unsent"), RETRIES[1:]),
        (Traffic("none"), []),
    ):
        used, defined = middlewares_of(plain.but(traffic=traffic), world)
        assert (used, sorted(defined)) == (names, names)


def test_by_default_nothing_that_reached_a_replica_is_repeated_but_what_may_be(
    world: World,
) -> None:
    _, defined = middlewares_of(labelled(world.replica("app-1")), world)
    assert "status" not in defined["healthagent-unsent"]["retry"]
    for middleware in defined.values():
        assert "retryNonIdempotentMethod" not in middleware["retry"]


def test_retries_stand_behind_the_users_own_middlewares(world: World) -> None:
    guarded = labelled(
        world.replica("app-1"),
        routers__app__middlewares="auth",
        middlewares__auth__basicauth__users="u:$apr1$x",
    )
    assert middlewares_of(guarded, world)[0] == ["auth", *RETRIES]


def test_a_router_with_a_retry_of_its_own_gets_no_other(world: World) -> None:
    own = {"middlewares__again__retry__attempts": "3"}
    direct = labelled(world.replica("app-1"), routers__app__middlewares="again@docker", **own)
    chained = labelled(
        world.replica("app-1"),
        routers__app__middlewares="all",
        middlewares__all__chain__middlewares="again@docker,all",
        **own,
    )
    assert middlewares_of(direct, world)[0] == ["again"]
    assert middlewares_of(chained, world)[0] == ["all"], "a chain that holds itself ends as well"


def test_a_router_to_what_others_define_is_left_alone(world: World) -> None:
    board = labelled(world.replica("app-1"), routers__app__service="api@internal")
    assert middlewares_of(board, world) == ([], {})


def test_what_its_labels_hide_from_traefik_stays_hidden(world: World) -> None:
    for value in ("false", "False", "0", "perhaps"):
        hidden = world.replica("app-1").but(routing={**RULE, "traefik.enable": value})
        routing = Routing().after(world.report(hidden))
        assert list(http(routing)) == ["serversTransports"], value
        assert [n.key for n in routing.notices] == ["traefik.enable"] * (value == "perhaps")


def test_a_slow_start_gives_a_replica_its_share_by_and_by(world: World) -> None:
    old, new = (
        labelled(world.replica(f"app-{n}")).but(traffic=Traffic(slowstart=30.0)) for n in (1, 2)
    )
    routing = Routing().after(world.report(old))
    shares = []
    for second in (0, 1, 15, 29, 30, 31):
        routing = routing.after(world.report(old, new, at=NOW + 100 + second))
        servers = http(routing)["services"]["app"]["loadBalancer"]["servers"]
        shares.append([server.get("weight") for server in servers])
    assert shares == [[10, 1], [10, 1], [10, 5], [None, None], [None, None], [None, None]]


@pytest.mark.parametrize("slowstart", [0.0, 30.0])
def test_a_clock_that_is_set_back_begins_a_slow_start_anew_and_breaks_no_other(
    world: World, slowstart: float
) -> None:
    old, new = (
        labelled(world.replica(f"app-{n}")).but(traffic=Traffic(slowstart=slowstart))
        for n in (1, 2)
    )
    routing = Routing().after(world.report(old)).after(world.report(old, new, at=NOW + 100))
    shares = []
    for second in (-3600, -3585, -3570):
        routing = routing.after(world.report(old, new, at=NOW + second))
        servers = http(routing)["services"]["app"]["loadBalancer"]["servers"]
        shares.append([server.get("weight") for server in servers])
    grows = [[10, 1], [10, 5], [None, None]]
    assert shares == (grows if slowstart else [[None, None]] * 3)


def test_a_slow_start_counts_a_servers_own_weight(world: World) -> None:
    weight = {"services__app__loadbalancer__server__weight": "3"}
    slow = Traffic(slowstart=30.0)
    old, new = (labelled(world.replica(f"app-{n}"), **weight).but(traffic=slow) for n in (1, 2))
    routing = Routing().after(world.report(old)).after(world.report(old, new, at=NOW + 100))
    servers = http(routing)["services"]["app"]["loadBalancer"]["servers"]
    assert [server["weight"] for server in servers] == [30, 3]


def test_a_restarted_agent_starts_nobody_slowly(world: World) -> None:
    replicas = [
        labelled(world.replica(f"app-{n}")).but(traffic=Traffic(slowstart=30.0)) for n in (1, 2)
    ]
    unsettled = Routing().after(world.report(replicas[0], settled=False))
    restarted = unsettled.after(world.report(*replicas, at=NOW + 1))
    assert restarted.configuration == Routing().after(world.report(*replicas)).configuration
    servers = http(restarted)["services"]["app"]["loadBalancer"]["servers"]
    assert not any("weight" in server for server in servers)


def test_replicas_that_become_ready_together_share_alike_from_the_start(world: World) -> None:
    replicas = [
        labelled(world.replica(f"app-{n}")).but(traffic=Traffic(slowstart=30.0)) for n in (1, 2)
    ]
    routing = Routing().after(NOBODY).after(world.report(*replicas, at=NOW + 1))
    servers = http(routing)["services"]["app"]["loadBalancer"]["servers"]
    assert not any("weight" in server for server in servers)


def test_an_agent_that_watches_nobody_still_gives_a_configuration_that_traefik_takes() -> None:
    assert list(http(Routing().after(NOBODY))) == ["serversTransports"]


def test_a_replicas_own_server_labels_count(world: World) -> None:
    replica = labelled(
        world.replica("app-1"),
        services__app__loadbalancer__server__port="8443",
        services__app__loadbalancer__server__scheme="https",
        services__app__loadbalancer__server__weight="3",
    )
    balancer = http(Routing().after(world.report(replica)))["services"]["app"]["loadBalancer"]
    assert balancer["servers"] == [{"url": "https://10.0.0.1:8443", "weight": 3}]
    assert "server" not in balancer


def test_an_ipv6_address_stands_in_brackets(world: World) -> None:
    replica = labelled(world.replica("app-1")).but(address="fd00::2")
    assert urls(Routing().after(world.report(replica))) == ["http://[fd00::2]:3000"]


def test_two_compose_services_may_share_one_traefik_service(world: World) -> None:
    port = {"services__site__loadbalancer__server__port": "3000"}
    blue = labelled(world.replica("blue-1", "blue"), **port)
    green = labelled(world.replica("green-2", "green"), **port)
    routing = Routing().after(world.report(blue, green))
    assert urls(routing, "site") == ["http://10.0.0.1:3000", "http://10.0.0.2:3000"]


def test_the_labels_of_a_ready_replica_win_and_the_difference_is_told(world: World) -> None:
    old = world.frozen("app-1").but(routing={"traefik.http.routers.app.rule": "Host(`old`)"})
    routing = Routing().after(world.report(old, labelled(world.replica("app-2"))))
    assert http(routing)["routers"]["app"]["rule"] == "Host(`app.example`)"
    [notice] = routing.notices
    assert (notice.about, notice.key) == ("app-1", "traefik.http.routers.app")
    assert notice.problem == "differs from that of app-2, which is used"


def test_what_labels_define_themselves_needs_no_provider_name(world: World) -> None:
    replica = labelled(
        world.replica("app-1"),
        routers__app__middlewares="auth@docker,outer@docker,other@file",
        middlewares__auth__basicauth__users="u:$apr1$x",
    )
    router = http(Routing().after(world.report(replica)))["routers"]["app"]
    assert router["middlewares"] == ["auth", "outer@docker", "other@file", *RETRIES]


def test_middlewares_and_services_find_what_they_refer_to_here(world: World) -> None:
    replica = labelled(
        world.replica("app-1"),
        middlewares__auth__basicauth__users="u:$apr1$x",
        middlewares__all__chain__middlewares="auth@docker,outer@docker",
        middlewares__kind__errors__service="app@docker",
        middlewares__kind__errors__status="500",
        services__app__middlewares="auth@docker",
        services__app__loadbalancer__server__port="3000",
    )
    found = http(Routing().after(world.report(replica)))
    assert found["middlewares"]["all"]["chain"]["middlewares"] == ["auth", "outer@docker"]
    assert found["middlewares"]["kind"]["errors"] == {"service": "app", "status": ["500"]}
    assert found["services"]["app"]["middlewares"] == ["auth"]


def test_a_router_without_a_rule_is_left_out_and_told(world: World) -> None:
    replica = world.replica("app-1").but(routing={"traefik.http.routers.app.entrypoints": "web"})
    routing = Routing().after(world.report(replica))
    assert "routers" not in http(routing)
    assert routing.notices[0].key == "traefik.http.routers.app.rule"


def test_a_router_between_several_services_must_name_one(world: World) -> None:
    replica = labelled(
        world.replica("app-1"),
        services__a__loadbalancer__server__port="1",
        services__b__loadbalancer__server__port="2",
    )
    routing = Routing().after(world.report(replica))
    assert "routers" not in http(routing)
    assert routing.notices[0].key == "traefik.http.routers.app.service"


def test_a_router_to_an_app_without_a_port_is_told(world: World) -> None:
    routing = Routing().after(world.report(labelled(world.replica("app-1")).but(port=None)))
    assert routing.notices[0].key == "healthagent.port"
    assert urls(routing) == [], "no server is told of rather than one that nobody could dial"


@pytest.mark.parametrize("field", ["port", "url"])
def test_a_server_of_the_routers_own_needs_no_port_of_the_app(world: World, field: str) -> None:
    value = {"port": "3000", "url": "http://10.0.0.1:3000"}[field]
    server = {f"services__app__loadbalancer__server__{field}": value}
    replica = labelled(world.replica("app-1"), **server).but(port=None)
    routing = Routing().after(world.report(replica))
    assert urls(routing) == ["http://10.0.0.1:3000"]
    assert routing.notices == ()


def test_a_container_that_does_not_run_is_not_told_to_declare_its_port(world: World) -> None:
    exited = labelled(world.replica("app-1")).but(address=None, addresses=())
    assert Routing().after(world.report(exited)).notices == (), "it has a port, but no address yet"


def test_a_service_of_a_name_that_traefik_refuses_is_left_out_and_told(world: World) -> None:
    for name in ("s" * 1100, "s\x7f"):
        odd = world.replica("odd-1", name).but(
            routing={"traefik.http.routers.odd.rule": "Host(`b`)"}
        )
        routing = Routing().after(world.report(odd, labelled(world.replica("app-2"))))
        assert list(http(routing)["services"]) == ["app"]
        assert [notice.key for notice in routing.notices] == ["traefik.http.routers.odd.service"]


def test_a_worker_without_http_adds_nothing(world: World) -> None:
    routing = Routing().after(world.report(world.replica("job-1", "job").but(port=None)))
    assert list(http(routing)) == ["serversTransports"]
    assert routing.notices == ()


def test_what_is_offered_are_replicas_that_are_servers_once_they_are_ready(world: World) -> None:
    """An act waits for the router to have those alone."""
    assert offered(labelled(world.frozen("app-1")).target), "whether or not it is ready now"
    hidden = world.replica("app-1").but(routing={**RULE, "traefik.enable": "false"})
    assert not offered(hidden.target)
    assert not offered(world.replica("job-1", "job").but(port=None).target), "a worker"


def test_one_replicas_misspelt_label_leaves_the_others_alone(world: World) -> None:
    bad = world.replica("bad-1", "bad").but(
        routing={"traefik.http.routers.bad.rule": "Host(`b`)", "traefik.http.routers.bad.prio": "1"}
    )
    routing = Routing().after(world.report(bad, labelled(world.replica("app-2"))))
    assert list(http(routing)["routers"]) == ["app"]
    assert [notice.about for notice in routing.notices] == ["bad-1"]
