"""What an end of the agent cut short, and how its next life deals with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from healthagent.core.action import Outcome, Plan, Step
from healthagent.core.rotation import Drain
from healthagent.errors import Unanswered
from healthagent.supervisor import Drains
from healthagent.supervisor.act import RECOVERED, RESTARTED, STOPPED
from healthagent.supervisor.fake import FakeRuntime
from healthagent.supervisor.ports import Container
from healthagent.supervisor.recovery import RECENT
from tests.unit.supervisor.stage import AMPLE, Stage, plan, steps, told
from tests.unit.supervisor.test_operations import three, until_idle

BY_IMAGE = plan(image="shop:2")
WITH_ONE_MORE = plan(image="shop:2", surge=True)

Earlier = tuple[Step, ...]

R = TypeVar("R")


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


@pytest.mark.parametrize("ended", [False, True])
async def test_one_that_was_restarted_runs_whether_the_engine_came_to_that_or_not(
    monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    stage = three()
    earlier = await rolled_until(stage, "restart", monkeypatch, plan())
    if ended:
        await stage.runtime.stop(str(earlier[-2].evidence[RESTARTED]))
    stage.runtime.acts.clear()
    (last,) = await next_life(stage, earlier)
    assert running(stage) == ALL
    assert stage.runtime.acts == (["start app-1"] if ended else []), "and not a second time"
    assert ("app-1 was started again" if ended else "app-1 runs") in last.text


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
    assert f"docker start {last.target}" in last.text, "who reads it knows what to do"


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


class Failing(FakeRuntime):
    """An Engine that does what it is first asked for by the call ``fails``, and does not say so;
    then it cannot be asked ``away`` times. ``called`` are the names under which it has brought back
    a replica, one time after another, before that comes to its own."""

    fails = ""
    away = 0
    called: Sequence[str] = ()

    async def stop(self, id_: str) -> int:
        return self._broken_off("stop", await super().stop(id_))

    async def restart(self, id_: str) -> None:
        """What is broken off is what comes before the start."""
        if self.fails == "restart":
            self._broken_off("restart", await super().stop(id_))
        await super().restart(id_)

    async def replace(self, id_: str, plan: Plan) -> str:
        return self._broken_off("replace", await super().replace(id_, plan))

    async def start(self, id_: str) -> None:
        self._cannot_be_asked("start", id_)
        await super().start(id_)
        self._broken_off("start", id_)

    async def recover(self, id_: str, name: str) -> Container:
        self._cannot_be_asked("recover", name)
        found = await super().recover(id_, name)
        other, *self.called = self.called or (found.name,)
        return replace(found, name=other)

    def _cannot_be_asked(self, call: str, whom: str) -> None:
        if self.away and not self.fails:
            self.away -= 1
            raise Unanswered(f"cannot {call} {whom}: nothing listens there")

    def _broken_off(self, call: str, result: R) -> R:
        if call == self.fails:
            self.fails = ""
            raise Unanswered(f"cannot {call} it: the Engine ended the connection")
        return result


def failing(fails: str, away: int = 0, called: Sequence[str] = ()) -> Stage:
    runtime = Failing()
    runtime.fails, runtime.away, runtime.called = fails, away, called
    return three(runtime=runtime)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries nothing but a turn of the event loop."""
    monkeypatch.setattr("healthagent.supervisor.recovery.PAUSE", 0.0)


@pytest.mark.usefixtures("unhurried")
class TestAnEngineThatFailsHalfWayThroughAReplacement:
    @pytest.mark.parametrize(
        ("fails", "what"),
        [
            ("stop", "was started again as it was (0001"),
            ("replace", "runs as its successor (ffff"),
            ("start", "runs as its successor (ffff"),
        ],
    )
    async def test_leaves_nothing_down(self, fails: str, what: str) -> None:
        stage = failing(fails, away=3)
        async with stage.played() as operations:
            act = await steps(operations.roll("app", "ops", BY_IMAGE))
        assert running(stage) == ALL, "nobody else would start it"
        assert (act[-1].outcome, act[-1].target) == (Outcome.FAILED, "app-1")
        assert f"the Engine ended the connection; app-1 {what}" in act[-1].text
        waiting = [step.text for step in act if "not as it was yet" in step.text]
        assert len(waiting) == 1, told(act)

    @pytest.mark.parametrize("verb", ["restart", "roll"])
    async def test_leaves_nothing_down_that_it_restarted(self, verb: str) -> None:
        stage = failing("restart", away=3)
        async with stage.played() as operations:
            (first,) = [t.target for t in stage.report().targets if t.target.name == "app-1"]
            act = await steps(
                operations.restart(first, "ops", "")
                if verb == "restart"
                else operations.roll("app", "ops", plan())
            )
        assert running(stage) == ALL, "the Engine took it for stopped on purpose when it came back"
        assert act[-1].outcome is Outcome.FAILED
        assert "the Engine ended the connection; app-1 was started again" in act[-1].text

    async def test_keeps_out_the_successor_of_one_that_somebody_keeps_out(self) -> None:
        stage = failing("replace")
        (first,) = [each for each in stage.report().targets if each.target.name == "app-1"]
        async with stage.played() as operations:
            await steps(operations.drain(first.target, "ops", "a look"))
            await steps(operations.roll("app", "ops", BY_IMAGE))
        (new,) = [each for each in stage.report().targets if each.target.name == "app-1"]
        assert new.target.id != first.target.id
        assert new.drain is not None
        assert new.drain.why == "a look"

    async def test_keeps_it_out_too_in_the_agents_next_life(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = three()
        earlier = await rolled_until(stage, "replace", monkeypatch)
        (old,) = [str(step.evidence[STOPPED]) for step in earlier if STOPPED in step.evidence]
        stage.drains, stage.settled = (
            Drains({old: Drain("ops", "a look", 1.0, lasting=True)}),
            False,
        )
        await next_life(stage, earlier)
        (new,) = [each for each in stage.report().targets if each.target.name == "app-1"]
        assert new.drain is not None, "its drain is its successor's"

    async def test_waits_for_the_name_of_what_is_not_removed_yet(self) -> None:
        stage = failing("replace", called=("0001_app-1", "0001_app-1"))
        async with stage.played() as operations:
            act = await steps(operations.roll("app", "ops", BY_IMAGE))
        assert "app-1 runs as its successor" in act[-1].text
        assert "called" not in act[-1].text

    async def test_and_for_good_is_told_with_what_is_where_and_the_cure(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("healthagent.supervisor.recovery.ASKED_FOR", 0.0)
        stage = failing("replace", called=("0001_app-1",))
        async with stage.played() as operations:
            act = await steps(operations.roll("app", "ops", BY_IMAGE))
        assert "called 0001_app-1 as 000100010001 cannot be removed" in act[-1].text
        assert "docker rm --force 000100010001, then docker rename 0001_app-1 app-1" in act[-1].text
        stage = failing("stop", away=99)
        async with stage.played() as operations:
            act = await steps(operations.roll("app", "ops", BY_IMAGE))
        assert "app-1 may be stopped still: cannot recover app-1: nothing listens" in act[-1].text
        assert "docker start app-1" in act[-1].text

    async def test_in_the_agents_next_life_is_asked_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = failing("", away=3)
        earlier = await rolled_until(stage, "stop", monkeypatch)
        *_, last = await next_life(stage, earlier)
        assert running(stage) == ALL
        assert "app-1 was started again as it was" in last.text
