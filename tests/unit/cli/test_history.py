"""``healthagent history``"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from healthagent.core.action import Outcome, Step
from healthagent.core.ports import Entry
from healthagent.core.target import Target
from healthagent.core.transition import Transition
from tests.unit.cli.conftest import Run, RunningAgent

NOW = time.time()
APP_2 = Target("c" * 64, "shop-app-2", "app")


def step(outcome: Outcome, text: str, at: float = NOW, **evidence: str | bool) -> Step:
    return Step(
        at, "5f0c1a2b", "restart", "supervisor", "app", "shop-app-2", outcome, text, evidence
    )


class Kept:
    """A history as the agent's, in a list."""

    ENTRIES: Sequence[Entry] = (
        Transition(NOW - 9000, APP_2, "", "ready", "not live", "stopped", "process stopped: pid 7"),
        step(Outcome.BEGUN, "to be restarted: pid 7 is stopped", NOW - 60),
        step(Outcome.GOING_ON, "its evidence is kept", NOW - 59, kept=True, id="5f0c1a2b"),
        step(Outcome.DONE, "it is ready again", NOW - 50),
    )

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, int]] = []

    async def entries(self, name: str, since: float, most: int) -> Sequence[Entry] | None:
        self.asked.append((name, since, most))
        if name == "hangs":
            return None
        return [each for each in self.ENTRIES if each.at >= since][-most:]

    async def evidence(self, act: str) -> Mapping[str, Any] | None:
        await asyncio.sleep(0)
        if act != "5f0c1a2b":
            return None
        return {"target": "shop-app-2", "process": {"state": "T"}, "log": "it hung\nand hung"}


@pytest.fixture
def kept(agent: RunningAgent) -> Kept:
    history = Kept()
    agent.history = history
    return history


def test_shows_acts_and_transitions_with_their_reasons(kept: Kept, run: Run) -> None:
    ran = run("history", "shop-app-2")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert "shop-app-2  ready -> not live  process stopped: pid 7" in lines[0]
    assert "restart shop-app-2 by supervisor  begun  to be restarted: pid 7" in lines[1]
    assert "going on  its evidence is kept" in lines[2]
    assert lines[3].strip() == "healthagent history --evidence 5f0c1a2b"
    assert "done  it is ready again" in lines[4]
    assert kept.asked == [("shop-app-2", 0.0, 200)]


def test_only_what_happened_since(kept: Kept, run: Run) -> None:
    ran = run("history", "--since", "2h", "--json")
    entries = ran.json["entries"]
    assert [entry["event"] for entry in entries] == ["act"] * 3
    assert [entry["outcome"] for entry in entries] == ["begun", "going on", "done"]


def test_only_the_last(kept: Kept, run: Run) -> None:
    assert len(run("history", "--last", "1", "--json").json["entries"]) == 1


def test_evidence_of_an_act(kept: Kept, run: Run) -> None:
    out = run("history", "--evidence", "5f0c1a2b").out
    assert '"state": "T"' in out
    assert out.endswith("log\n  it hung\n  and hung\n")
    assert run("history", "--evidence", "5f0c1a2b", "--json").json["target"] == "shop-app-2"


def test_evidence_that_is_not_kept(kept: Kept, run: Run) -> None:
    ran = run("history", "--evidence", "nope")
    assert (ran.code, "no evidence is kept of an act 'nope'" in ran.err) == (2, True)


def test_a_disk_that_hangs_is_said(kept: Kept, run: Run) -> None:
    ran = run("history", "hangs")
    assert ran.code == 3
    assert "the history's disk does not answer" in ran.err


def test_a_public_listener_has_none(kept: Kept, run: Run, agent: RunningAgent) -> None:
    ran = run("history", "--agent", agent.public_url)
    assert ran.code != 0 and "ask the agent's first listener" in ran.err


def test_of_an_agent_that_keeps_nothing(agent: RunningAgent, run: Run) -> None:
    assert run("history").out == "Nothing has happened yet.\n"
