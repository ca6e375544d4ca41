"""OTLP: metrics and logs per container, by the standard ``OTEL_*`` variables.

Nothing of OpenTelemetry is imported unless a variable asks for it: it would cost every agent some
20 MB.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Protocol

from healthagent.core.action import Step
from healthagent.core.masking import masked
from healthagent.core.report import Report
from healthagent.core.transition import Transition
from healthagent.surfaces.otel import variables
from healthagent.surfaces.otel.variables import Environ

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


def from_environment(
    environ: Environ = os.environ, elsewhere: Callable[[], int] = lambda: 0
) -> Telemetry:
    """Telemetry as the variables ask for it; :class:`NoTelemetry` where they do not. ``elsewhere``
    counts the notices that no report has, such as those about its routing."""
    signals = variables.signals(environ)
    if not signals:
        return NoTelemetry()
    from healthagent.surfaces.otel.exporter import Collector, OtelSurface
    from healthagent.surfaces.otel.otlp import exporters

    secrets = variables.secrets(environ)
    collector = Collector(secrets)
    try:
        metrics, logs = exporters(signals, environ, collector.answered)
    except Exception as error:  # the exporters have no word in common for a variable that is wrong
        why = masked(str(error), secrets)
        _log.warning("no telemetry: an OTEL_EXPORTER_OTLP_* variable cannot be used: %s", why)
        return NoTelemetry()
    return OtelSurface(
        metrics,
        logs,
        collector,
        metric_interval=variables.seconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000, environ),
        log_delay=variables.seconds("OTEL_BLRP_SCHEDULE_DELAY", 1_000, environ),
        elsewhere=elsewhere,
    )
