"""OTLP: metrics and logs per container, by the standard ``OTEL_*`` variables.

Nothing of OpenTelemetry is imported unless a variable asks for it: it would cost every agent some
20 MB. See "OpenTelemetry Environment Variable Specification" and "OTLP Exporter Configuration".
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from healthagent.core.action import Step
from healthagent.core.report import Report
from healthagent.core.transition import Transition

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"

_log = logging.getLogger(__name__)


class Telemetry(Protocol):
    """A surface with an end, which is told the steps of acts too. ``close`` sends what is left, and
    takes less than a second."""

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None: ...
    def record(self, step: Step) -> None: ...
    def close(self) -> None: ...


class NoTelemetry:
    """Nobody asked for telemetry."""

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        pass

    def record(self, step: Step) -> None:
        pass

    def close(self) -> None:
        pass


def from_environment(environ: Mapping[str, str] = os.environ) -> Telemetry:
    """Telemetry as the variables ask for it; :class:`NoTelemetry` where they do not."""
    signals = frozenset(signal for signal in ("metrics", "logs") if _wanted(signal, environ))
    if not signals or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return NoTelemetry()
    from healthagent.surfaces.otel.exporter import OtelSurface
    from healthagent.surfaces.otel.otlp import exporters

    try:
        with _headers_untold():
            metrics, logs = exporters(signals, environ)
    except (ValueError, OSError) as error:
        _log.warning("no telemetry: an OTEL_EXPORTER_OTLP_* variable cannot be used: %s", error)
        return NoTelemetry()
    return OtelSurface(
        metrics,
        logs,
        metric_interval=_milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000, environ),
        log_delay=_milliseconds("OTEL_BLRP_SCHEDULE_DELAY", 1_000, environ),
    )


@contextmanager
def _headers_untold() -> Iterator[None]:
    """While the exporters read their headers. OpenTelemetry logs one that it cannot read with its
    value, which is a credential as a rule; the agent says the same without it."""
    theirs = logging.getLogger("opentelemetry.util.re")
    met: list[logging.LogRecord] = []

    def withheld(record: logging.LogRecord) -> bool:
        met.append(record)
        return False

    theirs.addFilter(withheld)
    try:
        yield
    finally:
        theirs.removeFilter(withheld)
    if met:
        _log.warning(
            "a header in OTEL_EXPORTER_OTLP_HEADERS cannot be read and is left out; write "
            "NAME=VALUE, with commas between, and percent-encode what else is in a value"
        )


def _wanted(signal: str, environ: Mapping[str, str]) -> bool:
    """Whether a collector is named, and the signal is not turned to another exporter."""
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    named = environ.get(own, "").strip() or environ.get(ENDPOINT, "").strip()
    exporter = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp"
    return bool(named) and "otlp" in (part.strip() for part in exporter.split(","))


def _milliseconds(name: str, default: int, environ: Mapping[str, str]) -> float:
    """The variable's value in seconds. One that cannot be read counts as unset, with a warning, as
    the specification asks."""
    text = environ.get(name, "").strip()
    if text.isdecimal() and int(text) > 0:
        return int(text) / 1000
    if text:
        _log.warning("%s=%r cannot be read; write milliseconds such as %d", name, text, default)
    return default / 1000
