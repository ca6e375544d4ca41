"""What an end of the agent cut short, and how its next life deals with it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from healthagent.core.action import Outcome, Plan, Step
from healthagent.supervisor.act import RECOVERED, STOPPED
from healthagent.supervisor.fake import FakeRuntime
from healthagent.supervisor.recovery import RECENT
from tests.unit.supervisor.stage import AMPLE, Stage, plan, steps, told
from tests.unit.supervisor.test_operations import three, until_idle

BY_IMAGE = plan(image="shop:2")
WITH_ONE_MORE = plan(image="shop:2", surge=True)

Earlier = tuple[Step, ...]


async def rolled_until(
    stage: Stage, call: str, monkeypatch: pytest.MonkeyPatch, asked_for: Plan = BY_IMAGE
) -> Earlier:
    """The steps of a roll, of an agent that is asked to stop while the Engine does what it was
    first called for by ``call``."""
    done = asyncio.Event()
    whole = getattr(FakeRuntime, call)

    async def does_not_return(*asked: object) -> None:
        await whole(*asked)
        done.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(FakeRuntime, call, does_not_return)
        async with stage.played() as operations, asyncio.timeout(AMPLE):
            operations.roll("app", "ops", asked_for)
            await done.wait()
    return tuple(stage.recorder.steps)


async def next_life(stage: Stage, earlier: Earlier) -> list[Step]:
    """What an agent does that finds these steps when it starts."""
    stage.recorder.steps.clear()
    async with stage.played() as operations:
        operations.take_up(earlier)
        await until_idle(operations)
    return stage.recorder.steps


def running(stage: Stage) -> set[str]:
    return {each.name for each in stage.runtime.containers.values() if each.running}


ALL = {"app-1", "app-2", "app-3"}


async def test_one_that_was_stopped_and_not_replaced_is_started_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = three()
    earlier = await rolled_until(stage, "stop", monkeypatch)
    (old,) = [step.evidence[STOPPED] for step in earlier if STOPPED in step.evidence]
    assert running(stage) != ALL, "the agent ended while it was stopped"
    (last,) = await next_life(stage, earlier)
    assert running(stage) == ALL
    assert (last.outcome, last.act) == (Outcome.FAILED, earlier[0].act)
    assert f"was started again as it was ({str(old)[:12]})" in last.text, told([last])


async def test_one_that_was_replaced_runs_as_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = three()
    earlier = await rolled_until(stage, "replace", monkeypatch)
    (last,) = await next_life(stage, earlier)
    assert running(stage) == ALL
    assert "runs as its successor" in last.text, told([last])


async def test_so_it_is_where_the_agent_was_killed_and_said_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = three()
    earlier = await rolled_until(stage, "stop", monkeypatch)
    assert (await next_life(stage, earlier[:-1]))[-1].outcome is Outcome.FAILED
    assert running(stage) == ALL


async def test_what_was_dealt_with_once_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = three()
    earlier = await rolled_until(stage, "stop", monkeypatch)
    dealt_with = await next_life(stage, earlier)
    assert await next_life(stage, (*earlier, *dealt_with)) == []


async def test_after_a_while_it_is_left_as_it_is_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = three()
    long_ago = time.time() - RECENT - 1.0
    earlier = await rolled_until(stage, "stop", monkeypatch)
    aged = tuple(replace(step, at=long_ago) for step in earlier)
    (last,) = await next_life(stage, aged)
    assert running(stage) != ALL, "somebody may have stopped it since"
    assert "see `healthagent status`" in last.text


async def test_one_that_cannot_be_brought_back_is_told_with_the_engines_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = three()
    earlier = await rolled_until(stage, "stop", monkeypatch)
    stage.runtime.refuses["restart"] = "no space left on device"
    (last,) = await next_life(stage, earlier)
    assert "no space left on device" in last.text


async def test_an_act_that_ended_is_none() -> None:
    stage = three()
    async with stage.played() as operations:
        await steps(operations.roll("app", "ops", BY_IMAGE))
    assert await next_life(stage, tuple(stage.recorder.steps)) == []


class TestTheOneMoreOfARoll:
    async def test_is_removed_once_the_others_are_enough(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = Stage()
        stage.put("app-1")
        earlier = await rolled_until(stage, "stop", monkeypatch, WITH_ONE_MORE)
        assert running(stage) == {"app-2"}, "the agent ended while the only other one was stopped"
        *_, last = await next_life(stage, earlier)
        assert running(stage) == {"app-1"}
        assert stage.lowest == 1, told(stage.recorder.steps)
        assert "app-1 was started again as it was" in last.text
        assert "app-2, the one more, was removed" in last.text

    async def test_is_removed_where_it_had_not_begun_to_serve(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = three()
        earlier = await rolled_until(stage, "start", monkeypatch, WITH_ONE_MORE)
        assert running(stage) == {*ALL, "app-4"}
        *_, last = await next_life(stage, earlier)
        assert running(stage) == ALL
        assert "app-4, the one more, was removed" in last.text

    async def test_stays_where_the_others_are_not_enough(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = Stage(grace=-9.9)
        stage.put("app-1")
        earlier = await rolled_until(stage, "stop", monkeypatch, WITH_ONE_MORE)
        stage.sick.add("app-1")
        *_, last = await next_life(stage, earlier)
        assert "app-2" in running(stage)
        assert "app-2, the one more, is there still (without app-2 0 of 2 replicas" in last.text
        assert "docker rm -f app-2" in last.text

    async def test_that_somebody_removed_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = three()
        earlier = await rolled_until(stage, "stop", monkeypatch, WITH_ONE_MORE)
        (added,) = [each for each in stage.runtime.containers.values() if each.name == "app-4"]
        del stage.runtime.containers[added.id]
        *_, last = await next_life(stage, earlier)
        assert "app-4, the one more, is gone already" in last.text

    async def test_is_dealt_with_by_the_life_after_where_the_next_ends_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = three()
        earlier = await rolled_until(stage, "replace", monkeypatch, WITH_ONE_MORE)
        dealt_with = await next_life(stage, earlier)
        brought_back = next(n for n, step in enumerate(dealt_with) if RECOVERED in step.evidence)
        stage.runtime.acts.clear()
        *_, last = await next_life(stage, (*earlier, *dealt_with[: brought_back + 1]))
        assert "app-4, the one more, is gone already" in last.text
        assert stage.runtime.acts == [], "what was brought back once is left in peace"
