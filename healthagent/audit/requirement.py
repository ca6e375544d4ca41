"""The seam: what a requirement is, and how its looks become one finding."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from healthagent.audit.evidence import Evidence
from healthagent.audit.finding import Finding, Outcome, not_seen, worst
from healthagent.core.observation import Unseen


class Kind(StrEnum):
    """What a look rests on."""

    FILES = "files"
    IMAGE = "image"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Look:
    """One pure judgement, and the kind of evidence that it needs. What ``instead`` finds stands
    where this one sees nothing."""

    kind: Kind
    judge: Callable[[Evidence], Finding]
    instead: Look | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One sentence of the document, in short. ``contradiction`` names what else the document (or
    the software that it names) says against it, and how that is resolved here."""

    id: str
    says: str
    looks: tuple[Look, ...]
    contradiction: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A requirement with its finding. ``counts`` is false for one that nothing could be said about
    from the kinds of evidence that were asked for."""

    requirement: Requirement
    finding: Finding
    counts: bool = True


def judge(requirement: Requirement, evidence: Evidence, kinds: Collection[Kind]) -> Judgement:
    """All looks of the kinds asked for; the worst decides."""
    looks = [look for look in requirement.looks if look.kind in kinds]
    if not looks:
        needs = " and ".join(dict.fromkeys(look.kind for look in requirement.looks))
        unasked = Unseen(f"needs evidence of another kind: {needs}", "audit without --static")
        return Judgement(requirement, not_seen(unasked), counts=False)
    finding = worst(_found(looks, evidence))
    if finding.outcome is Outcome.CONTRADICTION and not requirement.contradiction:
        finding = replace(finding, outcome=Outcome.MET)  # another row names it
    return Judgement(requirement, finding)


def _found(looks: Collection[Look], evidence: Evidence) -> Iterator[Finding]:
    found = [(look, look.judge(evidence)) for look in looks]
    sighted = [look for look, finding in found if finding.outcome is not Outcome.NOT_SEEN]
    for look, finding in found:
        if look in sighted or look.instead not in sighted:
            yield finding


def passing(judgements: Collection[Judgement]) -> bool:
    """Every requirement that counts is met."""
    return all(j.finding.outcome.passing for j in judgements if j.counts)


def tally(judgements: Collection[Judgement]) -> dict[Outcome, int]:
    """How many requirements came to which outcome."""
    return {
        outcome: sum(j.finding.outcome is outcome for j in judgements)
        for outcome in reversed(Outcome)
    }


def files(look: Callable[[Evidence], Finding]) -> Look:
    return Look(Kind.FILES, look)


def image(look: Callable[[Evidence], Finding]) -> Look:
    return Look(Kind.IMAGE, look)


def live(look: Callable[[Evidence], Finding]) -> Look:
    return Look(Kind.LIVE, look)


def built(written: Look, made: Look) -> tuple[Look, Look]:
    """What files write and what the image has: it tells where nobody has the files of an image."""
    return replace(written, instead=made), made
