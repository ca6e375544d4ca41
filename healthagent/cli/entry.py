"""One entry on one line: what changed, or what was done."""

from __future__ import annotations

from healthagent.cli.agent import Document
from healthagent.cli.screen import Screen, clock, styled


def show(screen: Screen, entry: Document) -> None:
    """A transition or a step of an act, with whom it is about."""
    if entry["event"] == "act":
        show_act(screen, entry)
        return
    who = f"{entry['target']} {entry['check']}" if entry["check"] else entry["target"]
    code = f"{entry['code']}: " if entry["check"] and entry["code"] not in ("", "ok") else ""
    show_transition(screen, entry, who, f"{code}{entry['reason']}")


def show_transition(screen: Screen, transition: Document, who: str, why: str) -> None:
    change = (styled(transition["before"]), " -> ", styled(transition["after"]))
    screen.folding((clock(transition["time"]), "dim"), f"  {who}  ", *change, "  ", why)


def show_act(screen: Screen, step: Document) -> None:
    """Where it kept evidence, a second line says how to read it."""
    who = step["target"] or step["service"]
    by = f" by {step['by']}" if step["by"] else ""
    screen.folding(
        (clock(step["time"]), "dim"), "  ", (f"{step['verb']} {who}", "bold"), f"{by}  ",
        styled(step["outcome"]), "  ", step["text"],
    )  # fmt: skip
    if step["evidence"].get("kept"):
        screen.line((f"{'':10}healthagent history --evidence {step['evidence']['id']}", "dim"))
