"""The supervisor on real containers: what is dead alone comes back, and nothing else is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from examples.quickstart.tour.condition import Seen, until
from provision.engine import Engine
from tests.system.agent import assert_sound
from tests.system.lab import SECRET, WITHIN, Healer, Lab, lab

StartHealer = Callable[..., AbstractContextManager[Healer]]


@pytest.fixture(scope="module")
def standing(engine: Engine) -> Iterator[Lab]:
    with lab(engine) as made:
        yield made


@pytest.fixture
def made(standing: Lab) -> Lab:
    """The lab with all that serve, whatever the test before did to it."""
    standing.thaw()
    for replica in standing.replicas:
        standing.wait_until_serving(replica)
    return standing


@pytest.fixture
def start(made: Lab, tmp_path_factory: pytest.TempPathFactory) -> StartHealer:
    """Starts an agent that may restart, and sees all as ready; its log is sound in the end. Agents
    of one test keep their history in one place."""
    state = tmp_path_factory.mktemp("state")

    @contextmanager
    def started(wait: bool = True, **variables: str) -> Iterator[Healer]:
        folder: Path = tmp_path_factory.mktemp("agent")
        healer = Healer(made, folder, state, **variables)
        try:
            if wait:
                healer.wait_until_ready(made.replicas)
            yield healer
        finally:
            healer.process.stop()
        assert_sound(healer.process.output, [SECRET])

    return started


@pytest.fixture
def socket() -> Iterator[str]:
    """Where an agent is asked to act. The path of a socket must be short."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/admin.sock"


def told(healer: Healer, *arguments: str) -> str:
    """What the command line prints."""
    return subprocess.run(
        _command(healer, *arguments), capture_output=True, text=True, timeout=WITHIN, check=True
    ).stdout


@contextmanager
def asked(healer: Healer, *arguments: str) -> Iterator[None]:
    """The command line, for as long as the block goes on: its agent ends before it does."""
    with subprocess.Popen(_command(healer, *arguments), stdout=subprocess.DEVNULL) as process:
        yield
        process.kill()


def _command(healer: Healer, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "healthagent", *arguments, "--agent", healer.client.url]


def test_a_blocked_replica_is_healed_with_evidence_and_the_cap_outlives_the_agent(
    made: Lab, start: StartHealer
) -> None:
    sick = made.replicas[1]
    before, others = made.began(sick), made.began(*made.others(sick))
    with start() as healer:
        made.get(sick, "/block")
        healer.wait_for_act(sick, "done")
        assert made.began(sick) != before
        assert made.get(sick).body == "ok"
        assert made.began(*made.others(sick)) == others, "nobody else was touched"
        steps = [act["outcome"] for act in healer.acts(sick)]
        assert steps[0] == "begun" and steps.count("begun") == 1

        kept = next(act for act in healer.acts(sick) if act["evidence"].get("kept"))
        evidence = json.loads(told(healer, "history", "--evidence", kept["act"], "--json"))
        assert evidence["checks"]["event_loop"]["code"] == "blocked"
        assert "blocked: " in evidence["log"] and "postgres://" in evidence["log"]
        assert evidence["process"]["processes"][0]["state"] == "R"
        assert evidence["process"]["sockets"]["counts"]["listen"] >= 1
        assert evidence["stats"]["pids_stats"]["current"] >= 1
        assert any(change["after"] == "not live" for change in evidence["transitions"])
        written = json.dumps(evidence)
        assert SECRET not in written and "swordfish" not in written

    # Another life of the agent, which may make one restart an hour, and has made it.
    with start(HEALTHAGENT_SUPERVISOR_RESTARTS="1") as healer:
        out = told(healer, "history", sick, "--since", "1h")
        assert f"restart {sick} by supervisor  begun" in out
        assert f"healthagent history --evidence {kept['act']}" in out
        healed = made.began(*made.replicas)
        made.freeze(sick)
        healer.wait_for_act(sick, "refused", "cap")
        notice = healer.client.wait_for_notice(sick, within=WITHIN)
        assert "is dead after a restart was begun once within an hour" in notice["problem"]
        assert made.began(*made.replicas) == healed
        made.thaw()
        healer.client.wait_for_no_notice(within=WITHIN)


def test_a_frozen_replica_is_killed_after_its_grace_and_healed(
    made: Lab, start: StartHealer
) -> None:
    sick = made.replicas[0]
    with start() as healer:
        made.freeze(sick)
        healer.wait_for_act(sick, "done")
        assert made.get(sick).body == "ok"
        ended = healer.client.check(sick, "exit")
        assert "ignored SIGTERM, or was frozen, and was killed 2 s later (137)" in ended["reason"]


def test_an_agent_that_dies_in_between_leaves_nothing_stopped(
    made: Lab, start: StartHealer
) -> None:
    sick = made.replicas[2]
    before = made.began(sick)
    with start() as healer:
        told_to_end = made.told_to_end(sick)
        made.freeze(sick)
        until("the Engine has begun", told_to_end, within=WITHIN)
        os.kill(healer.process.pid, signal.SIGKILL)
    made.wait_until_serving(sick)
    assert made.began(sick) != before

    with start() as healer:
        begun, last = healer.acts(sick)[-2:]
        assert begun["outcome"] == "going on"
        assert "SIGTERM" in begun["text"]
        assert (last["act"], last["outcome"]) == (begun["act"], "failed")
        assert "the agent ended while this was going on" in last["text"]
        assert healer.client.targets()[sick]["drain"] is None


def test_an_agent_that_dies_while_it_replaces_one_leaves_all_as_it_was_to_the_next(
    made: Lab, start: StartHealer, socket: str
) -> None:
    slow, one_more = made.replicas[0], f"{made.project}-lab-4"
    before = made.engine.inspect(slow)["Id"]
    observes = {"HEALTHAGENT_DEFAULTS_SUPERVISE": "observe", "HEALTHAGENT_ADMIN_SOCKET": socket}
    with start(**observes) as healer:
        told_to_end = made.told_to_end(slow)
        made.freeze(slow)  # it is rolled first then, and ends only after its grace
        healer.wait_until_dead(slow)
        with asked(healer, "roll", "lab", "--env", "A=1", "--surge", "--socket", socket):
            until("the Engine has begun", told_to_end, within=WITHIN)
            assert made.engine.inspect(one_more)["State"]["Running"]
            os.kill(healer.process.pid, signal.SIGKILL)
    stopped = lambda: Seen(not made.engine.inspect(slow)["State"]["Running"], "it runs")  # noqa: E731
    until("the Engine has stopped it", stopped, within=WITHIN)

    with start(**observes) as healer:
        made.wait_until_serving(slow)
        last = healer.wait_for_act(slow, "failed", f"{one_more}, the one more, was removed")
        assert f"{slow} was started again as it was ({before[:12]})" in last["text"]
        begun = [a["text"] for a in healer.acts(slow, "going on") if a["act"] == last["act"]]
        assert "SIGTERM" in begun, "it is the act that the agent's end cut short"
        healer.wait_until_ready(made.replicas)


def test_where_all_are_dead_nobody_is_restarted(made: Lab, start: StartHealer) -> None:
    before = made.began(*made.replicas)
    with start() as healer:
        made.freeze(*made.replicas)
        for replica in made.replicas:
            healer.wait_for_act(replica, "refused", "service")
        assert made.began(*made.replicas) == before
        assert {e["outcome"] for e in healer.client.history() if e["event"] == "act"} == {"refused"}


def test_without_the_label_it_only_says_what_it_would_do(made: Lab, start: StartHealer) -> None:
    sick, before = made.replicas[0], made.began(*made.replicas)
    with start(HEALTHAGENT_DEFAULTS_SUPERVISE="observe") as healer:
        made.freeze(sick)
        act = healer.wait_for_act(sick, "observed")
        assert "would restart it, were it labelled healthagent.supervise=restart" in act["text"]
        ticks = healer.client.document("/health")["time"]

        def look() -> Seen:
            now = healer.client.document("/health")["time"]
            return Seen(now > ticks, now)

        until("a later report", look, within=WITHIN)
        assert len(healer.acts(sick)) == 1, "once, not at every report"
        assert made.began(*made.replicas) == before


def test_who_was_drained_by_a_person_stays_so_and_is_left_alone(
    made: Lab, start: StartHealer, socket: str
) -> None:
    sick, before = made.replicas[1], made.began(*made.replicas)
    with start(HEALTHAGENT_ADMIN_SOCKET=socket) as healer:
        told(healer, "drain", sick, "--why", "a new disk", "--socket", socket)
        assert healer.client.targets()[sick]["phase"] == "drained"
        healer.process.terminate()

    with start(wait=False, HEALTHAGENT_ADMIN_SOCKET=socket) as healer:
        drained = until_drained(healer, sick)
        assert "a new disk" in drained
        made.freeze(sick)
        refused = healer.wait_for_act(sick, "refused", "drained")
        assert "a new disk" in refused["text"]
        assert made.began(*made.replicas) == before
        made.thaw()
        made.wait_until_serving(sick)
        told(healer, "undrain", sick, "--socket", socket)
        healer.wait_until_ready(made.replicas)


def until_drained(healer: Healer, replica: str) -> str:
    """Until a replica reads so; why."""

    def look() -> Seen:
        target = healer.client.targets().get(replica, {})
        return Seen(target.get("phase") == "drained", str(target.get("reason")))

    until(f"{replica} is drained", look, within=WITHIN)
    return str(healer.client.targets()[replica]["reason"])
