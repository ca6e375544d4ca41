"""From reports, transitions and acts to OpenTelemetry's data model.

Each container is a resource of its own, as the semantic conventions describe one (``container.id``,
``container.name``, ``service.name``, ``service.instance.id``): see decisions/0003-otel.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from healthagent.core.action import Step
from healthagent.core.budget import Budget
from healthagent.core.ports import Entry
from healthagent.core.report import Phase, Report, TargetReport
from healthagent.core.target import Target
from healthagent.core.transition import Transition
from healthagent.core.verdict import Status
from healthagent.release import RELEASE
from healthagent.surfaces import transition_text

SCOPE = InstrumentationScope("healthagent", RELEASE)

OF_THE_AGENT = frozenset({"service.name", "service.instance.id", "service.version"})
OF_ITS_PROCESS = ("process.", "container.")
"""What says who the agent is, and beginnings of what says in which process and container it runs.
All else that the variables and detectors say goes to every resource."""

Attributes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Reading:
    """One gauge of one resource. ``name`` stands without ``healthagent.``; ``unit`` is UCUM's."""

    name: str
    unit: str
    description: str
    points: list[tuple[Attributes, int]]


def agent_resource() -> Resource:
    """The agent itself: what the process' variables say, named ``healthagent`` unless they name it
    otherwise."""
    named = Resource.create()
    if str(named.attributes["service.name"]).startswith("unknown_service"):
        named = named.merge(Resource({"service.name": "healthagent"}))
    return named.merge(Resource({"service.version": RELEASE}))


def target_resource(target: Target, agent: Resource) -> Resource:
    """A replica: what the variables say of where it all runs, and who it is itself."""
    own = {"service.name": target.service, "service.instance.id": target.id}
    if target.is_container:
        own |= {"container.id": target.id, "container.name": target.name}
    return _resource(own, agent)


def _acted_on(step: Step, agent: Resource) -> Resource:
    """A step knows its replica by name alone: the container may be another one by its end."""
    own = {"service.name": step.service}
    if step.target:
        own["container.name"] = step.target
    return _resource(own, agent)


def _resource(own: Mapping[str, str], agent: Resource) -> Resource:
    around = {
        key: value
        for key, value in agent.attributes.items()
        if key not in OF_THE_AGENT and not key.startswith(OF_ITS_PROCESS)
    }
    return Resource({**around, **own})


def metrics_data(report: Report, agent: Resource, elsewhere: int = 0) -> MetricsData:
    """All gauges of one report, at the report's time. ``elsewhere`` counts the notices that hold
    and are not the report's."""
    at = nanoseconds(report.at)
    described = [(agent, _of_agent(report, elsewhere))]
    described += [
        (target_resource(target.target, agent), _of_target(target, report.budgets))
        for target in report.targets
    ]
    return MetricsData([_stamped(resource, gauges, at) for resource, gauges in described])


def log_record(entry: Entry, agent: Resource) -> ReadableLogRecord:
    """An entry as an event: the body is for people, the attributes are for queries."""
    severity = severity_of(entry)
    if isinstance(entry, Step):
        name, body, attributes = "healthagent.act", str(entry), _of_act(entry)
        resource = _acted_on(entry, agent)
    else:
        name, body = "healthagent.transition", transition_text.sentence(entry)
        attributes, resource = _of_transition(entry), target_resource(entry.target, agent)
    evidence = {f"healthagent.evidence.{key}": value for key, value in entry.evidence.items()}
    record = LogRecord(
        timestamp=nanoseconds(entry.at),
        observed_timestamp=nanoseconds(entry.at),
        severity_number=severity,
        severity_text=severity.name,
        body=body,
        event_name=name,
        attributes={**attributes, **evidence},
    )
    return ReadableLogRecord(record, resource, instrumentation_scope=SCOPE)


def severity_of(entry: Entry) -> SeverityNumber:
    """ERROR where a replica is out or a check fails, WARN for what is merely not well."""
    if isinstance(entry, Transition) and entry.after in (
        Phase.NOT_LIVE,
        Phase.NOT_READY,
        Status.FAILED,
    ):
        return SeverityNumber.ERROR
    return SeverityNumber.WARN if entry.worse else SeverityNumber.INFO


def _of_transition(transition: Transition) -> Attributes:
    return {
        "healthagent.check.name": transition.check,
        "healthagent.before": str(transition.before),
        "healthagent.after": str(transition.after),
        "healthagent.code": transition.code,
        "healthagent.reason": transition.reason,
    }


def _of_act(step: Step) -> Attributes:
    return {
        "healthagent.act.id": step.act,
        "healthagent.act.verb": step.verb,
        "healthagent.act.by": step.by,
        "healthagent.act.outcome": str(step.outcome),
        "healthagent.reason": step.text,
    }


def nanoseconds(at: float) -> int:
    """Seconds since the epoch in nanoseconds; beyond a microsecond a float holds no truth."""
    return round(at * 1e6) * 1000


def _stamped(resource: Resource, gauges: Sequence[Reading], at: int) -> ResourceMetrics:
    metrics = [
        Metric(
            name=f"healthagent.{gauge.name}",
            description=gauge.description,
            unit=gauge.unit,
            data=Gauge([NumberDataPoint(about, at, at, value) for about, value in gauge.points]),
        )
        for gauge in gauges
        if gauge.points
    ]
    return ResourceMetrics(resource, [ScopeMetrics(SCOPE, metrics, "")], "")


def _of_agent(report: Report, elsewhere: int) -> list[Reading]:
    at = [(_server(budget), budget) for budget in report.budgets]
    return [
        _one("settled", "1", "1 once every replica has been judged", report.settled),
        _one("notices", "{notice}", "Notices that hold", len(report.notices) + elsewhere),
        Reading(
            "service.replicas.ready",
            "{replica}",
            "Replicas that may serve",
            [({"service.name": s.name}, len(s.ready)) for s in report.services],
        ),
        Reading(
            "service.quorum",
            "{replica}",
            "Ready replicas that the service needs",
            [({"service.name": s.name}, s.quorum) for s in report.services],
        ),
        Reading(
            "server.connections.allowed",
            "{connection}",
            "Postgres connections open to ordinary roles",
            [(server, budget.allowed) for server, budget in at],
        ),
        Reading(
            "server.connections.planned",
            "{connection}",
            "Postgres connections if every pool is full",
            [(server, budget.planned) for server, budget in at],
        ),
        Reading(
            "server.connections.held",
            "{connection}",
            "Postgres connections held now, by anybody",
            [(server, budget.held) for server, budget in at],
        ),
        *(
            Reading(
                f"{kind}.connections.held",
                "{connection}",
                f"Postgres connections of each {kind}, held by anybody",
                [
                    ({**server, attribute: part.name}, part.held)
                    for server, budget in at
                    for part in budget.parts
                    if part.kind == kind
                ],
            )
            for kind, attribute in (("role", "healthagent.role.name"), ("database", "db.namespace"))
        ),
    ]


def _of_target(report: TargetReport, budgets: Sequence[Budget]) -> list[Reading]:
    ours = [
        (_server(budget), replica)
        for budget in budgets
        for replica in budget.replicas
        if replica.name == report.target.name
    ]
    return [
        _one("target.ready", "1", "1 if the replica may serve", report.ready),
        _one("target.live", "1", "1 if the replica lives", report.live),
        Reading(
            "check.status",
            "1",
            "1 for the status shown, 0 for the others",
            [
                (
                    {"healthagent.check.name": check.name, "healthagent.check.status": str(status)},
                    int(status is check.status),
                )
                for check in report.checks
                for status in Status
            ],
        ),
        Reading(
            "pool.connections.declared",
            "{connection}",
            "Postgres connections that the replica may take",
            [(server, r.declared) for server, r in ours if r.declared is not None],
        ),
        Reading(
            "pool.connections.held",
            "{connection}",
            "Postgres connections that the replica holds",
            [(server, r.held) for server, r in ours if r.held is not None],
        ),
    ]


def _one(name: str, unit: str, description: str, value: float) -> Reading:
    return Reading(name, unit, description, [({}, int(value))])


def _server(budget: Budget) -> Attributes:
    """The conventions' ``server.address`` and ``server.port``."""
    host, _, port = budget.server.rpartition(":")
    return {"server.address": host, "server.port": int(port)}
