"""What is kept of a replica before it is stopped: much, within bounds, and no secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from healthagent.core.action import Outcome, Step
from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.errors import ActionError
from healthagent.supervisor import evidence
from healthagent.supervisor.evidence import MOST_BYTES, Inquest
from healthagent.supervisor.fake import FakeRuntime
from healthagent.supervisor.history import History
from healthagent.supervisor.journal import Journal
from healthagent.supervisor.ports import Container
from tests.unit.supervisor.scenes import frozen, report
from tests.unit.surfaces.world import NOW

REPLICA = frozen("app-2")
TARGET = REPLICA.target
SEEN = report(REPLICA)
SECRET = "hunter2-S3cr3t"
PROCESS = {
    "processes": [{"pid": 100, "state": "T", "wchan": "do_signal_stop", "cmdline": "bun"}],
    "sockets": {"counts": {"listen": 1}, "rows": []},
}


DATABASE = {
    "sessions": [{"application": "dbos_transact_app-2_1", "state": "idle", "idle_for": 9.0}],
    "pending": [{"executor": "app-2", "version": "1", "count": 3}],
}


class Found:
    """A look that finds this."""

    def __init__(self, found: Mapping[str, Any] | Unseen) -> None:
        self.found = found

    async def __call__(self, target: Target, timeout: float) -> Mapping[str, Any] | Unseen:
        return self.found


def runtime(printed: str = "it hung\n") -> FakeRuntime:
    fake = FakeRuntime(printed=printed)
    fake.put(Container(TARGET.id, TARGET.name, "app:1", "sha256:1"))
    return fake


def inquest(
    printed: str = "it hung\n", processes: Found | None = None, secrets: tuple[str, ...] = ()
) -> Inquest:
    return Inquest(
        runtime(printed), processes or Found(PROCESS), Found(DATABASE), lambda _: secrets
    )


async def test_it_holds_what_a_person_would_have_looked_at() -> None:
    changes = [{"at": NOW, "check": "", "before": "ready", "after": "not live"}]
    found = await inquest().hold(TARGET, SEEN.targets[0], changes)
    assert found["log"] == "it hung"
    assert found["process"] == PROCESS
    assert found["database"] == DATABASE
    assert found["stats"] == {"pids_stats": {"current": 1}}
    assert found["transitions"] == changes
    assert found["checks"]["process"]["code"] == "stopped"
    assert found["checks"]["postgres"]["status"] == "ok"
    assert found["container"]["status"] == "running"
    assert found["phase"] == "not live"
    json.dumps(found)


async def test_what_cannot_be_seen_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Found(Unseen("not from here", "run it with pid: host"))
    found = await Inquest(FakeRuntime(), gone, gone, lambda _: ()).hold(TARGET, None, [])
    assert found["process"] == {"unseen": "not from here; run it with pid: host"}
    assert "there is no container" in found["log"]["unseen"]


async def test_a_part_that_hangs_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(FakeRuntime):
        async def logs(self, id_: str, lines: int) -> str:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(evidence, "WITHIN", 0.05)
    found = await Inquest(Hanging(), Found(PROCESS), Found(DATABASE), lambda _: ()).hold(
        TARGET, None, []
    )
    assert "not seen within" in found["log"]["unseen"]
    assert found["process"] == PROCESS


async def test_of_a_long_log_the_last_lines_are_kept() -> None:
    printed = "".join(f"{n} {'x' * 5000}\n" for n in range(200))
    found = await inquest(printed).hold(TARGET, SEEN.targets[0], [])
    assert len(json.dumps(found)) <= MOST_BYTES
    lines = found["log"].splitlines()
    assert lines[-1].startswith("199 ") and 30 < len(lines) < 200


async def test_a_part_that_is_too_large_goes_as_a_whole() -> None:
    huge = Found({"processes": [{"cmdline": "x" * MOST_BYTES}]})
    found = await inquest(processes=huge).hold(TARGET, SEEN.targets[0], [])
    assert len(json.dumps(found)) <= MOST_BYTES
    assert found["process"] == {"unseen": "too large to be kept"}
    assert found["log"] == "it hung"


async def test_it_holds_no_secret() -> None:
    printed = f"connecting to postgresql://app:{SECRET}@db/shop\nAuthorization: Bearer {SECRET}\n"
    telling = Found({"processes": [{"cmdline": f"bun start --token {SECRET}", "api_key": SECRET}]})
    reported = SEEN.targets[0]
    first, *others = reported.checks
    said = first.shown._replace(reason=f"PASSWORD={SECRET}", evidence={"url": f"x {SECRET}"})
    reported = replace(reported, checks=(first._replace(shown=said), *others))
    asked = inquest(printed, telling, secrets=(SECRET,))
    found = await asked.hold(TARGET, reported, [{"reason": f"token={SECRET}"}])
    assert SECRET not in json.dumps(found)
    assert "connecting to postgresql://" in found["log"], "and the rest is there"


class TestTheJournal:
    @pytest.fixture
    async def history(self) -> History:
        history = History(None)
        await history.open()
        return history

    async def test_evidence_is_kept_under_the_id_of_the_act(self, history: History) -> None:
        journal = Journal(history, inquest())
        journal.publish(SEEN, ())
        assert await journal.preserve(TARGET, "a1") == {"kept": True, "id": "a1"}
        kept = await history.evidence("a1")
        assert kept is not None and kept["phase"] == "not live"
        await history.aclose()

    async def test_a_fault_in_taking_it_stops_nothing(self, history: History) -> None:
        class Broken(FakeRuntime):
            async def logs(self, id_: str, lines: int) -> str:
                raise KeyError("a fault of our own")

        journal = Journal(history, Inquest(Broken(), Found(PROCESS), Found(DATABASE), lambda _: ()))
        told = await journal.preserve(TARGET, "a1")
        assert told["kept"] is False and "a fault of our own" in str(told["why"])
        await history.aclose()

    async def test_what_the_engine_refuses_is_told_in_the_part(self, history: History) -> None:
        class Refusing(FakeRuntime):
            async def stats(self, id_: str) -> Mapping[str, object]:
                raise ActionError("the Engine is gone")

        asked = Inquest(Refusing(), Found(PROCESS), Found(DATABASE), lambda _: ())
        assert (await asked.hold(TARGET, None, []))["stats"] == {"unseen": "the Engine is gone"}
        await history.aclose()

    async def test_steps_and_changes_of_targets_are_kept(self, history: History) -> None:
        heard: list[Step] = []
        journal = Journal(history, inquest(), told=[heard.append])
        step = Step(NOW, "a1", "restart", "supervisor", "app", "app-2", Outcome.BEGUN, "dead")
        journal.record(step)
        assert await history.entries("app-2", 0.0, 10) == [step]
        assert heard == [step], "and whoever shows steps hears of it"
        await history.aclose()
