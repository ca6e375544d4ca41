"""OTLP over HTTP and gRPC to a real receiver, and to one that is not there."""

from __future__ import annotations

import gzip
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)

from healthagent.core.notice import Notice
from healthagent.core.report import Report
from healthagent.core.target import Target
from healthagent.core.transition import transitions
from healthagent.surfaces.otel import NoTelemetry, Telemetry, from_environment
from tests.unit.surfaces.world import NOW, RESTARTED, Replica, World

SOON = 15.0
NOBODY = Report(NOW, settled=True)
LOGGER = "healthagent.surfaces.otel.exporter"


@dataclass
class Receiver:
    """A collector that remembers what it was sent. While ``refusing``, it takes nothing, and never
    a request that holds ``unwanted``; over HTTP with the ``refusal`` as its status. While it
    ``rests``, it asks for so many seconds of that."""

    endpoint: str = ""
    refusing: bool = False
    unwanted: str = ""
    refusal: int = 400
    rests: int = 0
    asked: int = 0
    metrics: list[Any] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def take(self, kept: list[Any], resources: Any) -> bool:
        with self.came:
            self.asked += 1
            unwanted = self.unwanted and self.unwanted in str(resources)
            taken = not (self.rests or self.refusing or unwanted)
            if taken:
                kept.extend(resources)
            self.came.notify_all()
            return taken

    def until(self, condition: Callable[[], bool], what: str) -> None:
        with self.came:
            assert self.came.wait_for(condition, SOON), f"never came: {what}"

    def changes(self) -> list[str]:
        """The bodies of all log records."""
        return [
            record.body.string_value
            for resource in self.logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


def over_http(receiver: Receiver, bound: socket.socket | None = None) -> Callable[[], None]:
    """Takes telemetry from now on, at the port of a socket that is bound already, or at any."""
    if bound is None:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
    host, port = bound.getsockname()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/metrics":
                metrics = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
                taken = receiver.take(receiver.metrics, metrics.resource_metrics)
            else:
                logs = logs_service_pb2.ExportLogsServiceRequest.FromString(body)
                taken = receiver.take(receiver.logs, logs.resource_logs)
            self.send_response(200 if taken else 429 if receiver.rests else receiver.refusal)
            if receiver.rests:
                self.send_header("Retry-After", str(receiver.rests))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler, bind_and_activate=False)
    server.socket.close()  # its own, which is bound to nothing
    server.socket = bound
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    receiver.endpoint = f"http://{host}:{port}"

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def over_grpc(receiver: Receiver) -> Callable[[], None]:
    class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's own name
            receiver.take(receiver.metrics, request.resource_metrics)
            return metrics_service_pb2.ExportMetricsServiceResponse()

    class Logs(logs_service_pb2_grpc.LogsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's own name
            if not receiver.take(receiver.logs, request.resource_logs):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unwanted")
            return logs_service_pb2.ExportLogsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    register: Any = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server
    register(Metrics(), server)
    register = logs_service_pb2_grpc.add_LogsServiceServicer_to_server
    register(Logs(), server)
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    return lambda: server.stop(0).wait() and None


@pytest.fixture(params=["http/protobuf", "grpc"])
def receiver(request: pytest.FixtureRequest, environ: dict[str, str]) -> Iterator[Receiver]:
    found = Receiver()
    stop = over_grpc(found) if request.param == "grpc" else over_http(found)
    environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = request.param
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = found.endpoint
    yield found
    stop()


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The process' variables, which OpenTelemetry's exporters read by themselves."""
    given = Environment(monkeypatch)
    given["OTEL_METRIC_EXPORT_INTERVAL"] = "100"
    given["OTEL_BLRP_SCHEDULE_DELAY"] = "50"
    given["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1000"
    yield given


class Environment(dict[str, str]):
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._monkeypatch = monkeypatch

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        self._monkeypatch.setenv(key, value)


@pytest.fixture
def telemetry(receiver: Receiver) -> Iterator[Telemetry]:
    surface = from_environment()
    yield surface
    surface.close()


def attributes(holder: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in holder.attributes
    }


def gauges(resource: Any) -> dict[tuple[str, frozenset[tuple[str, Any]]], int]:
    return {
        (metric.name, frozenset(attributes(point).items())): point.as_int
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    }


def test_each_container_is_a_resource_with_gauges_of_its_own(
    receiver: Receiver, telemetry: Telemetry, world: World
) -> None:
    report = world.report(world.frozen("app-1"), world.replica("app-2"))
    telemetry.publish(report, ())
    receiver.until(lambda: len(receiver.metrics) >= 3, "metrics of the agent and two replicas")
    found = {
        attributes(metrics.resource)["service.instance.id"]: metrics
        for metrics in receiver.metrics
        if "service.instance.id" in attributes(metrics.resource)
    }
    one = found[report.targets[0].target.id]
    assert (
        attributes(one.resource).items()
        >= {
            "service.name": "app",
            "container.id": report.targets[0].target.id,
            "container.name": "app-1",
        }.items()
    )
    measured = gauges(one)
    process = ("healthagent.check.name", "process")
    failed, ok = (("healthagent.check.status", status) for status in ("failed", "ok"))
    assert measured["healthagent.target.ready", frozenset()] == 0
    assert measured["healthagent.check.status", frozenset({process, failed})] == 1
    assert measured["healthagent.check.status", frozenset({process, ok})] == 0
    server = frozenset({("server.address", "postgres"), ("server.port", 5432)})
    assert measured["healthagent.pool.connections.declared", server] == 8
    assert gauges(found[report.targets[1].target.id])["healthagent.target.ready", frozenset()] == 1


def test_the_agent_itself_is_a_resource_too(
    receiver: Receiver, telemetry: Telemetry, world: World
) -> None:
    telemetry.publish(world.report(world.replica("app-1")), ())
    receiver.until(lambda: bool(receiver.metrics), "metrics")
    agent = next(m for m in receiver.metrics if "container.id" not in attributes(m.resource))
    assert attributes(agent.resource)["service.name"] == "healthagent"
    server = frozenset({("server.address", "postgres"), ("server.port", 5432)})
    found = gauges(agent)
    assert found["healthagent.server.connections.allowed", server] == 37
    role, database = ("healthagent.role.name", "app"), ("db.namespace", "shop")
    assert found["healthagent.role.connections.held", server | {role}] == 2
    assert found["healthagent.database.connections.held", server | {database}] == 3


def test_notices_are_counted_with_those_that_no_report_has(
    receiver: Receiver, world: World
) -> None:
    """That Traefik polls no more is one of these."""
    notice = Notice("docker", "there is no socket", "start the Engine")
    with closing(from_environment(elsewhere=lambda: 2)) as surface:
        surface.publish(world.report(world.replica("app-1"), notices=(notice,)), ())
        receiver.until(lambda: bool(receiver.metrics), "metrics")
    agent = next(m for m in receiver.metrics if "container.id" not in attributes(m.resource))
    assert gauges(agent)["healthagent.notices", frozenset()] == 3


def test_every_transition_is_a_log_record(
    receiver: Receiver, telemetry: Telemetry, world: World
) -> None:
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    telemetry.publish(sick, transitions(well, sick))
    receiver.until(lambda: len(receiver.changes()) >= 3, "three log records")
    [logs] = receiver.logs
    assert attributes(logs.resource)["container.name"] == "app-1"
    record = logs.scope_logs[0].log_records[0]
    assert record.event_name == "healthagent.transition"
    assert (record.severity_text, record.severity_number) == ("ERROR", 17)
    assert record.time_unix_nano == 1_767_323_045_678_000_000
    assert record.body.string_value.startswith("app-1 process: ok -> failed: pid 100 is stopped")
    assert (
        attributes(record).items()
        >= {
            "healthagent.check.name": "process",
            "healthagent.after": "failed",
            "healthagent.code": "stopped",
            "healthagent.evidence.pid": 100,
        }.items()
    )


def test_every_act_is_a_log_record_too(receiver: Receiver, telemetry: Telemetry) -> None:
    telemetry.record(RESTARTED)
    receiver.until(lambda: receiver.logs != [], "a log record")
    [logs] = receiver.logs
    about = attributes(logs.resource)
    assert (about["service.name"], about["container.name"]) == ("app", "app-1")
    record = logs.scope_logs[0].log_records[0]
    assert (record.event_name, record.severity_text) == ("healthagent.act", "INFO")
    assert record.body.string_value == "restart app-1 by supervisor: done: ready again"
    assert (
        attributes(record).items()
        >= {
            "healthagent.act.id": "5f0c",
            "healthagent.act.verb": "restart",
            "healthagent.act.by": "supervisor",
            "healthagent.act.outcome": "done",
        }.items()
    )


def test_a_record_that_is_refused_is_dropped_and_holds_up_no_other(
    receiver: Receiver, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.unwanted = "odd"
    for text in ("one", "odd", "two", "odder", "three"):
        telemetry.record(replace(RESTARTED, text=text))
    receiver.until(lambda: len(receiver.changes()) == 3, "the records that are not refused")
    told = [body.rpartition(" ")[2] for body in receiver.changes()]
    assert told == ["one", "two", "three"], "each once, and in order"
    [warning] = [r.getMessage() for r in caplog.records if r.name == LOGGER]
    assert "refuses a log record" in warning
    assert "look at the collector's log" in warning


def test_variables_describe_where_it_all_runs(
    receiver: Receiver, environ: dict[str, str], world: World
) -> None:
    environ["OTEL_RESOURCE_ATTRIBUTES"] = (
        "deployment.environment.name=staging,service.namespace=shop,service.version=of the agent"
    )
    environ["OTEL_SERVICE_NAME"] = "watcher"
    surface = from_environment()
    surface.publish(world.report(world.replica("app-1")), ())
    receiver.until(lambda: len(receiver.metrics) >= 2, "metrics")
    surface.close()
    described = [attributes(metrics.resource) for metrics in receiver.metrics[:2]]
    assert [about["service.name"] for about in described] == ["watcher", "app"]
    assert {about["deployment.environment.name"] for about in described} == {"staging"}
    assert {about["service.namespace"] for about in described} == {"shop"}
    assert "service.version" not in described[1], "the agent's version is not the app's"


def test_a_replica_does_not_run_in_the_agents_process_or_container(
    receiver: Receiver, environ: dict[str, str], world: World
) -> None:
    environ["OTEL_RESOURCE_ATTRIBUTES"] = "container.id=of the agent,container.runtime=docker"
    environ["OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"] = "process"
    local = Replica(Target(id="static:app-1", name="app-1", service="app", pid=100))
    with closing(from_environment()) as surface:
        surface.publish(world.report(local), ())
        surface.record(RESTARTED)
        receiver.until(lambda: len(receiver.metrics) >= 2 and receiver.logs != [], "all signals")
    agent, replica = (attributes(metrics.resource) for metrics in receiver.metrics[:2])
    acted_on = attributes(receiver.logs[0].resource)
    assert {"process.pid", "container.id"} < agent.keys()
    for about in (replica, acted_on):
        assert "container.id" not in about
        assert [key for key in about if key.startswith("process.")] == []
    assert acted_on["container.name"] == "app-1"


def test_a_last_word_is_sent_when_the_agent_stops(
    receiver: Receiver, environ: dict[str, str], world: World
) -> None:
    environ["OTEL_BLRP_SCHEDULE_DELAY"] = environ["OTEL_METRIC_EXPORT_INTERVAL"] = "600000"
    surface = from_environment()
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    surface.publish(sick, transitions(well, sick))
    surface.close()
    assert len(receiver.changes()) == 3
    assert receiver.metrics


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port where nobody listens, and where nobody can but by this socket. Without SO_REUSEADDR:
    else whoever sets that too, as Docker's proxies do, might listen there (socket(7))."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def test_a_dead_collector_costs_one_warning_and_a_line_when_it_is_back(
    environ: dict[str, str],
    world: World,
    caplog: pytest.LogCaptureFixture,
    silent: socket.socket,
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver = Receiver()
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
    environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "2000"  # long enough for a second attempt
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    with closing(from_environment()) as surface:
        surface.publish(sick, transitions(well, sick))
        heard = Heard(LOGGER)
        heard.until(1)
        surface.publish(well, transitions(sick, well))
        stop = over_http(receiver, silent)
        receiver.until(lambda: len(receiver.changes()) == 6, "all that waited for the collector")
        heard.until(2)
    stop()
    told = [r for r in caplog.records if r.name.startswith(("opentelemetry", LOGGER))]
    assert [(r.name, r.levelname) for r in told] == [(LOGGER, "WARNING"), (LOGGER, "INFO")]
    assert "Connection refused" in told[0].getMessage()
    assert [r for r in caplog.records if r.exc_info] == [], "no traceback"


@pytest.mark.parametrize("status", [301, 308, 400, 401, 404])
def test_a_collector_that_refuses_is_told_with_its_own_words(
    environ: dict[str, str], world: World, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """As one does that redirects: to wherever, nothing was delivered."""
    receiver = Receiver(refusing=True, refusal=status)
    stop = over_http(receiver)
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint
    surface = from_environment()
    surface.publish(world.report(world.replica("app-1")), ())
    Heard(LOGGER).until(1)
    surface.close()
    stop()
    [warning] = [r.getMessage() for r in caplog.records if r.name == LOGGER]
    assert f"({status} " in warning
    assert "look at OTEL_EXPORTER_OTLP_ENDPOINT" in warning


def test_of_an_answer_that_has_no_end_no_more_is_read_than_any_has(
    environ: dict[str, str], world: World
) -> None:
    """What stands at the endpoint may be no collector."""
    left = threading.Event()

    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            with suppress(ConnectionError):
                for _ in range(200):
                    connection.sendall(b"40000\r\n" + bytes(0x40000) + b"\r\n")
                return
            left.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = (
            f"http://127.0.0.1:{listener.getsockname()[1]}"
        )
        answering = threading.Thread(target=answer, args=(listener,))
        answering.start()
        surface = from_environment()
        well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
        surface.publish(sick, transitions(well, sick))
        answering.join(SOON)
        surface.close()
    assert left.is_set(), "all of it was read"


def test_a_collector_that_asks_to_be_left_alone_is_told_of_and_left_alone(
    environ: dict[str, str], world: World, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver(rests=2)
    stop = over_http(receiver)
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint
    environ["OTEL_METRICS_EXPORTER"] = "none"
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    with closing(from_environment()) as surface:
        surface.publish(sick, transitions(well, sick))
        Heard(LOGGER).until(1)
        refused_at, asked, receiver.rests = time.monotonic(), receiver.asked, 0
        receiver.until(lambda: len(receiver.changes()) == 3, "all that waited for the collector")
        came = time.monotonic()
    stop()
    assert came - refused_at > 1.5, "it asked for two seconds of rest"
    assert (asked, receiver.asked) == (1, 2)
    [warning] = [r.getMessage() for r in caplog.records if r.name == LOGGER]
    assert "does not take logs (429 Too Many Requests)" in warning


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_collector_that_hangs_delays_neither_reports_nor_the_end(
    environ: dict[str, str],
    world: World,
    protocol: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
        environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "30000"
        surface = from_environment()
        surface.publish(sick, transitions(well, sick))
        silent.settimeout(SOON)
        connection, _ = silent.accept()  # the exporter now waits for an answer
        with connection:
            began = time.monotonic()
            for _ in range(1000):
                surface.publish(sick, transitions(well, sick))
            surface.close()
            assert time.monotonic() - began < 15, "it waited for the collector's 30 s"
    sender = next((t for t in threading.enumerate() if t.name == "otel"), None)
    if sender is not None:
        sender.join(SOON)
    assert {r.name for r in caplog.records if r.name.startswith("opentelemetry")} == set()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"},
    ],
)
def test_nobody_who_does_not_ask_gets_telemetry(given: dict[str, str]) -> None:
    assert isinstance(from_environment(given), NoTelemetry)


def test_a_signal_may_have_an_endpoint_of_its_own(environ: dict[str, str], world: World) -> None:
    receiver = Receiver()
    stop = over_http(receiver)
    environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = f"{receiver.endpoint}/v1/logs"
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    surface = from_environment()
    surface.publish(sick, transitions(well, sick))
    receiver.until(lambda: bool(receiver.logs), "logs")
    surface.close()
    stop()
    assert receiver.metrics == []


def test_a_variable_that_cannot_be_used_is_told_and_never_stops_the_agent(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "carrier-pigeon"
    environ["OTEL_METRIC_EXPORT_INTERVAL"] = "often"
    from_environment().close()
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "'carrier-pigeon' for metrics is not spoken; write http/protobuf or grpc" in told
    assert "OTEL_METRIC_EXPORT_INTERVAL='often' cannot be read" in told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "", ""),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none", ""),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", ""),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "'zstd' cannot be read; write none or gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "", ""),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "", ""),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "'10s' cannot be read; write milliseconds"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0", "'0' cannot be read; write milliseconds"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "", ""),
        ("OTEL_EXPORTER_OTLP_INSECURE", "", ""),
        ("OTEL_SDK_DISABLED", "1", "'1' cannot be read; write true or false"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "9" * 5000, "cannot be read; write milliseconds"),
    ],
)
def test_a_variable_that_is_empty_or_wrong_counts_as_unset(
    receiver: Receiver,
    environ: dict[str, str],
    world: World,
    caplog: pytest.LogCaptureFixture,
    name: str,
    value: str,
    told: str,
) -> None:
    environ[name] = value
    with closing(from_environment()) as surface:
        surface.publish(world.report(world.replica("app-1")), ())
        receiver.until(lambda: bool(receiver.metrics), "metrics")
    assert os.environ[name] == value, "the process' variables are as they were"
    words = {record.getMessage() for record in caplog.records}
    assert (len(words) == 1) is bool(told), words
    assert all(name in word and told in word for word in words)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_timeout_is_in_milliseconds(
    environ: dict[str, str], world: World, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
    environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "100"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with closing(from_environment()) as surface:
            surface.publish(world.report(world.replica("app-1")), ())
            Heard(LOGGER).until(1)
    assert "does not take metrics" in caplog.text


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_header_that_cannot_be_sent_is_told_without_its_value(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    """As what base64 prints has line breaks."""
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
    environ["OTEL_EXPORTER_OTLP_HEADERS"] = "Authorization=Basic%20aHVudGVy%0AMjIyMjIy"
    assert isinstance(from_environment(), NoTelemetry)
    [told] = [record.getMessage() for record in caplog.records]
    assert "OTEL_EXPORTER_OTLP_HEADERS has a line break" in told
    assert "aHVudGVy" not in told


@pytest.mark.parametrize(("protocol", "scheme"), [("http/protobuf", "htp"), ("grpc", "http")])
def test_a_password_in_an_endpoint_is_not_told(
    environ: dict[str, str],
    world: World,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
    scheme: str,
) -> None:
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{scheme}://me:hunter2@127.0.0.1:1"
    environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
    with closing(from_environment()) as surface:
        surface.publish(world.report(world.replica("app-1")), ())
        Heard(LOGGER).until(1)
    assert "does not take metrics" in caplog.text
    assert "127.0.0.1:1" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_header_that_cannot_be_read_is_told_once_and_without_its_value(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
    environ["OTEL_EXPORTER_OTLP_HEADERS"] = "Authorization: Bearer hunter2"
    from_environment().close()
    [told] = [record.getMessage() for record in caplog.records]
    assert "OTEL_EXPORTER_OTLP_HEADERS cannot be read" in told
    assert "hunter2" not in told


WAITS_FOR_THE_WARNING = """
import logging, threading
from healthagent.core.report import Report
from healthagent.surfaces.otel import from_environment

told, handler = threading.Event(), logging.Handler()
handler.emit = lambda _: told.set()
logging.getLogger("healthagent").addHandler(handler)
surface = from_environment()
surface.publish(Report(0.0, settled=True), ())
assert told.wait(15)
surface.close()
"""
"""A program of its own: gRPC reads its variables once, as it is imported."""


def test_grpc_writes_nothing_beside_the_agents_log(environ: dict[str, str]) -> None:
    """As it would for each attempt at a collector that speaks no TLS."""
    receiver = Receiver()
    stop = over_http(receiver)
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint.replace("http:", "https:")
    environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
    done = subprocess.run(
        [sys.executable, "-c", WAITS_FOR_THE_WARNING], capture_output=True, text=True, check=True
    )
    stop()
    assert done.stderr == ""


def test_opentelemetry_is_not_even_imported_where_nobody_asks() -> None:
    program = (
        "import sys; from healthagent.surfaces import otel; otel.from_environment({}); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


class Heard(logging.Handler):
    """Waits for log records of one logger, which come from a thread."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._count = 0
        self._came = threading.Condition()
        logging.getLogger(name).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        with self._came:
            self._count += 1
            self._came.notify_all()

    def until(self, count: int) -> None:
        with self._came:
            assert self._came.wait_for(lambda: self._count >= count, SOON), "the agent said nothing"
