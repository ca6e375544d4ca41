"""Sends telemetry from a thread of its own: a slow or dead collector delays nobody."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from functools import partial
from typing import Protocol

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from healthagent.core.action import Step
from healthagent.core.masking import masked
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

CONTENT_REFUSED = (400, 413, 422, "INVALID_ARGUMENT")
"""Statuses of HTTP, and gRPC's, that say of a request itself that it will not do. OTLP forbids to
retry them; 401, 404 and the like are about who asks and where, and end when that is mended."""

TOO_LARGE = ("larger than max", "exceeds max_request_size")
"""What gRPC says of such a message, whose status is that of a collector that is busy, and what the
exporter over HTTP says."""

OVERLOADED = (429, 503)
"""Statuses of HTTP with which a collector may name the seconds until it may be asked again."""

LONGEST_REST = 300.0
"""Seconds after which it is asked all the same."""

_log = logging.getLogger(__name__)


class Answer(Protocol):
    """As much of a requests.Response as is looked at."""

    status_code: int
    reason: str
    headers: Mapping[str, str]


class Reply(Enum):
    """What came of a request. ``REFUSED``: its content was, and would be again."""

    TAKEN = auto()
    REFUSED = auto()
    MISSED = auto()


class OtelSurface:
    """Exports gauges each ``metric_interval``, and transitions and acts each ``log_delay`` seconds.

    An exporter that is ``None`` is a signal that nobody wants. ``elsewhere`` counts the notices
    that hold and are not a report's; it is asked from the thread.
    """

    def __init__(
        self,
        metrics: MetricExporter | None,
        logs: LogRecordExporter | None,
        collector: Collector,
        metric_interval: float,
        log_delay: float,
        elsewhere: Callable[[], int],
    ) -> None:
        self._metrics = metrics
        self._logs = logs
        self._metric_interval = metric_interval
        self._log_delay = log_delay
        self._elsewhere = elsewhere
        self._agent = agent_resource()
        self._report: Report | None = None
        self._waiting: deque[Entry] = deque(maxlen=MOST_WAITING)
        self._at_once = MOST_AT_ONCE
        self._collector = collector
        collector.attend()
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
        while not self._stopping.wait(max(pause, self._collector.rests_for)):
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
        data = metrics_data(self._report, self._agent, self._elsewhere())
        reply = self._collector.ask(partial(self._metrics.export, data))
        self._collector.heard("metrics", reply is Reply.TAKEN)

    def _send_logs(self) -> None:
        """Send all that waits, oldest first; what could not be sent waits on.

        Where a request is refused for what it holds, half as much is sent, until the one record
        that is to blame is left: that one is dropped, since it would be refused for ever.
        """
        while self._waiting and self._logs is not None:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._at_once))]
            records = [log_record(entry, self._agent) for entry in batch]
            reply = self._collector.ask(partial(self._logs.export, records))
            self._collector.heard("logs", reply is not Reply.MISSED)
            if reply is Reply.TAKEN:
                self._at_once = min(2 * self._at_once, MOST_AT_ONCE)
            elif reply is Reply.REFUSED and len(batch) == 1:
                self._collector.dropped()
            else:
                room = MOST_WAITING - len(self._waiting)
                self._waiting.extendleft(reversed(batch[-room:] if room else []))
                if reply is Reply.MISSED:
                    return
                self._at_once = len(batch) // 2


class Collector(logging.Handler):
    """Whether the collector answers: one warning when it stops to, one line when it is back.

    OpenTelemetry's exporters log each failed attempt by themselves. They are kept from the agent's
    log, and their first words become the reason in the one warning. What is answered over HTTP
    :meth:`answered` hears first: they tell no status where they are to wait too long for a further
    attempt, nor for how long. None of ``secrets`` is told.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        super().__init__()
        self._secrets = secrets
        self._silent: set[str] = set()
        self._words = ""
        self._status = 0
        self._refused = self._told_of_drops = False
        self._rests_until = 0.0
        self._theirs = logging.getLogger("opentelemetry")
        self._propagate = self._theirs.propagate

    def attend(self) -> None:
        """Hear what the exporters log from here on, until closed."""
        self._theirs.propagate = False
        self._theirs.addHandler(self)
        for name in list(logging.root.manager.loggerDict):
            if name.startswith(f"{self._theirs.name}."):
                # They leave out what they said in the last 20 s, and so what came of a request.
                logging.getLogger(name).filters.clear()

    @property
    def answers(self) -> bool:
        return not self._silent

    @property
    def rests_for(self) -> float:
        """Seconds for which it has asked to be left alone."""
        return self._rests_until - time.monotonic()

    def answered(self, response: Answer, **_options: object) -> None:
        """Hear an answer over HTTP: a hook of requests."""
        self._status = response.status_code
        if self._status < 300:
            return
        self._hear(f"{self._status} {response.reason}", self._status)
        after = response.headers.get("Retry-After", "")
        if self._status in OVERLOADED and re.fullmatch("[0-9]{1,9}", after):
            self._rests_until = time.monotonic() + min(int(after), LONGEST_REST)

    def emit(self, record: logging.LogRecord) -> None:
        args = record.args if isinstance(record.args, tuple) else ()
        self._hear(record.getMessage(), *args)

    def _hear(self, words: str, *about: object) -> None:
        self._words = self._words or masked(words, self._secrets)
        self._refused = self._refused or any(map(refuses, (words, *about)))

    def ask(self, export: Callable[[], Result]) -> Reply:
        """What comes of one request."""
        self._words, self._refused, self._status = "", False, 0
        try:
            if export() in DELIVERED and self._status < 300:  # of a redirect they say it too
                return Reply.TAKEN
        except Exception as error:  # the exporters' own faults; gRPC's raise once it is shut down
            self._hear(str(error), error)
        return Reply.REFUSED if self._refused else Reply.MISSED

    def heard(self, signal: str, well: bool) -> None:
        """Note what came of the last request, which was one of ``signal``."""
        answered = self.answers
        (self._silent.discard if well else self._silent.add)(signal)
        if answered and not self.answers:
            _log.warning(
                "the OpenTelemetry collector does not take %s (%s); the agent goes on without it, "
                "look at OTEL_EXPORTER_OTLP_ENDPOINT and at the collector",
                signal,
                self._words or "no reason given",
            )
        elif self.answers and not answered:
            _log.info("the OpenTelemetry collector answers again")

    def dropped(self) -> None:
        """Tell once that the record in the last request was dropped."""
        if not self._told_of_drops:
            self._told_of_drops = True
            _log.warning(
                "the OpenTelemetry collector refuses a log record (%s); it is dropped, as others "
                "that it refuses will be without a word; the agent's own log has them all, look at "
                "the collector's log and limits",
                self._words,
            )

    def close(self) -> None:
        self._theirs.removeHandler(self)
        self._theirs.propagate = self._propagate
        super().close()


def refuses(about: object) -> bool:
    """Whether what an exporter tells of a request means that its content is refused."""
    if isinstance(about, str) and any(words in about for words in TOO_LARGE):
        return True
    return isinstance(about, UnicodeError) or getattr(about, "name", about) in CONTENT_REFUSED
