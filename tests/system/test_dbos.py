"""What becomes of the workflows of a replica that is killed in the middle of one."""

from __future__ import annotations

import json
import urllib.request

from examples.quickstart.tour.condition import Seen, until
from tests.system.client import WITHIN
from tests.system.quickstart import Quickstart

JOBS = 3


def test_workflows_of_a_killed_replica_wait_for_it_by_its_id_and_end_once_it_is_back(
    stack: Quickstart,
) -> None:
    victim, *others = stack.replicas
    server = stack.server(victim)
    jobs = [begin(server) for _ in range(JOBS)]
    stack.engine.docker("kill", victim)

    def orphaned() -> Seen:
        reason = stack.agent.check(victim, "dbos")["reason"]
        return Seen("PENDING workflows wait for its return" in reason, reason)

    until("the orphans are counted, and said of the victim", orphaned, within=WITHIN)
    for name in others:
        check = stack.agent.check(name, "dbos")
        assert check["status"] == "ok", f"{name} has no part in it: {check['reason']}"

    def read() -> Seen:
        reasons = [stack.agent.check(name, "dbos")["reason"] for name in others]
        return Seen(not any("orphaned workflows" in reason for reason in reasons), str(reasons))

    until("the agent reads DBOS's table, which is there since the first start", read, within=WITHIN)

    stack.engine.start(victim)
    stack.agent.wait_until_ready(stack.replicas, within=WITHIN)

    def ended() -> Seen:
        states = [state(stack.server(victim), job) for job in jobs]
        return Seen(states == ["SUCCESS"] * JOBS, f"they are {states}")

    until("it recovered its own workflows", ended, within=WITHIN)


def begin(server: str) -> str:
    request = urllib.request.Request(f"{server}/jobs", method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return str(json.load(answer)["id"])


def state(server: str, job: str) -> str:
    with urllib.request.urlopen(f"{server}/jobs/{job}", timeout=5) as answer:
        return str(json.load(answer)["status"])
