"""The metrics of ``/metrics``, read back with Prometheus' own parser."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from healthagent.core.action import Outcome
from healthagent.core.report import Report
from healthagent.core.transition import transitions
from healthagent.surfaces.http.metrics import OPENMETRICS, Metrics, exposition, form_of
from tests.unit.surfaces.world import NOW, RESTARTED, World


def scraped(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    body, _ = exposition("", metrics.known)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_each_replica_and_check_has_its_state(world: World) -> None:
    metrics = Metrics()
    metrics.publish(world.report(world.frozen("app-1"), world.replica("app-2")), (), 3)
    found = scraped(metrics)
    one, two = {"target": "app-1", "service": "app"}, {"target": "app-2", "service": "app"}
    assert found[labelled("healthagent_target_ready", **one)] == 0
    assert found[labelled("healthagent_target_ready", **two)] == 1
    assert found[labelled("healthagent_target_live", **one)] == 0
    status = {"check": "process", **one}
    assert found[labelled("healthagent_check_status", status="failed", **status)] == 1
    assert found[labelled("healthagent_check_status", status="ok", **status)] == 0
    assert found[labelled("healthagent_check_since_timestamp_seconds", **status)] == NOW
    assert found[labelled("healthagent_service_ready_replicas", service="app")] == 1
    assert found[labelled("healthagent_report_timestamp_seconds")] == NOW
    assert found[labelled("healthagent_notices")] == 3


def test_a_time_that_is_not_known_yet_is_left_out(world: World) -> None:
    """``time() - metric`` would else be an age of decades."""
    metrics = Metrics()
    assert labelled("healthagent_report_timestamp_seconds") not in scraped(metrics)
    metrics.publish(world.report(replace(world.replica("app-1"), looked_at=False)), (), 0)
    found = scraped(metrics)
    assert found[labelled("healthagent_target_ready", target="app-1", service="app")] == 0
    assert not [name for name, _ in found if name.endswith("_since_timestamp_seconds")]


def test_connections_are_held_declared_and_allowed(world: World) -> None:
    metrics = Metrics()
    metrics.publish(world.report(world.replica("app-1")), (), 0)
    found = scraped(metrics)
    pool = {"server": "postgres:5432", "target": "app-1", "service": "app"}
    assert found[labelled("healthagent_pool_held_connections", **pool)] == 2
    assert found[labelled("healthagent_pool_declared_connections", **pool)] == 8
    server = {"server": "postgres:5432"}
    assert found[labelled("healthagent_server_allowed_connections", **server)] == 37
    assert found[labelled("healthagent_role_held_connections", role="app", **server)] == 2
    assert found[labelled("healthagent_role_held_connections", role="healthagent", **server)] == 1
    assert found[labelled("healthagent_database_held_connections", database="shop", **server)] == 3


def test_transitions_are_counted_until_the_replica_is_gone(world: World) -> None:
    metrics = Metrics()
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    metrics.publish(sick, transitions(well, sick), 0)
    name = labelled(
        "healthagent_transitions_total", target="app-1", service="app", check="process", to="failed"
    )
    assert scraped(metrics)[name] == 1
    nobody = Report(NOW, settled=True)
    metrics.publish(nobody, transitions(sick, nobody), 0)
    assert name not in scraped(metrics), "a replica that is gone must not be counted for ever"


def test_an_act_is_counted_once_at_its_end() -> None:
    metrics = Metrics()
    metrics.record(replace(RESTARTED, outcome=Outcome.BEGUN))
    metrics.record(RESTARTED)
    name = labelled("healthagent_acts_total", service="app", verb="restart", outcome="done")
    acts = {key: n for key, n in scraped(metrics).items() if key[0] == "healthagent_acts_total"}
    assert acts == {name: 1}, "an act that goes on has no outcome yet"


def test_the_agents_own_process_is_measured() -> None:
    assert scraped(Metrics())[labelled("process_resident_memory_bytes")] > 0


def test_openmetrics_is_given_to_who_asks_for_it() -> None:
    form = form_of("application/openmetrics-text; version=1.0.0")
    body, content_type = exposition(form, Metrics().known)
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_there_are_two_forms_whatever_versions_and_escapings_are_asked_for() -> None:
    asked = (f"{OPENMETRICS}; version=1.{minor}.0; escaping=dots" for minor in range(100))
    assert {form_of(accept) for accept in (*asked, "text/plain; version=1.0.0", "*/*", "")} == {
        OPENMETRICS,
        "",
    }


def test_what_is_read_off_stays_as_it_was_while_more_is_counted(world: World) -> None:
    metrics = Metrics()
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    before = metrics.known
    metrics.publish(sick, transitions(well, sick), 0)
    metrics.record(RESTARTED)
    assert (dict(before.transitions), dict(before.acts)) == ({}, {})
