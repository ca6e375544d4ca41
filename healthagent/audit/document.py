"""The audit's result for programs; its members are stable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from healthagent.audit.evidence import Evidence
from healthagent.audit.requirement import Judgement, passing, tally

SRD = "Bun Runtime Migration & Container-Native Scaling, version 1.0"


def document(evidence: Evidence, judgements: Sequence[Judgement]) -> dict[str, Any]:
    """``passing`` is true where every requirement that ``counts`` is met, in one of the accepted
    ways where the document contradicts itself."""
    return {
        "document": SRD,
        "files": list(evidence.stack.files),
        "project": evidence.stack.project,
        "services": list(evidence.stack.apps),
        "passing": passing(judgements),
        "tally": {str(outcome): count for outcome, count in tally(judgements).items()},
        "requirements": [_row(judgement) for judgement in judgements],
    }


def _row(judgement: Judgement) -> dict[str, Any]:
    requirement, finding = judgement.requirement, judgement.finding
    return {
        "id": requirement.id,
        "says": requirement.says,
        "outcome": str(finding.outcome),
        "counts": judgement.counts,
        "seen": finding.seen,
        "where": [{"name": place.where, "line": place.line} for place in finding.places],
        "remedy": finding.remedy,
        "contradiction": requirement.contradiction,
    }
