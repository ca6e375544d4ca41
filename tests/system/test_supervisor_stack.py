"""The supervisor on the quickstart's stack: a real app with DBOS, behind Traefik, on Postgres."""

from __future__ import annotations

import json
from pathlib import Path

from examples.quickstart.tour.condition import Seen, until
from tests.system.conftest import StartAgent
from tests.system.quickstart import Quickstart

WITHIN = 90.0


def test_without_postgres_nobody_is_restarted_and_with_it_the_frozen_one_is(
    stack: Quickstart, start_agent: StartAgent, tmp_path: Path
) -> None:
    sick, postgres = stack.replicas[1], stack.container("postgres")
    agent = start_agent(
        HEALTHAGENT_DEFAULTS_SUPERVISE="restart",
        HEALTHAGENT_SUPERVISOR_STATE=str(tmp_path),
        HEALTHAGENT_SUPERVISOR_PATIENCE="1s",
        HEALTHAGENT_TRAEFIK_POLL="100ms",
        HEALTHAGENT_TRAEFIK_THROTTLE="100ms",
    )
    agent.client.wait_until_ready(stack.replicas, within=WITHIN)
    before = stack.lives()

    def steps(outcome: str) -> list[str]:
        return [f"{e['evidence'].get('code')} {e['text']}" for e in agent.client.history(sick)
                if e["event"] == "act" and e["outcome"] == outcome]  # fmt: skip

    def said(outcome: str) -> None:
        until(f"{sick} reads {outcome}", lambda: Seen(bool(steps(outcome)), str(steps(outcome))),
              within=WITHIN)  # fmt: skip

    stack.engine.docker("stop", "--time", "5", postgres)
    try:
        agent.client.wait_for_check(sick, "postgres", "failed", within=WITHIN)
        with stack.frozen(sick):
            said("refused")
            assert "database" in steps("refused")[0]
            assert stack.lives() == before
            stack.engine.start(postgres)
            said("done")  # its database is back: the fault is its own
    finally:
        stack.engine.start(postgres)
    after = stack.lives()
    assert [name for name in stack.replicas if after[name] != before[name]] == [sick]
    agent.client.wait_until_ready(stack.replicas, within=WITHIN)

    [act] = {e["act"] for e in agent.client.history(sick)
             if e["event"] == "act" and e["outcome"] == "done"}  # fmt: skip
    evidence = agent.client.document(f"/history/{act}")
    assert evidence["database"]["sessions"] == [], "frozen, it could not come back to Postgres"
    assert evidence["process"]["processes"][0]["state"] == "T"
    told = json.dumps(evidence)
    assert not [secret for secret in stack.secrets if secret in told]
