"""Replicas in and out of Traefik's rotation: how soon, why, and who else is touched."""

from __future__ import annotations

import json
import signal
import time
from itertools import cycle, dropwhile, groupby

from examples.quickstart.tour.condition import Seen, until
from tests.system.client import WITHIN, AgentClient, Document, harmed, sentences, told
from tests.system.quickstart import Quickstart
from tests.system.soonest import soonest

CHECKS = {"process", "event_loop", "http", "postgres", "pool", "dbos"}


def life(transitions: list[Document]) -> list[str]:
    """What a replica was as a whole, each but once in a row. Degraded, and not ready though it
    lives, is left out: a busy machine may make a replica that."""
    told = [change["after"] for change in transitions if change["check"] is None]
    kept = [phase for phase in told if phase in ("not live", "starting", "ready")]
    return [phase for phase, _ in groupby(dropwhile(lambda phase: phase == "ready", kept))]


def test_three_replicas_pass_every_check_and_share_the_requests(stack: Quickstart) -> None:
    targets = stack.agent.targets()

    assert list(targets) == stack.replicas
    for name, target in targets.items():
        statuses = {check["name"]: check["status"] for check in target["checks"]}
        assert statuses.keys() >= CHECKS
        assert set(statuses.values()) == {"ok"}, told({name: target})
    assert sorted(stack.agent.routed()) == stack.servers()
    stack.wait_until_served_by(stack.replicas)


def test_a_frozen_replica_is_out_within_three_seconds_as_stopped_and_alone(
    stack: Quickstart,
) -> None:
    agent, (frozen, *neighbours) = stack.agent, stack.replicas
    server, mark = stack.server(frozen), agent.mark()

    def out() -> Seen:
        routed = agent.routed()
        return Seen(server not in routed, f"routed: {', '.join(routed)}")

    def freeze_it() -> float:
        with stack.frozen(frozen):
            taken = until(f"{frozen} is out of /traefik", out, within=WITHIN)
            target = agent.targets()[frozen]
            assert (target["phase"], target["code"]) == ("not live", "stopped"), target["reason"]
            assert "kill -CONT" in target["reason"], "the reason names the way back"
            stack.wait_until_served_by(neighbours)
        agent.wait_until_ready(stack.replicas, within=WITHIN)
        stack.wait_until_served_by(stack.replicas)
        return taken

    taken = soonest(freeze_it, within=3.0)
    assert taken < 3.0, f"{frozen} was still in /traefik after {taken:.2f} s"
    touched = harmed(agent.since(mark, neighbours))
    assert touched == [], f"only {frozen} was frozen, but: {sentences(touched)}"


def test_a_killed_replica_is_out_within_half_a_second_of_dockers_event(stack: Quickstart) -> None:
    agent = stack.agent
    victims = cycle(stack.replicas)  # one that is killed again and again is in a crash loop

    def kill_one() -> float:
        killed = next(victims)
        server, neighbours = stack.server(killed), set(stack.replicas) - {killed}
        mark, begun = agent.mark(), time.time()
        restarts = stack.engine.inspect(killed)["RestartCount"]
        seen = Watch(agent, server, killed)

        stack.signal(killed, signal.SIGKILL)
        until(f"{killed} is out of /traefik", seen.out, within=WITHIN)
        out_at = time.time()
        until(f"{killed} is back, restarted by Docker", seen.back, within=WITHIN)

        lived = agent.since(mark, [killed])
        assert life(lived) == ["not live", "starting", "ready"], sentences(lived)
        out = [change["reason"] for change in lived if change["after"] == "not live"]
        assert "137" in out[0], "the reason names the exit code of a killed process"
        assert seen.early == [], "it got traffic before it had shown ready"
        assert stack.engine.inspect(killed)["RestartCount"] == restarts + 1
        agent.wait_until_ready(stack.replicas, within=WITHIN)
        touched = harmed(agent.since(mark, neighbours))
        assert touched == [], f"only {killed} was killed, but: {sentences(touched)}"
        return out_at - died_at(stack, killed, begun)

    taken = soonest(kill_one, within=0.5)
    assert taken < 0.5, f"it was still in /traefik {taken:.2f} s after Docker's event"


class Watch:
    """Looks whether one server is routed; ``early`` is what its replica lacked when it was, and
    should not have been."""

    def __init__(self, agent: AgentClient, server: str, replica: str) -> None:
        self._agent = agent
        self._server = server
        self._replica = replica
        self.early: list[str] = []

    def out(self) -> Seen:
        routed = self._agent.routed()
        return Seen(self._server not in routed, f"routed: {', '.join(routed)}")

    def back(self) -> Seen:
        routed = self._agent.routed()
        phase = self._agent.targets()[self._replica]["phase"]
        came_back = len(routed) == 3
        if came_back and phase == "starting":
            self.early.append(phase)
        return Seen(came_back, f"routed: {', '.join(routed)}; {self._replica} is {phase}")


def died_at(stack: Quickstart, container: str, since: float) -> float:
    """When Docker said that a container died, in seconds since the epoch."""
    lines = stack.engine.docker(
        "events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}",
        "--filter", f"container={container}", "--filter", "event=die", "--format", "{{json .}}",
    ).splitlines()  # fmt: skip
    assert len(lines) == 1, f"Docker told {len(lines)} deaths of {container}"
    return float(json.loads(lines[0])["timeNano"]) / 1e9
