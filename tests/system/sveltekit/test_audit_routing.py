"""What the audit says of a replica that fails, by Traefik's own word of what it routes to."""

from __future__ import annotations

import signal
from dataclasses import replace

from benchmarks.acceptance.desk import Desk
from examples.quickstart.tour.condition import Seen, until
from healthagent.audit.evidence import Evidence
from healthagent.audit.finding import Outcome
from healthagent.audit.judgements.health import routed_are_ready
from healthagent.audit.judgements.processes import others_serve
from healthagent.audit.reading import agent, gather, traefik
from healthagent.cli.agent import Agent
from healthagent.core.observation import Unseen
from provision import desk as images
from tests.system.sveltekit.conftest import HEALED, REPLICAS


def test_a_frozen_replica_is_seen_to_leave_rotation_while_others_serve(stack: Desk) -> None:
    files = gather.from_files(gather.Files((images.SOURCE / "compose.yaml",)))
    victim = stack.replicas()[0]

    def seen() -> Evidence:
        asked = Agent(stack.agent_url)
        told = agent.read(asked.url, asked.health(), asked.budget(), ["app"])
        return replace(files, agent=told, router=traefik.read(stack.traefik_api))

    before = seen()
    assert routed_are_ready(before).outcome is Outcome.MET
    assert "3 of 3" in routed_are_ready(before).seen
    assert others_serve(before).outcome is Outcome.NOT_SEEN, "none fails beside which others serve"

    def out() -> Seen:
        routed, beside = routed_are_ready(seen()), others_serve(seen())
        both = routed.outcome is beside.outcome is Outcome.MET
        return Seen(both and "2 of 3" in routed.seen, f"{routed}; {beside}")

    stack.kill(victim, signal.SIGSTOP)
    try:
        until("Traefik routes to the others, and the audit says so", out, within=30)
    finally:
        stack.kill(victim, signal.SIGCONT)
    stack.wait_until_ready(REPLICAS, within=HEALED)


def test_an_api_that_does_not_answer_is_not_seen(stack: Desk) -> None:
    found = traefik.read(stack.agent_url)
    assert isinstance(found, Unseen)
    assert "--traefik URL" in found.remedy
