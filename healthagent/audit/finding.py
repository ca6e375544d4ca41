"""What a judgement concludes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from healthagent.audit.evidence import Place
from healthagent.core.masking import masked
from healthagent.core.observation import Unseen


class Outcome(StrEnum):
    """From the worst on. A *contradiction* is met in the one way that is left where the document
    asks for two things that exclude each other; its requirement says which."""

    passing: bool

    NOT_MET = "not met"
    NOT_SEEN = "not seen"
    CONTRADICTION = "contradiction"
    MET = "met"

    def __init__(self, value: str) -> None:
        self.passing = value in ("met", "contradiction")


@dataclass(frozen=True, slots=True)
class Finding:
    """One conclusion: what was seen, where, and what to do about it."""

    outcome: Outcome
    seen: str
    places: tuple[Place, ...] = ()
    remedy: str = ""


def met(seen: str, *places: Place) -> Finding:
    return Finding(Outcome.MET, seen, places)


def resolved(seen: str, *places: Place) -> Finding:
    """Met as far as the document's contradiction lets it be."""
    return Finding(Outcome.CONTRADICTION, seen, places)


def not_met(seen: str, *places: Place, remedy: str) -> Finding:
    return Finding(Outcome.NOT_MET, seen, places, remedy)


def not_seen(why: Unseen, *places: Place) -> Finding:
    return Finding(Outcome.NOT_SEEN, why.reason, places, why.remedy)


_NOTHING = not_seen(Unseen("there was nothing to look at", "build the app, and start the stack"))
_WORST_FIRST = list(Outcome)


def worst(findings: Iterable[Finding]) -> Finding:
    """One finding of several: what the worst of them say, told once each."""
    found = list(dict.fromkeys(findings)) or [_NOTHING]
    outcome = min((f.outcome for f in found), key=_WORST_FIRST.index)
    if outcome is Outcome.CONTRADICTION:
        said = [f for f in found if f.outcome.passing]
    else:
        said = [f for f in found if f.outcome is outcome]
    return Finding(
        outcome,
        _joined(f.seen for f in said),
        tuple(dict.fromkeys(place for f in said for place in f.places)),
        _joined(f.remedy for f in said),
    )


def _joined(texts: Iterable[str]) -> str:
    """A command may hold a password, in a URL or beside its name: that is for nobody's report."""
    return masked("; ".join(dict.fromkeys(text for text in texts if text)))
