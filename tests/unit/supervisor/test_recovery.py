"""What an end of the agent cut short, and how its next life deals with it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from healthagent.core.action import Outcome, Step
from healthagent.supervisor.act import STOPPED
from healthagent.supervisor.fake import FakeRuntime
from healthagent.supervisor.recovery import RECENT
from tests.unit.supervisor.stage import AMPLE, Stage, plan, steps, told
from tests.unit.supervisor.test_operations import three, until_idle

BY_IMAGE = plan(image="shop:2")

Earlier = tuple[Step, ...]


async def rolled_until(stage: Stage, call: str, monkeypatch: pytest.MonkeyPatch) -> Earlier:
    """The steps of a roll by another image, of an agent that is asked to stop while the Engine does
    what it was first called for by ``call``."""
    done = asyncio.Event()
    whole = getattr(FakeRuntime, call)

    async def does_not_return(*asked: object) -> None:
        await whole(*asked)
        done.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(FakeRuntime, call, does_not_return)
        async with stage.played() as operations, asyncio.timeout(AMPLE):
            operations.roll("app", "ops", BY_IMAGE)
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
