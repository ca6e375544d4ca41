"""Telemetry without PM2, logs where Docker keeps them, metrics of each container (NFR-3)."""

from __future__ import annotations

import re

from healthagent.audit.evidence import App, Code, Container, Evidence, Package, Place
from healthagent.audit.finding import Finding, met, not_met, not_seen
from healthagent.audit.launch import Launch
from healthagent.core.observation import Unseen
from healthagent.core.runtime import is_launcher, is_runtime

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
"""Where metrics go."""
_TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_TELL = f"set {ENDPOINTS[0]}: http://COLLECTOR:4318"
_SDK = (
    "@opentelemetry/sdk-node",
    "@opentelemetry/sdk-metrics",
    "@opentelemetry/sdk-trace-node",
    "@opentelemetry/sdk-trace-base",
    "@opentelemetry/auto-instrumentations-node",
)
_READABLE = ("json-file", "local", "journald")
"""Drivers that the Engine can show again (Docker's manual, "docker logs")."""
_REDIRECT = re.compile(r"(?<![0-9&])[12&]?>>?\s*(?!&|/dev/(?:stdout|stderr|fd/[12]))[\w./$-]")


def has_telemetry(_app: App, _code: Code, package: Package) -> Finding:
    for name in _SDK:
        if name in package.dependencies:
            return met(f"{name} is a dependency", package.dependencies[name].place)
    return not_met(
        "no OpenTelemetry SDK is a dependency", package.place,
        remedy="`bun add @opentelemetry/sdk-metrics @opentelemetry/exporter-metrics-otlp-http`",
    )  # fmt: skip


def uses_telemetry(_app: App, code: Code) -> Finding:
    used = [text for text in code.source.imports if text.value.startswith("@opentelemetry/")]
    if used:
        return met(f"{used[0]} is imported", used[0].place)
    return not_met(
        "the source does not use OpenTelemetry", Place(code.folder),
        remedy="set it up when the process starts; PM2 does so no longer",
    )  # fmt: skip


def is_told_where(app: App) -> Finding:
    disabled = app.service.environment.get("OTEL_SDK_DISABLED")
    if disabled and disabled.value.lower() == "true":
        return not_met(
            "OTEL_SDK_DISABLED is true", disabled.place, remedy="remove OTEL_SDK_DISABLED"
        )
    exporter = app.service.environment.get("OTEL_METRICS_EXPORTER")
    if exporter and exporter.value == "none":
        return not_met("OTEL_METRICS_EXPORTER is none", exporter.place, remedy="write `otlp`")
    given = [(name, text) for name, text in app.service.environment.items() if name in ENDPOINTS]
    for name, text in given:
        if text.value:
            return met(f"{name} says where they go", text.place)
    if given:  # to an SDK as if it were not there (OpenTelemetry's specification)
        name, text = given[0]
        return not_met(f"{name} is empty", text.place, remedy=_TELL)
    return not_met(
        f"{app.service.name} is not told where to send its metrics", app.service.place,
        remedy=_TELL,
    )  # fmt: skip


def is_told_where_live(container: Container) -> Finding:
    for name in (*ENDPOINTS, _TRACES):
        if container.otel.get(name):
            return met(f"{name} is set", container.place)
    return not_met(
        "no OTEL_EXPORTER_OTLP_ENDPOINT in its variables", container.place,
        remedy=f"set {ENDPOINTS[0]}, and recreate the containers",
    )  # fmt: skip


def metrics_arrive(seen: Evidence) -> Finding:
    """Each container is named where metrics arrive: by its name, or by its id or host name, either
    with the port that Prometheus adds where it scrapes."""
    if isinstance(seen.metrics, Unseen):
        return not_seen(seen.metrics)
    if isinstance(seen.containers, Unseen):
        return not_seen(seen.containers)
    names = {name.partition(":")[0] for name in seen.metrics.names}
    missing = [
        container
        for container in seen.containers
        if names.isdisjoint((container.name, container.id, container.id[:12]))
    ]
    if missing:
        return not_met(
            f"no metric of {len(missing)} of {len(seen.containers)} containers has arrived",
            seen.metrics.place, *(container.place for container in missing),
            remedy="set service.instance.id to the container's name in the resource",
        )  # fmt: skip
    return met(f"metrics of all {len(seen.containers)} containers arrive", seen.metrics.place)


def writes_no_files(_app: App, code: Code) -> Finding:
    files = [text for text in code.source.texts if text.value.startswith("logfile ")]
    if files:
        return not_met(
            f"logs go to a file: {files[0].value.removeprefix('logfile ')}", files[0].place,
            remedy="write to stdout",
        )  # fmt: skip
    return met("the source writes no log files", Place(code.folder))


def redirects_nothing(_app: App, launch: Launch) -> Finding:
    text = f"{' '.join(launch.final)} {launch.script_text}"
    if _REDIRECT.search(text):
        return not_met(
            f"the output is redirected: {launch.script_text or text.strip()}", *launch.places,
            remedy="remove the redirection: Docker keeps stdout",
        )  # fmt: skip
    return met("the start redirects nothing", *launch.places)


def keeps_logs(app: App) -> Finding:
    driver = app.service.logging
    if driver and driver.value == "none":
        return not_met("the log driver is none", driver.place, remedy="remove `logging`")
    return met(_driver(app), app.service.place)


def _driver(app: App) -> str:
    return f"log driver {app.service.logging}" if app.service.logging else "Docker keeps the logs"


def logs_live(container: Container) -> Finding:
    if container.log_driver == "none":
        return not_met(
            "its log driver is none", container.place,
            remedy="remove `logging`, and recreate the containers",
        )  # fmt: skip
    if container.lines is None:
        if container.log_driver in _READABLE:
            return not_seen(
                Unseen("the Engine did not show its log", "audit again"), container.place
            )
        return not_seen(
            Unseen(
                f"the Engine cannot show what log driver {container.log_driver} took",
                "look for its lines where the driver sends them",
            ),
            container.place,
        )
    if container.lines <= _echoes(container):
        return not_seen(
            Unseen(
                "the app has written nothing to stdout or stderr yet",
                "have it log that it has started, and audit again",
            ),
            container.place,
        )
    return met("its lines are in `docker logs`", container.place)


def _echoes(container: Container) -> int:
    """The lines that are not the app's: each `bun run` shows the command of its script first."""
    tree = container.processes
    if isinstance(tree, Unseen):
        return 0
    return sum(
        is_runtime(process, "bun") and is_launcher(process, tree) for process in tree.processes
    )
