"""What the audit says of a replica that fails, by Traefik's own word of what it routes to."""

from __future__ import annotations

import signal
from dataclasses import replace

from benchmarks.acceptance.desk import Desk
from examples.quickstart.tour.condition import Seen, until
from healthagent.audit.evidence import Evidence
from healthagent.audit.finding import Finding, Outcome
from healthagent.audit.reading import agent, gather, traefik
from healthagent.audit.requirement import Kind, judge
from healthagent.audit.table import REQUIREMENTS
from healthagent.cli.agent import Agent
from healthagent.core.observation import Unseen
from provision import desk as images
from tests.system.sveltekit.conftest import HEALED, REPLICAS

WANTED = ("FR-7.4", "8.3.2", "NFR-2.1")


def test_a_frozen_replica_is_seen_to_leave_rotation_while_others_serve(stack: Desk) -> None:
    files = gather.from_files(gather.Files((images.SOURCE / "compose.yaml",)))
    victim = stack.replicas()[0]

    def seen() -> Evidence:
        asked = Agent(stack.agent_url)
        told = agent.read(asked.url, asked.health(), asked.budget(), ["app"])
        return replace(files, agent=told, router=traefik.read(stack.traefik_api))

    def out() -> Seen:
        found = judged(seen())
        whole = all("2 of 3" in finding.seen for finding in found.values())
        return Seen(whole, str(found))

    before = judged(seen())
    assert before["8.3.2"].outcome is before["FR-7.4"].outcome is Outcome.MET
    assert "3 of 3" in before["8.3.2"].seen
    assert before["NFR-2.1"].outcome is Outcome.NOT_SEEN, "none fails beside which others serve"

    stack.kill(victim, signal.SIGSTOP)
    try:
        until("Traefik routes to the others, and the audit says so", out, within=30)
        assert {finding.outcome for finding in judged(seen()).values()} == {Outcome.MET}
    finally:
        stack.kill(victim, signal.SIGCONT)
    stack.wait_until_ready(REPLICAS, within=HEALED)


def judged(seen: Evidence) -> dict[str, Finding]:
    return {r.id: judge(r, seen, (Kind.LIVE,)).finding for r in REQUIREMENTS if r.id in WANTED}


def test_an_api_that_does_not_answer_is_not_seen(stack: Desk) -> None:
    found = traefik.read(stack.agent_url)
    assert isinstance(found, Unseen)
    assert "--traefik URL" in found.remedy
