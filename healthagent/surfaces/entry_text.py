"""How an entry is told, be it a step of an act or a transition: its JSON shape says which."""

from __future__ import annotations

from typing import Any

from healthagent.core.action import Step
from healthagent.core.ports import Entry
from healthagent.surfaces import step_text, transition_text


def document(entry: Entry) -> dict[str, Any]:
    """``event`` is ``act`` or ``transition``; the other members are theirs."""
    if isinstance(entry, Step):
        return step_text.document(entry)
    return transition_text.document(entry)


def of_the_whole(entry: dict[str, Any]) -> bool:
    """Whether it is an act or the change of a whole replica, whose reason names the check: of each
    check there is too much to follow all replicas by."""
    return entry["event"] == "act" or entry["check"] is None
