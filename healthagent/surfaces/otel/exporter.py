"""Sends telemetry from a thread of its own: a slow or dead collector delays nobody."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from healthagent.core.action import Step
from healthagent.core.ports import Entry
from healthagent.core.report import Report
from healthagent.core.transition import Transition
from healthagent.surfaces.otel.signals import agent_resource, log_record, metrics_data

MOST_WAITING = 2048
"""Log records kept for a collector that is away: the specification's maximum queue size. The
oldest go first."""

MOST_AT_ONCE = 512
"""Log records in one request: the specification's maximum batch size."""

CLOSE_WITHIN = 0.8
"""Seconds that closing waits for the last request."""

Result = MetricExportResult | LogRecordExportResult
DELIVERED = (MetricExportResult.SUCCESS, LogRecordExportResult.SUCCESS)

_log = logging.getLogger(__name__)


class OtelSurface:
    """Exports gauges each ``metric_interval``, and transitions and acts each ``log_delay`` seconds.

    An exporter that is ``None`` is a signal that nobody wants.
    """

    def __init__(
        self,
        metrics: MetricExporter | None,
        logs: LogRecordExporter | None,
        metric_interval: float,
        log_delay: float,
    ) -> None:
        self._metrics = metrics
        self._logs = logs
        self._metric_interval = metric_interval
        self._log_delay = log_delay
        self._agent = agent_resource()
        self._report: Report | None = None
        self._waiting: deque[Entry] = deque(maxlen=MOST_WAITING)
        self._collector = Collector()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel", daemon=True)
        self._thread.start()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        self._report = report
        self._waiting.extend(changes)

    def record(self, step: Step) -> None:
        self._waiting.append(step)

    def close(self) -> None:
        """Send what is left to a collector that answers; leave one that does not."""
        self._stopping.set()
        self._thread.join(CLOSE_WITHIN)
        for exporter in (self._metrics, self._logs):
            if exporter is not None:
                exporter.shutdown()

    def _run(self) -> None:
        """Until closed. An exporter that is shut down amid a request says so, so the collector is
        listened to until the very end."""
        try:
            self._export()
        finally:
            self._collector.close()

    def _export(self) -> None:
        pause = min(self._log_delay, self._metric_interval)
        due = time.monotonic() + self._metric_interval
        while not self._stopping.wait(pause):
            self._send_logs()
            if time.monotonic() >= due:
                due = time.monotonic() + self._metric_interval
                self._send_metrics()
        if self._collector.answers:
            self._send_logs()
            self._send_metrics()

    def _send_metrics(self) -> None:
        if self._metrics is None or self._report is None:
            return
        data = metrics_data(self._report, self._agent)
        self._collector.takes("metrics", partial(self._metrics.export, data))

    def _send_logs(self) -> None:
        """Send all that waits, oldest first; what could not be sent waits on."""
        while self._waiting and self._logs is not None:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
            records = [log_record(entry, self._agent) for entry in batch]
            if not self._collector.takes("logs", partial(self._logs.export, records)):
                room = MOST_WAITING - len(self._waiting)
                self._waiting.extendleft(reversed(batch[-room:] if room else []))
                return


class Collector(logging.Handler):
    """Whether the collector answers: one warning when it stops to, one line when it is back.

    OpenTelemetry's exporters log each failed attempt by themselves. They are kept from the agent's
    log, and their first words become the reason in the one warning.
    """

    def __init__(self) -> None:
        super().__init__()
        self._silent: set[str] = set()
        self._words = ""
        self._theirs = logging.getLogger("opentelemetry")
        self._propagate, self._theirs.propagate = self._theirs.propagate, False
        self._theirs.addHandler(self)

    @property
    def answers(self) -> bool:
        return not self._silent

    def emit(self, record: logging.LogRecord) -> None:
        self._words = self._words or record.getMessage()

    def takes(self, signal: str, export: Callable[[], Result]) -> bool:
        """Whether one request of one signal was taken."""
        try:
            taken = export() in DELIVERED
        except Exception as error:  # the exporters' own faults; gRPC's raise once it is shut down
            self._words, taken = str(error), False
        answered = self.answers
        (self._silent.discard if taken else self._silent.add)(signal)
        if answered and not self.answers:
            _log.warning(
                "the OpenTelemetry collector does not take %s (%s); the agent goes on without it, "
                "look at OTEL_EXPORTER_OTLP_ENDPOINT and at the collector",
                signal,
                self._words or "no reason given",
            )
        elif self.answers and not answered:
            _log.info("the OpenTelemetry collector answers again")
        self._words = ""
        return taken

    def close(self) -> None:
        self._theirs.removeHandler(self)
        self._theirs.propagate = self._propagate
        super().close()
