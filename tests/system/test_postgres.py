"""What becomes of replicas, routing and budget when Postgres, or the agent's way to it, is gone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from examples.quickstart.tour import web
from examples.quickstart.tour.condition import Seen, until
from tests.system.client import WITHIN, AgentClient, Document, sentences
from tests.system.conftest import StartAgent
from tests.system.load import Load
from tests.system.quickstart import Quickstart

DECLARED = 5 + 3
"""Connections of one replica, as compose.yaml declares its two pools."""

OF_POSTGRES = ("postgres", "pool", "dbos")
"""The checks that rest on the agent's own session."""

USERS = 10.0
"""Requests a second through Traefik while the agent is cut off."""

STALE = 10.0
"""Seconds for which the last known state holds where nothing new can be seen."""


def test_without_postgres_none_is_ready_none_is_restarted_and_all_come_back(
    stack: Quickstart,
) -> None:
    agent, mark, lives = stack.agent, stack.agent.mark(), stack.lives()

    def none_ready() -> Seen:
        targets = agent.targets()
        for name in stack.replicas:
            live = agent.get(f"/targets/{name}/livez?verbose")
            assert live.status == 200, f"{name} is not live for want of Postgres: {live.body}"
        ready = [name for name, target in targets.items() if target["ready"]]
        return Seen(len(targets) == 3 and not ready, f"still ready: {', '.join(ready)}")

    def refused() -> Seen:
        answers = web.answering(stack.url, 3)
        return Seen(set(answers) == {"HTTP 503"}, str(dict(answers)))

    stack.compose.stop_database()
    until("no replica is ready", none_ready, within=WITHIN)
    for name, target in agent.targets().items():
        assert target["check"] == "http", f"{name}: its own /readyz decides, not {target['reason']}"
        assert "/readyz" in target["reason"]
    assert agent.get("/services/app/readyz").status == 503
    until("Traefik answers 503: not now, instead of 404: never heard of it", refused, within=WITHIN)

    stack.compose.start_database()
    agent.wait_until_ready(stack.replicas, within=WITHIN)
    assert stack.lives() == lives, "Postgres was away, and a replica was restarted for it"
    dead = [change for change in agent.since(mark) if change["after"] == "not live"]
    assert dead == [], f"liveness looked at Postgres: {sentences(dead)}"
    held = stack.sessions_of(stack.address(stack.container("agent")))
    assert len(held) == 1, f"after the outage the agent holds {len(held)} connections"


def test_the_agent_holds_one_connection_however_many_replicas(stack: Quickstart) -> None:
    agent = stack.address(stack.container("agent"))
    before = stack.sessions_of(agent)
    assert len(before) == 1

    with stack.another_replica("one-more", {"healthagent.dbos.executor": "{container_name}"}) as it:
        stack.agent.wait_until_ready([*stack.replicas, it], within=WITHIN)
        assert stack.sessions_of(agent) == before, "the same backend serves one replica more"
        assert planned(stack.agent)["declared"] == 4 * DECLARED

    stack.agent.wait_until_ready(stack.replicas, within=WITHIN)
    assert stack.sessions_of(agent) == before


def test_the_budget_is_the_plan_and_counts_the_agent_itself(stack: Quickstart) -> None:
    budget = planned(stack.agent)

    assert budget["declared"] == 3 * DECLARED
    assert budget["agent"] == 1
    assert budget["planned"] == 3 * DECLARED + budget["agent"] + budget["others"]
    (largest, reserved) = stack.query(
        "SELECT current_setting('max_connections')::int,"
        " current_setting('superuser_reserved_connections')::int"
    )[0]
    assert budget["allowed"] == largest - reserved
    assert [replica["declared"] for replica in budget["replicas"]] == 3 * [DECLARED]

    def as_postgres_counts() -> Seen:
        counted = stack.query(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )[0][0]
        held = planned(stack.agent)["held"]
        return Seen(held == counted, f"held {held}, Postgres counts {counted}")

    until("the budget holds what Postgres counts", as_postgres_counts, within=WITHIN)


def planned(agent: AgentClient) -> Document:
    (server,) = agent.document("/budget")["servers"]
    return dict(server)


def test_a_wrong_password_of_the_agents_own_takes_nobody_out(
    stack: Quickstart, start_agent: StartAgent
) -> None:
    wrong = "not-the-password-7f3a"

    process = start_agent(HEALTHAGENT_POSTGRES_PASSWORD=wrong)

    agent = process.client
    for replica in stack.replicas:
        for name in OF_POSTGRES:
            code = "password" if name == "postgres" else "no_session"
            check = agent.wait_for_check(replica, name, "unknown", code, within=WITHIN)
            assert "'healthagent'" in check["reason"], "the reason names the role"
            assert "correct it" in check["reason"], "the reason names the remedy"
    wait_until_all_routed(stack, agent)
    paths = ("/health", "/metrics", "/traefik", "/budget", "/events?replay=1000&follow=false")
    shown = "".join(agent.get(path).body for path in paths) + process.output
    for secret in (wrong, *stack.secrets):
        assert secret not in shown, "a password is in the agent's answers or log"


@contextmanager
def cut_off(stack: Quickstart) -> Iterator[None]:
    """With whatever the stack's own agent sends to Postgres answered by a reset. It is done in the
    agent's own network namespace, so that the replicas go on as ever."""
    agent = stack.engine.inspect(stack.container("agent"))["State"]["Pid"]
    postgres = stack.address(stack.container("postgres"))

    def iptables(do: str) -> None:
        subprocess.run(
            ["nsenter", "--target", str(agent), "--net", "iptables", "--wait", do, "OUTPUT",
             "--protocol", "tcp", "--destination", postgres, "--dport", "5432",
             "--jump", "REJECT", "--reject-with", "tcp-reset"],
            check=True, timeout=30,
        )  # fmt: skip

    iptables("--insert")
    try:
        yield
    finally:
        iptables("--delete")


@contextmanager
def shut_out(stack: Quickstart) -> Iterator[None]:
    """With the role of the stack's own agent barred, and its session ended."""
    stack.query("ALTER ROLE healthagent NOLOGIN")
    try:
        stack.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'healthagent'"
        )
        yield
    finally:
        stack.query("ALTER ROLE healthagent LOGIN")


@contextmanager
def all_served(stack: Quickstart) -> Iterator[None]:
    """With users who ask through Traefik throughout, and lose nothing; in the end every replica
    still has its share."""
    mark = stack.agent.mark()
    with Load(stack.url, USERS) as load:
        yield
        wait_until_all_routed(stack, stack.agent)
        stack.wait_until_served_by(stack.replicas)
    assert load.answers["200"], f"nobody was served: {load.answers}"
    assert not load.lost_in_spite_of(stack.agent.since(mark)), f"requests were lost: {load.answers}"


def test_a_server_that_only_the_agent_cannot_reach_is_loud_and_takes_nobody_out(
    stack: Quickstart,
) -> None:
    agent = stack.agent
    with cut_off(stack), all_served(stack):
        for replica in stack.replicas:
            agent.wait_for_check(replica, "postgres", "failed", "refused", within=WITHIN)
        for replica in stack.replicas:
            excused = agent.check(replica, "postgres")["excused"]
            assert excused, "it would hit every replica at once, so it takes nobody out"
        health = agent.document("/health")
        assert health["status"] == "warn"
        assert all(f"{replica} is degraded" in health["output"] for replica in stack.replicas)

    agent.wait_until_ready(stack.replicas, within=WITHIN)


def test_an_agent_that_is_shut_out_keeps_the_last_state_then_says_unknown(
    stack: Quickstart,
) -> None:
    agent = stack.agent
    with shut_out(stack), all_served(stack):
        for replica in stack.replicas:
            for name in OF_POSTGRES:
                code = "not_admitted" if name == "postgres" else "no_session"
                check = agent.wait_for_check(replica, name, "unknown", code, within=STALE + WITHIN)
                assert check["holds"] == "ok", "routing keeps to the last known state"
                assert "'healthagent'" in check["reason"], "the reason names the role"

    agent.wait_until_ready(stack.replicas, within=WITHIN)


def wait_until_all_routed(stack: Quickstart, agent: AgentClient) -> None:
    def look() -> Seen:
        answers = [agent.get(f"/targets/{replica}/readyz") for replica in stack.replicas]
        ready = all(answer.status == 200 for answer in answers)
        routed = agent.routed() if agent.get("/traefik").status == 200 else []
        return Seen(ready and sorted(routed) == stack.servers(), str((answers, routed)))

    until("every replica is ready and routed", look, within=WITHIN)
