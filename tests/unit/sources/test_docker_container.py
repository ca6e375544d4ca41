"""What an inspect document says of a container, and under which address it is reached."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from healthagent.sources.docker.container import Network, Vantage, parse, unreadable

ID = "f" * 64


def document(
    *,
    labels: dict[str, str] | None = None,
    networks: dict[str, dict[str, str]] | None = None,
    mode: str = "default",
    state: dict[str, Any] | None = None,
    **config: Any,
) -> dict[str, Any]:
    return {
        "Id": ID,
        "Name": "/shop-app-1",
        "RestartCount": 2,
        "Config": {"Labels": labels, **config},
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": networks},
        "State": state or {"Status": "running", "Pid": 7, "StartedAt": "2026-01-02T03:04:05Z"},
    }


BOTH = {"front": {"IPAddress": "10.1.0.2"}, "back": {"IPAddress": "10.2.0.2"}}


def test_a_container_without_compose_is_a_service_of_its_own_name() -> None:
    candidate = parse(document()).candidate(Vantage())
    assert (candidate.name, candidate.service) == ("shop-app-1", "shop-app-1")


def test_compose_names_the_service() -> None:
    labels = {"com.docker.compose.service": "app"}
    assert parse(document(labels=labels)).candidate(Vantage()).service == "app"


def test_settings_are_healthagents_labels_and_routing_is_traefiks() -> None:
    labels = {"healthagent.port": "3000", "traefik.enable": "true", "maintainer": "x"}
    candidate = parse(document(labels=labels)).candidate(Vantage())
    assert candidate.settings == {"port": "3000"}
    assert candidate.routing == {"traefik.enable": "true"}


def test_exposed_ports_are_the_tcp_ones_in_order() -> None:
    ports: dict[str, Any] = {"9000/tcp": {}, "53/udp": {}, "3000/tcp": {}}
    assert parse(document(ExposedPorts=ports)).exposed == (3000, 9000)


def test_a_variable_keeps_the_equals_signs_of_its_value() -> None:
    url = "postgres://u@h/d?a=b"
    assert parse(document(Env=[f"DATABASE_URL={url}", "EMPTY=", "BARE"])).environment == {
        "DATABASE_URL": url,
        "EMPTY": "",
    }


def test_an_agent_on_the_host_reaches_any_network_and_takes_the_first_by_name() -> None:
    candidate = parse(document(networks=BOTH)).candidate(Vantage())
    assert candidate.address == "10.2.0.2", "of back and front, back comes first"
    assert set(candidate.addresses) == {"10.1.0.2", "10.2.0.2"}


def test_an_agent_in_a_container_dials_the_network_that_it_shares() -> None:
    seen = parse(document(networks=BOTH)).candidate(Vantage(frozenset({"front"})))
    assert seen.address == "10.1.0.2"
    assert set(seen.addresses) == {"10.1.0.2", "10.2.0.2"}, "Postgres may see the other one"


def test_of_two_shared_networks_the_one_that_traefik_is_told_of_wins() -> None:
    labels = {"traefik.docker.network": "front"}
    vantage = Vantage(frozenset({"front", "back"}))
    assert parse(document(labels=labels, networks=BOTH)).candidate(vantage).address == "10.1.0.2"


def test_traefiks_network_does_not_win_over_one_that_the_agent_reaches() -> None:
    labels = {"traefik.docker.network": "front"}
    vantage = Vantage(frozenset({"back"}))
    assert parse(document(labels=labels, networks=BOTH)).candidate(vantage).address == "10.2.0.2"


ROUTED = {"traefik.http.routers.app.rule": "PathPrefix(`/`)"}
SHARED = Vantage(frozenset({"front", "back"}))


def test_traefik_is_told_the_address_on_its_network_also_where_the_agent_is_not() -> None:
    vantage = Vantage(frozenset({"back"}), routed="front")
    seen = parse(document(networks=BOTH)).candidate(vantage)
    assert (seen.address, seen.routed_at) == ("10.2.0.2", "10.1.0.2")


def test_a_replicas_own_label_says_so_ahead_of_the_agents_setting() -> None:
    labels = {"traefik.docker.network": "front"}
    container = parse(document(labels=labels, networks=BOTH))
    assert container.candidate(replace(SHARED, routed="back")).routed_at == "10.1.0.2"


def test_the_setting_may_name_a_network_as_the_compose_file_does() -> None:
    networks = {"shop_front": BOTH["front"], "shop_back": BOTH["back"]}
    labels = {"com.docker.compose.project": "shop"}
    container = parse(document(labels=labels, networks=networks))
    assert container.candidate(Vantage(routed="front")).routed_at == "10.1.0.2"


def test_that_none_of_several_networks_is_said_to_be_traefiks_is_a_notice() -> None:
    notice = parse(document(labels=ROUTED, networks=BOTH)).unrouted(SHARED)
    assert notice is not None
    assert str(notice) == (
        "shop-app-1: traefik.network is not set, and it is on several networks: back, front; "
        "Traefik is given its address on back; name the one that Traefik is on, as its "
        "providers.docker.network does: in HEALTHAGENT_TRAEFIK_NETWORK, or the label "
        "traefik.docker.network"
    )


def test_that_none_of_its_networks_is_the_one_that_was_named_is_a_notice() -> None:
    notice = parse(document(labels=ROUTED, networks=BOTH)).unrouted(replace(SHARED, routed="frnt"))
    assert notice is not None
    assert notice.key == "traefik.network"
    assert notice.problem.startswith("names none of its networks, which are back, front; ")


@pytest.mark.parametrize(
    ("labels", "networks", "vantage"),
    [
        ({}, BOTH, SHARED),
        (ROUTED, {"front": BOTH["front"]}, replace(SHARED, routed="other")),
        (ROUTED, BOTH, Vantage(frozenset({"front"}))),
        (ROUTED, BOTH, replace(SHARED, routed="front")),
        (ROUTED | {"traefik.docker.network": "front"}, BOTH, SHARED),
    ],
    ids=[
        "nothing is routed to it",
        "it has one network alone",
        "the agent shares one of them alone",
        "the agent was told",
        "its label says it",
    ],
)
def test_there_is_no_notice_where(
    labels: dict[str, str], networks: dict[str, dict[str, str]], vantage: Vantage
) -> None:
    assert parse(document(labels=labels, networks=networks)).unrouted(vantage) is None


def test_where_no_network_is_shared_any_is_tried_so_that_a_check_can_name_the_remedy() -> None:
    seen = parse(document(networks=BOTH)).candidate(Vantage(frozenset({"other"})))
    assert seen.address == "10.2.0.2"


def test_a_container_on_the_hosts_network_is_at_the_hosts_address() -> None:
    networks = {"host": {"IPAddress": ""}}
    container = parse(document(networks=networks, mode="host"))
    assert container.candidate(Vantage()).address == "127.0.0.1"
    inside = Vantage(frozenset({"front"}), host="10.1.0.1")
    assert container.candidate(inside).addresses == ("10.1.0.1",)


@pytest.mark.parametrize("networks", [None, {}, {"none": {"IPAddress": ""}}, {"front": None}])
def test_a_container_without_an_address_has_none(networks: Any) -> None:
    candidate = parse(document(networks=networks, mode="none")).candidate(Vantage())
    assert (candidate.address, candidate.addresses) == (None, ())


def test_ipv4_comes_ahead_of_ipv6_on_one_network() -> None:
    networks = {"dual": {"IPAddress": "10.1.0.2", "GlobalIPv6Address": "fd00::2"}}
    container = parse(document(networks=networks))
    assert container.networks == (Network("dual", ("10.1.0.2", "fd00::2"), ""),)
    assert container.candidate(Vantage()).address == "10.1.0.2"


def test_the_state_is_told_in_seconds_and_never_is_zero() -> None:
    state = parse(
        document(
            state={
                "Status": "exited",
                "Pid": 0,
                "ExitCode": 137,
                "OOMKilled": True,
                "StartedAt": "2026-01-02T03:04:05.123456789Z",
                "FinishedAt": "0001-01-01T00:00:00Z",
                "Health": {"Status": "unhealthy"},
            }
        )
    ).state
    assert (state.status, state.exit_code, state.oom_killed) == ("exited", 137, True)
    assert state.started_at == pytest.approx(1767323045.123456)
    assert (state.finished_at, state.restart_count, state.health) == (0.0, 2, "unhealthy")


@pytest.mark.parametrize(
    ("policy", "restarted"),
    [("", False), ("no", False), ("unless-stopped", True), ("on-failure", True)],
)
def test_whether_docker_starts_it_again_is_its_restart_policys(
    policy: str, restarted: bool
) -> None:
    inspected = document()
    inspected["HostConfig"]["RestartPolicy"] = {"Name": policy, "MaximumRetryCount": 0}
    assert parse(inspected).state.restarted is restarted


@pytest.mark.parametrize("value", ["true", "yes", "1"])
def test_a_container_that_asks_for_it_is_a_replica(value: str) -> None:
    assert parse(document(labels={"healthagent.enable": value})).is_replica


def test_what_compose_run_started_is_no_replica() -> None:
    labels = {"healthagent.enable": "true", "com.docker.compose.oneoff": "True"}
    assert not parse(document(labels=labels)).is_replica


def test_an_enable_label_that_cannot_be_read_is_a_notice_with_a_remedy() -> None:
    container = parse(document(labels={"healthagent.enable": "ture"}))
    assert not container.is_replica
    assert str(unreadable(container)) == (
        "shop-app-1: healthagent.enable='ture' cannot be read, so the container is not watched; "
        "write true or false"
    )


def test_a_container_that_says_no_is_left_alone_in_silence() -> None:
    assert unreadable(parse(document(labels={"healthagent.enable": "false"}))) is None


def test_a_document_with_nothing_in_it_is_no_error() -> None:
    container = parse({"Id": ID})
    assert container.state.status == "dead"
    assert not container.is_replica
