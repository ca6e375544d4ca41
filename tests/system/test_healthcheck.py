"""Docker's own HEALTHCHECK, by the real healthprobe in the app's image and in the agent's."""

from __future__ import annotations

import subprocess

from examples.quickstart.tour.condition import Seen, until
from tests.system.client import WITHIN
from tests.system.quickstart import Quickstart


def probe(stack: Quickstart, container: str) -> tuple[int, str]:
    """Run the command of the container's HEALTHCHECK; its exit code and its line."""
    _, *command = stack.engine.inspect(container)["Config"]["Healthcheck"]["Test"]
    result = subprocess.run(
        ["docker", "--host", stack.engine.host, "exec", container, *command],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    return result.returncode, result.stdout


def test_docker_calls_the_replicas_healthy_by_the_probe(stack: Quickstart) -> None:
    def look() -> Seen:
        healths = {r: stack.engine.inspect(r)["State"]["Health"] for r in stack.replicas}
        return Seen(all(h["Status"] == "healthy" for h in healths.values()), str(healths))

    until("Docker calls every replica healthy", look, within=WITHIN)
    for replica in stack.replicas:
        newest = stack.engine.inspect(replica)["State"]["Health"]["Log"][-1]
        assert newest["ExitCode"] == 0
        assert newest["Output"].startswith("ok "), newest["Output"]

    def told() -> Seen:
        healths = {r: t["container"]["health"] for r, t in stack.agent.targets().items()}
        return Seen(set(healths.values()) == {"healthy"}, str(healths))

    until("the agent shows what Docker says", told, within=WITHIN)


def test_the_probe_fails_on_a_frozen_replica_and_says_why(stack: Quickstart) -> None:
    replica = stack.replicas[0]

    with stack.frozen(replica):
        code, line = probe(stack, replica)

    assert code == 1, f"the probe of a frozen replica exited {code}: {line}"
    assert line.startswith("failed "), line
    assert probe(stack, replica)[0] == 0, "it passes again"


def test_the_agents_own_image_has_a_healthcheck_that_tells_a_frozen_agent(
    stack: Quickstart,
) -> None:
    agent = stack.container("agent")
    assert probe(stack, agent)[0] == 0

    with stack.frozen(agent):
        code, line = probe(stack, agent)

    assert code == 1, f"the probe of a frozen agent exited {code}: {line}"
    assert line.startswith("failed "), line
