"""Acts on replicas, step by step, with nothing real in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from healthagent.core.action import Outcome, Plan, Step
from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.supervisor import ReplicaOperations
from healthagent.supervisor.act import RESTARTED
from healthagent.supervisor.fake import FakeRuntime
from healthagent.supervisor.ports import Image, Successor
from tests.unit.supervisor.stage import IMAGE, FailsMeanwhile, Stage, plan, steps, told

BY = "ops"


def three(**fields: object) -> Stage:
    stage = Stage(**fields)  # type: ignore[arg-type]
    stage.put("app-1", "app-2", "app-3")
    return stage


def target(stage: Stage, name: str) -> Target:
    return next(t.target for t in stage.report().targets if t.target.name == name)


def last(act: list[Step]) -> tuple[Outcome, str]:
    return act[-1].outcome, act[-1].text


class TestADrain:
    async def test_takes_a_replica_out_and_waits_for_what_is_in_flight(self) -> None:
        stage = three()
        stage.traffic.counts = [2, 1, 0, 1, 0]
        async with stage.played() as operations:
            act = await steps(operations.drain(target(stage, "app-2"), BY, "a new disk"))
        assert last(act) == (
            Outcome.DONE,
            "drained: nothing is routed to it, and nothing is in flight",
        )
        assert stage.router.asked == ["app-2"]
        assert stage.traffic.counts == [], "one look that finds nothing is not enough"
        drain = stage.drains[target(stage, "app-2").id]
        assert drain is not None
        assert (drain.by, drain.why, drain.lasting) == (BY, "a new disk", True)
        assert stage.recorder.steps == act
        assert {step.by for step in act} == {BY}

    async def test_fails_where_requests_do_not_end_and_keeps_it_out(self) -> None:
        stage = three()
        stage.traffic.counts = [1] * 100_000
        async with stage.played() as operations:
            act = await steps(operations.drain(target(stage, "app-2"), BY, ""))
        outcome, text = last(act)
        assert outcome is Outcome.FAILED
        assert text.startswith("nothing is routed to it, and requests are still in flight; it")
        assert "1 still in flight after 0.2 s" in told(act)
        assert stage.drains[target(stage, "app-2").id] is not None

    async def test_says_what_it_cannot_see(self) -> None:
        stage = three()
        stage.traffic.counts = [Unseen("no sockets here", "modprobe tcp_diag")]
        stage.router.answers["app-2"] = Unseen("nobody polls /traefik")
        async with stage.played() as operations:
            act = await steps(operations.drain(target(stage, "app-2"), BY, ""))
        outcome, text = last(act)
        assert outcome is Outcome.DONE
        assert "whether something is still routed to it could not be seen" in text
        assert text.endswith("and what is in flight could not be seen")
        assert "cannot be seen: no sockets here" in told(act)
        assert "nobody polls" in told(act)

    async def test_is_refused_where_too_few_would_be_left(self) -> None:
        stage = three(quorum=3)
        async with stage.played() as operations:
            act = await steps(operations.drain(target(stage, "app-2"), BY, ""))
        assert act[-1].outcome is Outcome.REFUSED
        assert "2 of 3 replicas of app would be ready, and its quorum is 3" in act[-1].text
        assert stage.drains[target(stage, "app-2").id] is None

    async def test_of_one_that_does_not_serve_costs_nothing_and_waits_for_nothing(self) -> None:
        stage = three(quorum=3, sick={"app-2"})
        stage.traffic.counts = [9]
        async with stage.played() as operations:
            act = await steps(operations.drain(target(stage, "app-2"), BY, ""))
        assert act[-1].outcome is Outcome.DONE
        assert "was not waited for, since it does not live" in act[-1].text
        assert stage.traffic.counts == [9], "it would never answer"

    async def test_of_one_that_does_not_live_fails_where_the_router_goes_on_with_it(self) -> None:
        stage = three(sick={"app-2"})
        stage.router.answers["app-2"] = False
        async with stage.played() as operations:
            act = await steps(operations.drain(target(stage, "app-2"), BY, ""))
        outcome, text = last(act)
        assert outcome is Outcome.FAILED
        assert text.startswith("the router still sends app-2 requests after 30 s, and")
        assert text.endswith("it stays out of rotation until it is undrained")

    async def test_is_taken_back_once_the_router_has_it(self) -> None:
        stage = three()
        async with stage.played() as operations:
            await steps(operations.drain(target(stage, "app-2"), BY, ""))
            act = await steps(operations.undrain(target(stage, "app-2"), BY))
            assert last(act) == (Outcome.DONE, "back in rotation")
            assert stage.router.asked == ["app-2", "+app-2"]
            act = await steps(operations.undrain(target(stage, "app-2"), BY))
            assert last(act) == (Outcome.DONE, "it was not drained")


class TestARestart:
    async def test_keeps_the_evidence_and_waits_for_the_next_life(self) -> None:
        stage = three()
        stage.recorder.evidence = {"kept": True}
        async with stage.played() as operations:
            act = await steps(operations.restart(target(stage, "app-2"), BY, "leaks"))
        assert last(act) == (Outcome.DONE, "back in rotation")
        assert stage.runtime.acts == ["restart app-2"]
        id_ = target(stage, "app-2").id
        kept = [step.evidence for step in act if step.evidence]
        assert kept == [{"kept": True}, {RESTARTED: id_}]
        assert stage.drains[id_] is None
        assert stage.lowest == 2

    async def test_says_why_no_evidence_is_kept(self) -> None:
        stage = three()
        stage.recorder.evidence = {"kept": False, "why": "not within 8 s"}
        async with stage.played() as operations:
            act = await steps(operations.restart(target(stage, "app-2"), BY, "leaks"))
        assert act[-1].outcome is Outcome.DONE, "a replica is worth more than its evidence"
        assert "app-2 going on: no evidence could be kept: not within 8 s" in told(act)

    async def test_is_not_done_where_there_is_a_reason_in_the_end(self) -> None:
        stage = three(sick={"app-2"})
        async with stage.played() as operations:
            restart = operations.restart(target(stage, "app-2"), BY, "", lambda: "it is back")
            act = await steps(restart)
        assert last(act) == (Outcome.REFUSED, "it is back")
        assert stage.runtime.acts == []
        assert stage.drains[target(stage, "app-2").id] is None

    async def test_leaves_alone_what_the_router_goes_on_with(self) -> None:
        stage = three()
        stage.router.answers["app-2"] = False
        async with stage.played() as operations:
            act = await steps(operations.restart(target(stage, "app-2"), BY, ""))
        assert act[-1].outcome is Outcome.FAILED
        assert stage.runtime.acts == []
        assert stage.drains[target(stage, "app-2").id] is None

    async def test_heals_what_does_not_live_though_the_router_goes_on_with_it(self) -> None:
        """What is sent there is lost in any case, until it lives again."""
        stage = three(sick={"app-2"})
        stage.router.answers["app-2"] = False
        async with stage.played() as operations:
            act = operations.restart(target(stage, "app-2"), BY, "dead")
            async with aclosing(act) as following:  # type: ignore[type-var]
                texts = []
                async for step in following:
                    texts.append(step.text)
                    if step.text == "SIGTERM":
                        stage.sick.clear()
                        stage.router.answers.clear()
        assert "the router still sends app-2 requests after 30 s; look at Traefik's log" in texts
        assert texts[-1] == "back in rotation"
        assert stage.runtime.acts == ["restart app-2"]

    async def test_that_the_engine_refuses_is_told_in_its_words(self) -> None:
        stage = three()
        stage.runtime.refuses["restart"] = "no space left on device"
        async with stage.played() as operations:
            act = await steps(operations.restart(target(stage, "app-2"), BY, ""))
        assert act[-1].outcome is Outcome.FAILED
        assert "no space left on device" in act[-1].text
        assert stage.drains[target(stage, "app-2").id] is None

    @pytest.mark.parametrize("verb", ["restart", "roll"])
    async def test_begins_nothing_while_the_engine_cannot_be_asked(self, verb: str) -> None:
        stage = three()
        stage.runtime.refuses["inspect"] = "there is no socket"
        async with stage.played() as operations:
            begun = (
                operations.restart(target(stage, "app-2"), BY, "")
                if verb == "restart"
                else operations.roll("app", BY, Plan())
            )
            [only] = await steps(begun)
        assert only.outcome is Outcome.FAILED
        assert "there is no socket" in only.text
        assert (stage.runtime.acts, stage.router.asked, stage.lowest) == ([], [], 3)

    async def test_leaves_one_drained_that_somebody_keeps_out(self) -> None:
        stage = three()
        async with stage.played() as operations:
            await steps(operations.drain(target(stage, "app-2"), BY, "watching it"))
            act = await steps(operations.restart(target(stage, "app-2"), BY, ""))
        assert last(act) == (Outcome.DONE, "ready, and stays drained by ops: watching it")


class TestARoll:
    async def test_restarts_one_after_another_and_never_below_the_quorum(self) -> None:
        stage = three(quorum=2)
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan()))
        assert last(act) == (Outcome.DONE, "3 of 3 replicas are done")
        assert stage.runtime.acts == ["restart app-1", "restart app-2", "restart app-3"]
        assert stage.router.asked == ["app-1", "+app-1", "app-2", "+app-2", "app-3", "+app-3"]
        assert stage.lowest == 2

    async def test_tells_of_one_that_somebody_added_meanwhile(self) -> None:
        stage = three()
        async with stage.played() as operations:
            act = operations.roll("app", BY, plan(image="shop:2"))
            async with aclosing(act) as following:  # type: ignore[type-var]
                async for step in following:
                    if step.outcome is Outcome.BEGUN:
                        stage.put("app-4")
                    end = step
        told_of = "3 of 3 replicas are done; app-4 came meanwhile, and is as it was made"
        assert (end.outcome, end.text) == (Outcome.DONE, told_of)

    async def test_replaces_by_another_image_and_begins_with_what_does_not_serve(self) -> None:
        stage = three(sick={"app-3"})
        async with stage.played() as operations:
            act = operations.roll("app", BY, plan(image="shop:2"))
            async with aclosing(act) as following:  # type: ignore[type-var]
                async for step in following:
                    if step.text.startswith("ended"):
                        stage.sick.discard("app-3")
                    end = step
        assert end.outcome is Outcome.DONE
        assert [act for act in stage.runtime.acts if act.startswith("stop")] == [
            "stop app-3", "stop app-1", "stop app-2",
        ]  # fmt: skip
        images = {c.name: c.image for c in stage.runtime.containers.values()}
        assert images == dict.fromkeys(("app-1", "app-2", "app-3"), "shop:2")

    async def test_stops_at_the_first_that_does_not_come_back(self) -> None:
        stage = three(grace=-9.9, stillborn={"shop:2"})
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image="shop:2")))
        outcome, text = last(act)
        assert (outcome, act[-1].target) == (Outcome.FAILED, "app-1")
        assert "0 of 3 replicas of app are done" in text
        assert "app-2 and app-3 were left as they are" in text
        assert f"to go back: healthagent rollback app --image {IMAGE}" in text
        assert "stop app-2" not in stage.runtime.acts
        assert stage.lowest == 2

    async def test_names_the_way_back_by_an_id_where_the_tag_has_moved_on(self) -> None:
        stage = three(grace=-9.9, stillborn={"sha256:two"})
        stage.runtime.images[IMAGE] = Image("sha256:two")
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image=IMAGE)))
        assert act[-1].text.endswith("rollback app --image sha256:one"), act[-1].text

    async def test_names_the_way_back_to_what_serves_and_not_to_what_was_broken_before(
        self,
    ) -> None:
        stage = three(grace=-9.9, stillborn={"shop:2", "shop:3"})
        stage.put("app-1", image="shop:2", image_id="sha256:two")
        stage.runtime.images["shop:3"] = Image("sha256:three")
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image="shop:3")))
        assert act[-1].target == "app-1", told(act)
        assert act[-1].text.endswith(f"rollback app --image {IMAGE}"), act[-1].text

    async def test_starts_again_what_it_stopped_and_cannot_replace(self) -> None:
        stage = three()
        stage.runtime.refuses["replace"] = "no space left on device"
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image="shop:2")))
        outcome, text = last(act)
        assert (outcome, act[-1].target) == (Outcome.FAILED, "app-1")
        assert "no space left on device; app-1 was started again as it was (0001000" in text
        assert "). 0 of 3" in text
        assert stage.runtime.acts == ["stop app-1", "replace app-1", "restart app-1"]
        assert stage.drains[target(stage, "app-1").id] is None
        assert all(container.running for container in stage.runtime.containers.values())

    async def test_says_that_one_stays_stopped_which_cannot_be_started_again(self) -> None:
        stage = three()
        stage.runtime.refuses = {"replace": "no space left", "restart": "the network is gone"}
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image="shop:2")))
        assert "no space left; app-1 stays stopped: cannot restart app-1: the n" in act[-1].text
        assert "docker start app-1" in act[-1].text, "name the command that cures it"

    @pytest.mark.parametrize("image", [None, "shop:2"])
    async def test_says_that_one_runs_which_nothing_was_allowed_to_be_done_to(
        self, image: str | None
    ) -> None:
        """As by a proxy before the Engine's socket that passes GET alone."""
        stage = three()
        stage.runtime.refuses = dict.fromkeys(("stop", "restart", "start"), "403")
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image=image)))
        assert "403; app-1 runs. 0 of 3" in act[-1].text
        assert "stopped" not in act[-1].text
        assert stage.drains[target(stage, "app-1").id] is None

    async def test_of_a_service_that_can_spare_nobody_is_refused(self) -> None:
        stage = Stage()
        stage.put("app-1")
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan()))
        assert act[-1].outcome is Outcome.REFUSED
        assert "add --surge" in act[-1].text
        assert stage.runtime.acts == []

    async def test_with_a_surge_has_one_more_the_whole_time(self) -> None:
        stage = Stage()
        stage.put("app-1")
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(surge=True)))
        assert last(act) == (Outcome.DONE, "1 of 1 replicas are done")
        assert stage.runtime.acts == [
            "add app-2 as number 2", "start app-2", "restart app-1", "stop app-2", "remove app-2",
        ]  # fmt: skip
        assert stage.lowest == 1

    async def test_leaves_the_one_more_serving_where_it_stops(self) -> None:
        stage = Stage()
        stage.put("app-1")
        stage.runtime.refuses["restart"] = "the disk is gone"
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(surge=True)))
        assert "app-2, the one more, goes on serving" in act[-1].text
        assert "remove app-2" not in stage.runtime.acts
        assert stage.lowest == 1

    async def test_removes_the_one_more_where_it_does_not_get_ready(self) -> None:
        stage = Stage(grace=-9.9, stillborn={"shop:2"})
        stage.put("app-1")
        stage.recorder.evidence = {"kept": True}
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image="shop:2", surge=True)))
        outcome, text = last(act)
        assert (outcome, act[-1].target) == (Outcome.FAILED, "app-2")
        assert "app-2 is not back after 0.1 s" in text
        assert "app-2 going on: its evidence is kept" in told(act)
        assert "app-2, the one more, was removed, nothing else was touched; to go on, roll" in text
        assert stage.runtime.acts == [
            "add app-2 as number 2", "start app-2", "stop app-2", "remove app-2",
        ]  # fmt: skip
        assert stage.lowest == 1

    async def test_names_the_one_more_that_it_cannot_remove(self) -> None:
        stage = Stage()
        stage.put("app-1")
        stage.runtime.refuses = {"start": "the disk is gone", "remove": "it is dying"}
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(surge=True)))
        assert act[-1].outcome is Outcome.FAILED
        assert "the disk is gone. app-2, the one more, is there still" in act[-1].text
        assert "it is dying): docker rm -f app-2, nothing else was touched" in act[-1].text

    async def test_is_only_told_where_it_is_rehearsed(self) -> None:
        stage = three()
        asked = plan(image="shop:2", labels={"a": "b"}, back=True, rehearse=True)
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, asked))
        assert act[-1].outcome is Outcome.OBSERVED
        assert act[-1].verb == "rollback"
        assert "never fewer than 2" in act[-1].text
        assert "replaced by a container of shop:2 with other labels a" in told(act)
        assert stage.runtime.acts == []

    async def test_is_refused_with_all_that_speaks_against_it(self) -> None:
        stage = three()
        stage.put("app-1", "app-2", "app-3", healthcheck=("CMD", "/healthprobe", "--live"))
        stage.runtime.images["shop:2"] = Image("sha256:two", missing=("/healthprobe",))
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image="shop:3", rehearse=True)))
            assert "there is no image shop:3" in act[-1].text
            act = await steps(operations.roll("app", BY, plan(image="shop:2", rehearse=True)))
        assert act[-1].outcome is Outcome.REFUSED
        assert "shop:2 has no /healthprobe" in act[-1].text

    async def test_is_refused_before_the_first_goes_where_its_label_would_be_wrong(self) -> None:
        stage = three()
        node = Successor(("node", "server.ts"), {"healthagent.runtime": "bun"})
        stage.runtime.successors["shop:2"] = node
        label = {"healthagent.runtime": "node"}
        async with stage.played() as operations:
            act = await steps(operations.roll("app", BY, plan(image="shop:2", rehearse=True)))
            assert act[-1].outcome is Outcome.REFUSED
            assert "add --label healthagent.runtime=node" in act[-1].text
            act = await steps(operations.roll("app", BY, plan(image="shop:2")))
            assert (act[-1].outcome, stage.runtime.acts) == (Outcome.REFUSED, [])
            act = await steps(operations.roll("app", BY, plan(image="shop:2", labels=label)))
        assert act[-1].outcome is Outcome.DONE

    async def test_keeps_out_under_the_new_id_what_somebody_keeps_out(self) -> None:
        stage = three()
        async with stage.played() as operations:
            await steps(operations.drain(target(stage, "app-2"), BY, "a look"))
            act = await steps(operations.roll("app", BY, plan(image="shop:2")))
        assert_done_and_kept_out(stage, act)

    async def test_keeps_it_out_also_where_the_old_one_is_long_gone(self) -> None:
        stage = three()

        class Unhurried(FakeRuntime):
            async def replace(self, id_: str, plan: Plan) -> str:
                new = await super().replace(id_, plan)
                async with asyncio.timeout(20.0):
                    while (drain := stage.drains[id_]) and drain.lasting:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
                return new

        stage.runtime = Unhurried(stage.runtime.containers, stage.runtime.images)
        async with stage.played() as operations:
            await steps(operations.drain(target(stage, "app-2"), BY, "a look"))
            act = await steps(operations.roll("app", BY, plan(image="shop:2")))
        assert_done_and_kept_out(stage, act)


def assert_done_and_kept_out(stage: Stage, act: list[Step]) -> None:
    """The roll is over, and app-2 is drained still, under its new id."""
    assert act[-1].outcome is Outcome.DONE
    drain = stage.drains[target(stage, "app-2").id]
    assert drain is not None
    assert drain.why == "a look"


class TestAnotherThatFailsWhileOneIsTakenOut:
    """The others were enough without it when it began to leave."""

    async def test_keeps_a_restart_from_the_stop(self) -> None:
        stage = three(quorum=2)
        stage.router = FailsMeanwhile(stage, "app-1", "app-2")
        async with stage.played() as operations:
            act = await steps(operations.restart(target(stage, "app-1"), BY, ""))
        assert act[-1].outcome is Outcome.REFUSED, told(act)
        assert "without app-1 1 of 3 replicas of app would be ready" in act[-1].text
        assert stage.runtime.acts == [], "it is the only other one that serves"
        assert stage.drains[target(stage, "app-1").id] is None

    async def test_has_a_roll_put_it_back_and_wait_for_the_other(self) -> None:
        stage = three(quorum=2)
        stage.router = FailsMeanwhile(stage, "app-1", "app-2", times=1)
        async with stage.played() as operations:
            act = await cured(stage, operations.roll("app", BY, plan(image="shop:2")))
        assert last(act) == (Outcome.DONE, "3 of 3 replicas are done"), told(act)
        texts = [step.text.partition(":")[0] for step in act if step.target == "app-1"]
        assert texts[: texts.index("SIGTERM")] == [
            "out of the router", "nothing is in flight", "put back into rotation", "waiting",
            "out of the router", "nothing is in flight",
        ]  # fmt: skip

    async def test_again_and_again_ends_a_roll(self) -> None:
        stage = three(quorum=2)
        stage.router = FailsMeanwhile(stage, "app-1", "app-2")
        async with stage.played() as operations:
            act = await cured(stage, operations.roll("app", BY, plan()))
        assert act[-1].outcome is Outcome.FAILED
        assert "its quorum is 2; it was out 3 times, and put back each time" in act[-1].text
        assert stage.runtime.acts == []
        assert stage.drains[target(stage, "app-1").id] is None

    async def test_keeps_the_one_more(self) -> None:
        stage = Stage()
        stage.put("app-1")
        stage.router = FailsMeanwhile(stage, "app-2", "app-1")
        async with stage.played() as operations:
            act = await cured(stage, operations.roll("app", BY, plan(surge=True)))
        assert (act[-1].outcome, act[-1].target) == (Outcome.FAILED, "app-2")
        assert "all others are done, but app-2, the one more, is there still" in act[-1].text
        assert act[-1].text.endswith("docker rm -f app-2")
        assert "stop app-2" not in stage.runtime.acts


async def cured(stage: Stage, act: AsyncIterator[Step]) -> list[Step]:
    """The steps of an act; whoever is ill gets well once the act waits for that."""
    seen = []
    async with aclosing(act) as following:  # type: ignore[type-var]
        async for step in following:
            if step.text.startswith("waiting"):
                stage.sick.clear()
            seen.append(step)
    return seen


ASKED: dict[str, Callable[[ReplicaOperations, Target], AsyncIterator[Step]]] = {
    "drain": lambda operations, replica: operations.drain(replica, BY, ""),
    "restart": lambda operations, replica: operations.restart(replica, BY, ""),
    "roll": lambda operations, _: operations.roll("app", BY, plan()),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
class TestAnAgentThatHasJustStarted:
    """It has not judged the only replica that its service can serve with."""

    async def test_waits_until_it_has_judged_all(
        self, asked: Callable[[ReplicaOperations, Target], AsyncIterator[Step]]
    ) -> None:
        stage = Stage(settled=False)
        stage.put("app-1")
        async with stage.played() as operations:
            act = asked(operations, target(stage, "app-1"))
            first = await anext(act)
            assert first.text.startswith("waiting: the agent has just started"), first
            stage.settled = True
            rest = await steps(act)
        assert rest[-1].outcome is Outcome.REFUSED, told(rest)
        assert "its quorum" in rest[-1].text, "what was not judged yet may well serve"
        assert stage.runtime.acts == []

    async def test_refuses_where_it_does_not_come_to_that(
        self,
        asked: Callable[[ReplicaOperations, Target], AsyncIterator[Step]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("healthagent.supervisor.operations.FOUND_WITHIN", 0.0)
        stage = Stage(settled=False)
        stage.put("app-1")
        async with stage.played() as operations:
            act = await steps(asked(operations, target(stage, "app-1")))
        assert act[-1].outcome is Outcome.REFUSED, told(act)
        assert "not every replica was judged" in act[-1].text
        assert stage.runtime.acts == []
        assert stage.drains[target(stage, "app-1").id] is None


class TestTwoAtOnce:
    async def test_the_second_is_refused_and_told_who_is_at_it(self) -> None:
        stage = three()
        stage.traffic.counts = [1] * 1000
        async with stage.played() as operations:
            first = operations.roll("app", BY, plan())
            assert (await anext(first)).outcome is Outcome.BEGUN
            assert operations.busy() == {"app"}
            second = await steps(operations.drain(target(stage, "app-3"), "somebody else", ""))
            assert second[-1].outcome is Outcome.REFUSED
            assert "ops is at app already (roll of app, act" in told(second)

    async def test_who_stops_following_does_not_stop_the_act(self) -> None:
        stage = three()
        async with stage.played() as operations:
            act = operations.roll("app", BY, plan())
            await anext(act)
            await act.aclose()  # type: ignore[attr-defined]
            await until_idle(operations)
        assert stage.runtime.acts == ["restart app-1", "restart app-2", "restart app-3"]

    async def test_an_act_that_nobody_follows_goes_on_too(self) -> None:
        stage = three()
        async with stage.played() as operations:
            operations.drain(target(stage, "app-1"), BY, "")
            await until_idle(operations)
        assert stage.drains[target(stage, "app-1").id] is not None


async def test_an_agent_that_stops_takes_back_what_its_acts_drained() -> None:
    stage = three()
    stage.traffic.counts = [1] * 100_000
    async with stage.played() as operations:
        act = operations.restart(target(stage, "app-1"), BY, "")
        assert [(await anext(act)).text for _ in range(2)][1] == "out of the router"
        assert stage.drains[target(stage, "app-1").id] is not None
    assert stage.drains[target(stage, "app-1").id] is None
    assert "the agent stops" in stage.recorder.steps[-1].text
    assert stage.recorder.steps[-1].outcome is Outcome.FAILED


async def test_what_is_no_container_or_not_watched_is_refused() -> None:
    stage = three()
    async with stage.played() as operations:
        gone = replace(target(stage, "app-1"), id="f" * 64)
        for act in (operations.drain(gone, BY, ""), operations.restart(gone, BY, "")):
            assert (await steps(act))[-1].outcome is Outcome.REFUSED
        act = operations.roll("nothing", BY, plan())
        assert (await steps(act))[-1].outcome is Outcome.REFUSED


async def until_idle(operations: ReplicaOperations) -> None:
    async with asyncio.timeout(20.0):
        while operations.busy():  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(0.001)
