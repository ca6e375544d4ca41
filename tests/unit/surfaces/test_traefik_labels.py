"""The labels that users write for Traefik, read as Traefik reads them."""

from __future__ import annotations

import pytest

from healthagent.surfaces.traefik.labels import read


def test_values_get_the_type_that_their_place_asks_for() -> None:
    labels = read(
        {
            "traefik.http.routers.app.rule": "Host(`a.example`) && PathPrefix(`/x,y`)",
            "traefik.http.routers.app.entrypoints": "web, websecure",
            "traefik.http.routers.app.priority": "42",
            "traefik.http.services.app.loadbalancer.passhostheader": "False",
            "traefik.http.services.app.loadbalancer.healthcheck.interval": "1m30s",
            "traefik.http.services.app.loadbalancer.server.port": "3000",
        }
    )
    assert labels.faults == ()
    assert labels.routers["app"] == {
        "rule": "Host(`a.example`) && PathPrefix(`/x,y`)",
        "entryPoints": ["web", "websecure"],
        "priority": 42,
    }
    assert labels.services["app"]["loadBalancer"] == {
        "passHostHeader": False,
        "healthCheck": {"interval": "1m30s"},
        "server": {"port": 3000},
    }


def test_field_names_come_in_any_case_and_free_names_keep_theirs() -> None:
    labels = read(
        {
            "Traefik.HTTP.Routers.App.EntryPoints": "web",
            "traefik.http.middlewares.h.headers.customrequestheaders.X-Script-Name": "a,b",
        }
    )
    assert labels.routers == {"App": {"entryPoints": ["web"]}}
    headers = labels.middlewares["h"]["headers"]
    assert headers == {"customRequestHeaders": {"X-Script-Name": "a,b"}}


def test_a_structure_is_switched_on_by_true_and_off_by_false() -> None:
    labels = read(
        {
            "traefik.http.routers.a.tls": "true",
            "traefik.http.routers.b.tls": "true",
            "traefik.http.routers.b.tls.certresolver": "le",
            "traefik.http.routers.c.tls": "false",
            "traefik.http.middlewares.zip.compress": "true",
            "traefik.http.services.s.loadbalancer.sticky.cookie": "true",
        }
    )
    assert labels.routers == {"a": {"tls": {}}, "b": {"tls": {"certResolver": "le"}}, "c": {}}
    assert labels.middlewares == {"zip": {"compress": {}}}
    assert labels.services == {"s": {"loadBalancer": {"sticky": {"cookie": {}}}}}


def test_indexed_structures_become_a_list_in_their_order() -> None:
    labels = read(
        {f"traefik.http.routers.a.tls.domains[{n}].main": f"{n}.example" for n in (10, 2, 0)}
        | {"traefik.http.routers.a.tls.domains[0].sans": "x.example,y.example"}
    )
    assert labels.routers["a"]["tls"]["domains"] == [
        {"main": "0.example", "sans": ["x.example", "y.example"]},
        {"main": "2.example"},
        {"main": "10.example"},
    ]


def test_a_plugin_may_have_any_tree() -> None:
    labels = read({"traefik.http.middlewares.p.plugin.geo.allow.countries": "NL"})
    assert labels.middlewares == {"p": {"plugin": {"geo": {"allow": {"countries": "NL"}}}}}


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("routers.app.priority", "high", "is no whole number"),
        ("routers.app.priority", "", "is no whole number"),
        ("routers.app.tls", "maybe", "is neither true nor false"),
        ("routers.app.middleware", "auth", "is no label of Traefik 3"),
        ("routers.app.rule.x", "1", "is no label of Traefik 3"),
        ("routers.app.tls.domains.main", "a", "has no index"),
        ("routers.app.tls.domains[0]", "a", "is no label of Traefik 3"),
        ("routers.app", "x", "is no label of Traefik 3"),
        ("router.app.rule", "x", "is no label of Traefik 3"),
        ("services.app.loadbalancer.healthcheck.interval", "soon", "is no duration"),
        ("services.app.loadbalancer", "x", "is no label of Traefik 3"),
        ("middlewares.h.headers.customrequestheaders", "x", "is no label of Traefik 3"),
    ],
)
def test_what_traefik_would_refuse_is_a_fault(key: str, value: str, problem: str) -> None:
    labels = read({f"traefik.http.{key}": value})
    [fault] = labels.faults
    assert (fault.key, fault.problem) == (f"traefik.http.{key}", problem)
    assert fault.remedy


def test_what_has_a_fault_is_left_out_whole_and_the_rest_stays() -> None:
    labels = read(
        {
            "traefik.http.routers.guarded.rule": "Host(`a`)",
            "traefik.http.routers.guarded.middleware": "auth",
            "traefik.http.routers.plain.rule": "Host(`b`)",
        }
    )
    assert labels.routers == {"plain": {"rule": "Host(`b`)"}}, (
        "a router without the guard that was misspelt must not be served"
    )


def test_a_fault_never_tells_a_value_that_may_be_a_secret() -> None:
    labels = read({"traefik.http.middlewares.a.basicauth.user": "admin:$apr1$secret"})
    assert labels.faults[0].value == ""


def test_other_labels_are_none_of_its_business() -> None:
    labels = read({"traefik.enable": "true", "traefik.docker.network": "web", "other": "x"})
    assert labels.faults == ()
    assert not labels.routers


def test_tcp_and_udp_are_said_not_to_be_served() -> None:
    [fault] = read({"traefik.tcp.routers.db.rule": "HostSNI(`*`)"}).faults
    assert "HTTP alone" in fault.problem
    assert "file provider" in fault.remedy, "a constraint hides it from the Docker provider too"
