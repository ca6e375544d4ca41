"""How a step of an act is told: one JSON shape for whatever reads it."""

from __future__ import annotations

from typing import Any

from healthagent.core.action import Step
from healthagent.surfaces.transition_text import rfc3339


def document(step: Step) -> dict[str, Any]:
    """``target`` is ``null`` where the step is about the whole service."""
    return {
        "time": rfc3339(step.at),
        "event": "act",
        "act": step.act,
        "verb": step.verb,
        "by": step.by,
        "service": step.service,
        "target": step.target or None,
        "outcome": str(step.outcome),
        "text": step.text,
        "evidence": dict(step.evidence),
    }
