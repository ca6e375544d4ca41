"""``/metrics`` in the Prometheus text format, read off the latest report.

Names follow "Metric and label naming" of the Prometheus documentation: base units, a unit suffix,
``_total`` on counters. Times are timestamps; their age is ``time() - metric``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from healthagent.core.action import Step
from healthagent.core.budget import Budget
from healthagent.core.report import Report
from healthagent.core.transition import ABSENT, Transition
from healthagent.core.verdict import Status
from healthagent.release import RELEASE

TARGET = ("target", "service")
CHECK = (*TARGET, "check")
ACT = ("service", "verb", "outcome")

_PROCESS = ProcessCollector(registry=None)
"""Of the agent's own process."""


OPENMETRICS = "application/openmetrics-text"

FORMS = {form: choose_encoder(form) for form in ("", OPENMETRICS)}
"""The encoder and the content type of each form. No name here needs any escaping, of which there
are more forms than anybody could keep."""


def form_of(accept: str) -> str:
    """The form for a scraper: OpenMetrics for one that asks for it."""
    _, content_type = choose_encoder(accept)
    return OPENMETRICS if content_type.startswith(OPENMETRICS) else ""


def exposition(form: str, known: Known) -> tuple[bytes, str]:
    """The body and its content type. It takes a while where the fleet is big."""
    encode, content_type = FORMS[form]
    return encode(known), content_type


class Metrics:
    """Keeps the latest report, and counts transitions and acts."""

    def __init__(self) -> None:
        self.known = Known(Report(0.0, settled=False), 0, {}, {})
        self._transitions: Counter[tuple[str, str, str, str]] = Counter()
        self._acts: Counter[tuple[str, str, str]] = Counter()

    def publish(self, report: Report, changes: tuple[Transition, ...], notices: int) -> None:
        """``notices`` counts those of the report and those about its routing."""
        for change in changes:
            target = change.target
            if not change.check and change.after == ABSENT:
                self._forget(target.name)
            else:
                self._transitions[target.name, target.service, change.check, change.after] += 1
        counted = dict(self._transitions) if changes else self.known.transitions
        self.known = replace(self.known, report=report, notices=notices, transitions=counted)

    def record(self, step: Step) -> None:
        """Count an act once, at its end."""
        if step.outcome.final:
            self._acts[step.service, step.verb, step.outcome] += 1
            self.known = replace(self.known, acts=dict(self._acts))

    def _forget(self, name: str) -> None:
        """A replica that is gone for good must not be counted for ever."""
        for key in [key for key in self._transitions if key[0] == name]:
            del self._transitions[key]


@dataclass(frozen=True, eq=False)
class Known(Collector):
    """What all metrics are read off: it stays as it is while a thread does so. It is compared by
    identity."""

    report: Report
    notices: int
    transitions: Mapping[tuple[str, str, str, str], int]
    acts: Mapping[tuple[str, str, str], int]

    def collect(self) -> Iterator[Metric]:
        yield from self._agent()
        yield from self._services()
        yield from self._targets()
        yield from self._checks()
        yield from self._changes()
        yield from _connections(self.report.budgets)
        yield from _PROCESS.collect()

    def _agent(self) -> Iterator[Metric]:
        report = self.report
        build = _gauge("build_info", "The agent's version.", "version")
        build.add_metric([RELEASE], 1)
        made = _gauge("report_timestamp_seconds", "When the latest report was made.")
        if report.at:  # a time that is not known is left out: 0 would read as an age of decades
            made.add_metric([], report.at)
        settled = _gauge("settled", "1 once every replica has been judged.")
        settled.add_metric([], report.settled)
        notices = _gauge("notices", "Notices that hold, such as labels that cannot be read.")
        notices.add_metric([], self.notices)
        yield from (build, made, settled, notices)

    def _services(self) -> Iterator[Metric]:
        total = _gauge("service_replicas", "Replicas known.", "service")
        ready = _gauge("service_ready_replicas", "Replicas that may serve.", "service")
        quorum = _gauge("service_quorum", "Ready replicas that the service needs.", "service")
        for service in self.report.services:
            total.add_metric([service.name], len(service.targets))
            ready.add_metric([service.name], len(service.ready))
            quorum.add_metric([service.name], service.quorum)
        yield from (total, ready, quorum)

    def _targets(self) -> Iterator[Metric]:
        ready = _gauge("target_ready", "1 if the replica may serve.", *TARGET)
        live = _gauge("target_live", "1 if the replica lives.", *TARGET)
        since = _gauge("target_since_timestamp_seconds", "When its state began.", *TARGET)
        for report in self.report.targets:
            labels = [report.target.name, report.target.service]
            ready.add_metric(labels, report.ready)
            live.add_metric(labels, report.live)
            if report.since:
                since.add_metric(labels, report.since)
        yield from (ready, live, since)

    def _checks(self) -> Iterator[Metric]:
        status = _gauge("check_status", "1 for the status shown, else 0.", *CHECK, "status")
        since = _gauge("check_since_timestamp_seconds", "When its state began.", *CHECK)
        for report in self.report.targets:
            for check in report.checks:
                labels = [report.target.name, report.target.service, check.name]
                if check.since:
                    since.add_metric(labels, check.since)
                for one in Status:
                    status.add_metric([*labels, one], one is check.status)
        yield from (status, since)

    def _changes(self) -> Iterator[Metric]:
        text = "Changes to a state; of the whole target where check is empty."
        changes = CounterMetricFamily("healthagent_transitions", text, None, (*CHECK, "to"))
        for labels, count in self.transitions.items():
            changes.add_metric(labels, count)
        yield changes
        acts = CounterMetricFamily("healthagent_acts", "Acts that have ended.", None, ACT)
        for ended, count in self.acts.items():
            acts.add_metric(ended, count)
        yield acts


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"healthagent_{name}", text, None, labels)


def _connections(budgets: tuple[Budget, ...]) -> Iterator[Metric]:
    pool = ("server", *TARGET)
    allowed = _gauge("server_allowed_connections", "Open to ordinary Postgres roles.", "server")
    planned = _gauge("server_planned_connections", "Held if every pool is full.", "server")
    held = _gauge("server_held_connections", "Held now, by anybody.", "server")
    by = {
        "role": _gauge("role_held_connections", "Held by a role.", "server", "role"),
        "database": _gauge(
            "database_held_connections", "Held to a database.", "server", "database"
        ),
    }
    pool_declared = _gauge("pool_declared_connections", "What the replica may take.", *pool)
    pool_held = _gauge("pool_held_connections", "What the replica holds.", *pool)
    for budget in budgets:
        allowed.add_metric([budget.server], budget.allowed)
        planned.add_metric([budget.server], budget.planned)
        held.add_metric([budget.server], budget.held)
        for part in budget.parts:
            by[part.kind].add_metric([budget.server, part.name], part.held)
        for replica in budget.replicas:
            labels = [budget.server, replica.name, replica.service]
            if replica.declared is not None:
                pool_declared.add_metric(labels, replica.declared)
            if replica.held is not None:
                pool_held.add_metric(labels, replica.held)
    yield from (allowed, planned, held, *by.values(), pool_declared, pool_held)
