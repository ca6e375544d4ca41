"""The labels that users write for Traefik, read as Traefik reads them."""

from __future__ import annotations

import orjson
import pytest

from healthagent.surfaces.traefik.labels import LONGEST_NAME, read

UNPRINTABLE = "has a character that cannot be printed"


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
        ("middlewares.p.plugin", "geo", "is no label of Traefik 3"),
        ("middlewares.p.plugin.geo.", "x", "is no label of Traefik 3"),
        ("middlewares.p.plugin.geo.allow..x", "y", "is no label of Traefik 3"),
        ("routers.app.priority", "٣", "is no whole number"),
        ("services.app.loadbalancer.server.weight", "9" * 18, "is no whole number"),
        ("routers.app.tls.domains[٣].main", "a", "has no index"),
        ("services.app.loadbalancer.healthcheck.interval", "٣s", "is no duration"),
        ("services.app.loadbalancer.healthcheck.interval", "9999999h", "is no duration"),
        ("services.app.loadbalancer.healthcheck.interval", "9" * 5000, "is no duration"),
        ("middlewares.h.headers.customrequestheaders.X", "a\x7f", UNPRINTABLE),
        ("middlewares.h.headers.customrequestheaders.X", "a\x9f", UNPRINTABLE),
        ("middlewares.h.headers.customrequestheaders.X", "a\ufffe", UNPRINTABLE),
        ("middlewares.h.headers.customrequestheaders.X\0", "a", UNPRINTABLE),
    ],
)
def test_what_traefik_would_refuse_is_a_fault(key: str, value: str, problem: str) -> None:
    labels = read({f"traefik.http.{key}": value})
    [fault] = labels.faults
    assert (fault.key, fault.problem) == (f"traefik.http.{key}", problem)
    assert fault.remedy


@pytest.mark.parametrize(
    "key",
    [
        "middlewares.m.headers.customrequestheaders." + "X" * 1024,
        "middlewares.m.plugin" + ".a" * 260,
        f"routers.m.tls.domains[{'1' * 4400}].main",
        "middlewares." + "m" * 1024 + ".addprefix.prefix",
    ],
)
def test_a_label_of_a_name_beyond_all_measure_is_left_out_and_told_shortened(key: str) -> None:
    labels = read({f"traefik.http.{key}": "1"})
    [fault] = labels.faults
    assert fault.problem == f"is longer than {LONGEST_NAME} characters"
    assert len(fault.key) <= LONGEST_NAME, "a notice is read by people"
    assert not labels.routers
    assert not labels.middlewares


def test_the_deepest_tree_of_a_plugin_can_be_written() -> None:
    key = "traefik.http.middlewares.m.plugin" + ".a" * LONGEST_NAME
    labels = read({key[: LONGEST_NAME - 1] + "a": "1"})
    assert labels.faults == ()
    assert orjson.dumps(dict(labels.middlewares))


@pytest.mark.parametrize("kind", ["ipallowlist", "ipwhitelist"])
def test_a_guard_that_is_left_empty_by_a_switch_is_left_out_with_a_notice(kind: str) -> None:
    labels = read(
        {
            f"traefik.http.middlewares.guard.{kind}.ipstrategy": "false",
            "traefik.http.middlewares.zip.compress": "true",
        }
    )
    assert list(labels.middlewares) == ["zip"]
    [fault] = labels.faults
    assert fault.key.lower() == f"traefik.http.middlewares.guard.{kind}"
    whole = {f"traefik.http.middlewares.guard.{kind}.{field}": value for field, value in
             (("ipstrategy", "false"), ("sourcerange", "10.0.0.0/8"))}  # fmt: skip
    assert read(whole).faults == ()


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
