"""What Docker may do to the agent: vanish, hold labels that cannot be read, lose containers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.quickstart.tour.condition import Seen, until
from provision.engine import PROJECT, SERVICE
from tests.system.client import WITHIN, harmed, said, sentences
from tests.system.conftest import StartAgent
from tests.system.quickstart import Quickstart, flags
from tests.system.wire import Wire

STALE = 10.0


@pytest.fixture
def wire(stack: Quickstart, tmp_path: Path) -> Iterator[Wire]:
    """A socket of the test's own in front of the Engine's."""
    engine = stack.engine.socket
    assert engine is not None, "these tests need an Engine on a unix socket"
    wire = Wire(tmp_path / "docker.sock", engine)
    yield wire
    wire.cut()


def test_without_the_docker_socket_nothing_changes_but_one_notice(
    stack: Quickstart, start_agent: StartAgent, wire: Wire
) -> None:
    process = start_agent(HEALTHAGENT_DOCKER_HOST=f"unix://{wire.path}")
    agent = process.client
    agent.wait_until_ready(stack.replicas, within=WITHIN)
    routed = agent.routed()

    def all_unknown() -> Seen:
        assert agent.routed() == routed, "routing changed while the agent could not look"
        assert list(agent.targets()) == stack.replicas, "a target was lost with the socket"
        states = [agent.check(replica, "process").get("status") for replica in stack.replicas]
        return Seen(set(states) == {"unknown"}, f"process: {states}; {said(agent.notices())}")

    wire.cut()
    agent.wait_for_notice("docker", within=WITHIN)
    until("what Docker tells is stale, thus unknown", all_unknown, within=STALE + 5)
    (notice,) = agent.notices()
    assert notice["problem"] == f"there is no socket {wire.path}"
    assert "start the Docker Engine" in notice["remedy"]

    wire.mend()
    agent.wait_for_no_notice(within=WITHIN)
    agent.wait_until_ready(stack.replicas, within=WITHIN)
    told = [line for line in process.lines if line["event"].startswith("notice")]
    assert told[-1]["event"] == "notice_gone"
    problems = [line["problem"] for line in told if line["event"] == "notice"]
    assert len(problems) == len(set(problems)), f"a notice was told again and again: {problems}"


def test_a_label_that_cannot_be_read_is_one_notice_and_the_default_holds(
    stack: Quickstart,
) -> None:
    agent, mark = stack.agent, stack.agent.mark()

    with stack.another_replica("soon", {"healthagent.interval": "soon"}) as name:
        notice = agent.wait_for_notice(name, within=WITHIN)
        assert (notice["key"], notice["value"]) == ("healthagent.interval", "soon")
        assert "duration" in notice["remedy"], "the remedy says what to write"
        agent.wait_until_ready([*stack.replicas, name], within=WITHIN)
        assert agent.targets()[name]["settings"]["interval"]["value"] == 1.0

    agent.wait_for_no_notice(within=WITHIN)
    touched = harmed(agent.since(mark, stack.replicas))
    assert touched == [], f"the others have labels that can be read, but: {sentences(touched)}"


def test_two_replicas_of_one_executor_are_degraded_and_keep_their_traffic(
    stack: Quickstart,
) -> None:
    agent, (shared, *others), mark = stack.agent, stack.replicas, stack.agent.mark()
    labels = {"healthagent.dbos.executor": shared}

    with stack.another_replica("twin", labels, {"DBOS__VMID": shared}) as twin:
        for name in (shared, twin):
            check = agent.wait_for_check(name, "dbos", "degraded", "shared_id", within=WITHIN)
            assert shared in check["reason"], "the reason names the executor"
            assert "id of its own" in check["reason"], "the reason names the remedy"

        def all_routed() -> Seen:
            routed = agent.routed()
            return Seen(sorted(routed) == servers, f"routed: {', '.join(routed)}")

        servers = sorted([*stack.servers(), stack.server(twin)])
        until("all four are routed", all_routed, within=WITHIN)

    agent.wait_until_ready(stack.replicas, within=WITHIN)
    out = [change for change in agent.since(mark, [shared]) if change["after"].startswith("not")]
    assert out == [], f"nobody loses traffic for a shared id, but: {sentences(out)}"
    touched = harmed(agent.since(mark, others))
    assert touched == [], f"the others have an id of their own, but: {sentences(touched)}"


def test_containers_that_die_while_they_are_inspected_leave_nothing_behind(
    stack: Quickstart, start_agent: StartAgent
) -> None:
    agent = start_agent().client
    agent.wait_until_ready(stack.replicas, within=WITHIN)
    mark = agent.mark()

    burst(stack, 10)

    agent.wait_until_ready(stack.replicas, within=WITHIN)
    met = {change["target"] for change in agent.since(mark) if change["service"] == "burst"}
    assert met, "the agent met some of them alive"
    touched = harmed(agent.since(mark, stack.replicas))
    assert touched == [], f"the replicas have nothing to do with it, but: {sentences(touched)}"


def burst(stack: Quickstart, count: int) -> None:
    """Start that many watched containers, of which half end at once and half are killed."""
    labels = {PROJECT: stack.project, SERVICE: "burst", "healthagent.enable": "true"}
    image = stack.engine.inspect(stack.replicas[0])["Image"]

    def live_and_die(number: int) -> None:
        name = stack.container("burst", number)
        command = ["true"] if number % 2 else ["sleep", "60"]
        options = ["--rm", "--detach", "--network", "none", *flags("--label", labels)]
        stack.engine.docker("run", *options, "--name", name, image, *command)
        if command != ["true"]:
            stack.engine.remove(name)

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(live_and_die, range(count)))
