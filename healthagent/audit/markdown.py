"""The audit's result as Markdown, fit to hang on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from healthagent.audit.document import SRD
from healthagent.audit.evidence import Evidence
from healthagent.audit.finding import Outcome
from healthagent.audit.requirement import Judgement, passing, tally

MARKS = {
    Outcome.MET: "✅",
    Outcome.CONTRADICTION: "☑️",
    Outcome.NOT_SEEN: "❔",
    Outcome.NOT_MET: "❌",
}
_MOST_PLACES = 3
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$])")


def markdown(evidence: Evidence, judgements: Sequence[Judgement]) -> str:
    """A summary, what is to do, everything that was seen, and the document's contradictions."""
    return "\n".join((*_head(evidence, judgements), *_body(judgements), ""))


def _head(evidence: Evidence, judgements: Sequence[Judgement]) -> Iterator[str]:
    verdict = "meets the requirements" if passing(judgements) else "does not meet the requirements"
    counts = ", ".join(f"{count} {o}" for o, count in tally(judgements).items() if count)
    names = ", ".join(evidence.stack.apps)
    yield f"## Audit: `{' '.join(evidence.stack.files)}` {verdict}"
    yield ""
    yield f"{SRD}. Service: {_text(names)}. {counts.capitalize()}."
    uncounted = sum(not judgement.counts for judgement in judgements)
    if uncounted:
        yield ""
        yield f"Files alone were looked at: {uncounted} requirements need a stack that runs."


def _body(judgements: Sequence[Judgement]) -> Iterator[str]:
    todo = [j for j in judgements if not j.finding.outcome.passing]
    done = [j for j in judgements if j.finding.outcome.passing]
    if todo:
        yield from ("", "| | Requirement | Seen | Where | Remedy |", "| - | - | - | - | - |")
        yield from (_row(judgement, with_remedy=True) for judgement in todo)
    if done:
        yield from ("", "<details><summary>Met</summary>", "")
        yield from ("| | Requirement | Seen | Where |", "| - | - | - | - |")
        yield from (_row(judgement, with_remedy=False) for judgement in done)
        yield from ("", "</details>")
    named = [j.requirement for j in judgements if j.requirement.contradiction]
    if named:
        yield from (
            "",
            "Where the document contradicts itself, or the software it names (☑️ where met so):",
            "",
        )
        yield from (f"- **{r.id}** {_text(r.contradiction)}" for r in named)


def _row(judgement: Judgement, *, with_remedy: bool) -> str:
    requirement, finding = judgement.requirement, judgement.finding
    places = [f"`{str(place).replace('|', '')}`" for place in finding.places[:_MOST_PLACES]]
    more = len(finding.places) - len(places)
    cells = [
        MARKS[finding.outcome],
        f"**{requirement.id}** {_text(requirement.says)}",
        _text(finding.seen),
        "<br>".join((*places, *([f"and {more} more"] if more > 0 else ()))),
    ]
    if with_remedy:
        cells.append(_text(finding.remedy))
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Plain text: nothing in it is markup, or ends the cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split())).replace("@", "@\u200b")
