"""``healthagent explain``: one replica's diagnosis, for 3 a.m."""

from __future__ import annotations

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Document, find
from healthagent.cli.entry import show_act, show_transition
from healthagent.cli.screen import STYLES, Screen, print_json, styled
from healthagent.core.options import OPTIONS, duration, interval, span
from healthagent.errors import AgentUnreachable
from healthagent.surfaces.entry_text import of_the_whole
from healthagent.surfaces.target_text import (
    advice_for,
    ago,
    aside,
    beside,
    blamed,
    consequence,
    identity,
)

TOLD = 10
"""How many entries of the past are shown, the last ones."""

ASKED = 300
"""How many are looked through for them: a restart alone makes some twenty, of each check that
begins anew."""

DURATIONS = {option.key for option in OPTIONS if option.read in (duration, interval, span)}
"""Settings in seconds."""


@click.command(short_help="why a replica is as it is, and what to do")
@parameters.target(required=True)
@parameters.as_json
@parameters.agent
@click.pass_context
def explain(ctx: click.Context, target: str, agent: Agent, as_json: bool) -> None:
    """Say how TARGET is, since when, what was seen, what it means and what to do.

    TARGET is a replica's name, its container id, or the beginning of that. Every declared value is
    shown with where it came from.

    Exits 1 if the replica is not ready.
    """
    health = agent.health()
    found = find(health, target)
    past = _past(agent, found["name"])
    if as_json:
        transitions = [event for event in past if event["event"] == "transition"]
        acts = [event for event in past if event["event"] == "act"]
        print_json(
            {"time": health["time"], "target": found, "transitions": transitions, "acts": acts}
        )
    else:
        _show(Screen(), found, past, health["time"])
    ctx.exit(0 if found["ready"] else 1)


def _past(agent: Agent, target: str) -> list[Document]:
    """How the replica itself changed, with the changes of checks that came with it and brought it
    about, and what was done.

    None, with a word on stderr, where it cannot be had: the diagnosis is what was asked for.
    """
    try:
        past = agent.past_events(target, ASKED)
    except AgentUnreachable as error:
        why = str(error).splitlines()[0]
        click.echo(f"healthagent: the last transitions are not known: {why}", err=True)
        return []
    told = {entry["time"] for entry in past if of_the_whole(entry)}
    return [
        entry
        for entry in past
        if of_the_whole(entry) or (entry["time"] in told and _is_cause(entry))
    ][-TOLD:]


def _is_cause(change: Document) -> bool:
    """Whether a check's change may have changed its replica: it fell, or recovered. After a start
    all begin anew, which says nothing."""
    recovered = change["before"] in ("failed", "degraded") and change["after"] == "ok"
    return bool(change["worse"]) or recovered


def _show(screen: Screen, target: Document, past: list[Document], now: str) -> None:
    since = f" for {ago(target['since'], now)}" if target["since"] else ""
    screen.line((target["name"], "bold"), " is ", styled(target["phase"]), since)
    screen.line(identity(target))
    screen.line(consequence(target))
    if (blame := blamed(target)) is not None:
        _explain(screen, target, blame)
    if target["disagreement"]:
        screen.line(("note ", "yellow"), target["disagreement"])
    if target["checks"]:
        _heading(screen, "Checks")
        screen.table(
            ("CHECK", "STATUS", "SINCE", "REASON"),
            [
                (c["name"], styled(c["status"]), ago(c["since"], now), c["reason"] + aside(c))
                for c in target["checks"]
            ],
        )
    if target["settings"]:
        _heading(screen, "Declared")
        screen.table(
            ("OPTION", "VALUE", "FROM"),
            [(key, _value(key, s["value"]), s["origin"]) for key, s in target["settings"].items()],
        )
    if past:
        _heading(screen, "Last transitions")
        told = {event["time"] for event in past if event.get("check")}
        for event in past:
            if event["event"] == "act":
                show_act(screen, event)
            else:
                # Of the replica itself the check tells that changed with it, where one did.
                why = event["reason"] if event["check"] or event["time"] not in told else ""
                show_transition(screen, event, event["check"] or "replica", why)


def _explain(screen: Screen, target: Document, blame: Document) -> None:
    given = advice_for(target, blame)
    _heading(screen, "What was seen")
    for seen in (*beside(target, blame), blame):
        style = STYLES.get(seen["status"], "")
        what = f"  {seen['name']} {seen['code']}".rstrip()
        if seen["reason"]:  # a public listener tells states only
            screen.folding((what, style), ": ", seen["reason"])
        else:
            screen.line((what, style))
        if seen["evidence"]:
            facts = ", ".join(f"{key} {value}" for key, value in seen["evidence"].items())
            screen.line(f"  {facts}")
    if given.means:
        _heading(screen, "What it means")
        screen.folding("  ", given.means)
    if given.steps:
        _heading(screen, "What to do")
        for number, step in enumerate(given.steps, 1):
            screen.line(f"  {number}. {step}")


def _heading(screen: Screen, text: str) -> None:
    screen.line()
    screen.line((text, "bold"))


def _value(key: str, value: object) -> str:
    if value in (None, []) or (key in DURATIONS and not value):
        return "none"
    match value:
        case list():
            return ", ".join(str(part) for part in value)
        case int() | float():
            return f"{value:g}{' s' if key in DURATIONS else ''}"
        case _:
            return str(value)
