"""``/health``: everything, as ``application/health+json``.

The form is draft-inadarei-api-health-check-06: ``status``, ``checks``, ``output``, ``time``. Beside
it, as the draft allows, stand the agent's own members ``services``, ``targets`` and ``notices``:
what the CLI's tables and its ``--json`` show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from healthagent.core.notice import Notice
from healthagent.core.options import OPTIONS
from healthagent.core.report import (
    CheckReport,
    Phase,
    Report,
    ServiceReport,
    TargetReport,
)
from healthagent.core.rotation import Drain
from healthagent.core.target import DatabaseRef, Target
from healthagent.release import RELEASE
from healthagent.surfaces.target_text import STUCK, readiness
from healthagent.surfaces.transition_text import rfc3339

PASS, WARN, FAIL = "pass", "warn", "fail"


def document(report: Report, notices: Sequence[Notice], stale_for: float | None) -> dict[str, Any]:
    """The whole picture.

    *fail* where a service lacks its quorum of ready replicas or the agent itself is stuck, *warn*
    where anything else is not well. ``stale_for`` is the report's age in seconds where it is older
    than it may be.
    """
    status, output = overall(report, notices, stale_for)
    return {
        "status": status,
        "version": "1",
        "releaseId": RELEASE,
        "serviceId": "healthagent",
        "description": "health of every watched replica, with reasons",
        "output": output,
        "time": rfc3339(report.at),
        "settled": report.settled,
        "checks": {
            f"{target.target.name}:{check.name}": [_draft_check(target, check, report.at)]
            for target in report.targets
            for check in target.checks
        },
        "services": [_service(service) for service in report.services],
        "targets": [_target(target) for target in report.targets],
        "notices": [{**asdict(notice), "text": str(notice)} for notice in notices],
    }


def overall(report: Report, notices: Sequence[Notice], stale_for: float | None) -> tuple[str, str]:
    """The draft's status of the whole, and the sentence that explains one that is not *pass*."""
    if stale_for is not None:
        return FAIL, f"{STUCK}: its last report is {stale_for:.0f} s old"
    if not report.settled:
        return WARN, "the agent has just started and has not judged every replica yet"
    short = [service for service in report.services if not service.has_quorum]
    if short:
        return FAIL, "; ".join(map(_shortage, short))
    unwell = [target for target in report.targets if target.phase is not Phase.READY]
    if unwell or notices:
        sick = [f"{target.target.name} is {target.phase}" for target in unwell]
        return WARN, "; ".join((*sick, *map(str, notices)))
    return PASS, ""


def _shortage(service: ServiceReport) -> str:
    """How much a service lacks, and what all of it suffers from: this is what a pager shows."""
    count = readiness(len(service.ready), len(service.targets), service.quorum)
    shared = "; ".join(failure.told for failure in service.shared_failures)
    return f"{service.name}: {count}{f' ({shared})' if shared else ''}"


def _draft_check(target: TargetReport, check: CheckReport, at: float) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "componentId": target.target.id,
        "componentType": "component",
        "status": _draft_status(check),
        "time": rfc3339(at),
    }
    if "ms" in check.evidence:
        fields |= {"observedValue": check.evidence["ms"], "observedUnit": "ms"}
    if check.reason and fields["status"] != PASS:  # the draft omits the output of a pass
        fields["output"] = check.reason
    return fields


def _draft_status(check: CheckReport) -> str:
    if check.blocks:
        return FAIL
    return PASS if check.well else WARN


def _service(service: ServiceReport) -> dict[str, Any]:
    return {
        "name": service.name,
        "replicas": len(service.targets),
        "ready": len(service.ready),
        "quorum": service.quorum,
        "has_quorum": service.has_quorum,
        "shared_failures": [
            {"check": each.name, "code": each.code, "reason": each.reason, "text": each.told}
            for each in service.shared_failures
        ],
    }


def _target(report: TargetReport) -> dict[str, Any]:
    target, blame = report.target, report.blame
    return {
        "id": target.id,
        "short_id": target.short_id,
        "name": target.name,
        "service": target.service,
        "phase": str(report.phase),
        "live": report.live,
        "ready": report.ready,
        "starting": report.starting,
        "since": rfc3339(report.since) if report.since else None,
        "check": blame.name if blame else None,
        "code": blame.code if blame else "",
        "reason": report.reason,
        "checks": [_check(check) for check in report.checks],
        "container": asdict(report.container) if report.container else None,
        "drain": _drain(report.drain) if report.drain else None,
        "disagreement": disagreement(report),
        "settings": _settings(target),
    }


def _drain(drain: Drain) -> dict[str, Any]:
    since = rfc3339(drain.since)
    return {"by": drain.by, "why": drain.why, "since": since, "lasting": drain.lasting}


def _check(check: CheckReport) -> dict[str, Any]:
    return {
        "name": check.name,
        "groups": sorted(check.groups),
        "witness": str(check.witness),
        "shared": check.shared,
        "status": str(check.status),
        "holds": str(check.holds),
        "code": check.code,
        "reason": check.reason,
        "evidence": dict(check.evidence),
        "since": rfc3339(check.since) if check.since else None,
        "blocks": check.blocks,
        "awaited": check.awaited,
        "excused": check.excused,
        "looked_at": rfc3339(check.looked_at) if check.looked_at else None,
        "newest": {
            "status": str(check.newest.status),
            "code": check.newest.code,
            "reason": check.newest.reason,
        },
    }


def disagreement(report: TargetReport) -> str:
    """A sentence where Docker's own health status says otherwise; it is shown, never judged."""
    health = report.container.health if report.container else None
    if health == "healthy" and not report.live:
        return "Docker calls it healthy, and it is not live"
    if health == "unhealthy" and report.ready and report.phase is not Phase.UNKNOWN:
        return "Docker calls it unhealthy, and it is ready"
    return ""


def _settings(target: Target) -> dict[str, dict[str, Any]]:
    """Every declared value with where it came from, by option key; empty where that is not known
    or not to be told."""
    if not target.origins:
        return {}
    values = {option.key: option.of(target) for option in OPTIONS if option.key != "enable"}
    found: dict[str, Any] = {"address": target.address}
    if target.server != target.address:
        found["server"] = target.server
    return {
        key: {"value": _told(value), "origin": target.origins.get(key, "discovery")}
        for key, value in (found | values).items()
    }


def _told(value: Any) -> Any:
    match value:
        case frozenset():
            return sorted(value)
        case DatabaseRef():
            return str(value)
        case _:
            return value
