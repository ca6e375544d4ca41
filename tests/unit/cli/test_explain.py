"""``healthagent explain TARGET``"""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.checks import CHECKS
from healthagent.cli.agent import Agent, Document
from healthagent.core.rotation import Drain
from healthagent.core.timeline import PENDING
from healthagent.core.verdict import (
    Verdict,
    conclusively_failed,
    degraded,
    failed,
    unknown,
)
from healthagent.errors import AgentUnreachable
from tests.unit.cli.conftest import BLIND, NOW, RESTARTED, Run, RunningAgent, replica, report

STOPPED = failed("stopped", "GET /livez gave no answer: pid 42 is stopped", pid=42, queued=3)


@pytest.fixture
def frozen(agent: RunningAgent) -> RunningAgent:
    agent.publish(report(replica(1), replica(2), at=NOW - 300))
    agent.publish(report(replica(1), replica(2), seen={"shop-app-2": {"event_loop": STOPPED}}))
    return agent


def test_leads_from_the_state_to_what_to_do(frozen: RunningAgent, run: Run) -> None:
    ran = run("explain", "shop-app-2")
    parts = [
        "shop-app-2 is not live for 3m 20s",
        "service app, container 222222222222, Docker: running, health healthy, 0 restarts",
        "It gets no traffic.",
        "What was seen",
        "event_loop stopped: GET /livez gave no answer: pid 42 is stopped",
        "pid 42, queued 3",
        "What it means",
        "clients hang rather than fail",
        "What to do",
        "1. let it go on: kill -CONT 42",
        "Docker calls it healthy, and it is not live",
        "Checks",
        "Declared",
        "Last transitions",
    ]
    places = [ran.out.find(part) for part in parts]
    missing = [part for part, place in zip(parts, places, strict=True) if place < 0]
    assert not missing, f"not told: {missing}"
    assert places == sorted(places), "the diagnosis is told from the state to the details"


def test_ends_1_for_a_replica_that_is_not_ready(frozen: RunningAgent, run: Run) -> None:
    assert run("explain", "shop-app-2").code == 1
    assert run("explain", "shop-app-1").code == 0


def test_shows_where_every_declared_value_came_from(frozen: RunningAgent, run: Run) -> None:
    lines = [line.split() for line in run("explain", "shop-app-1").out.splitlines()]
    assert ["port", "3000", "label"] in lines
    assert ["interval", "1", "s", "default"] in lines
    assert ["response", "30", "s", "default"] in lines
    assert ["slowstart", "none", "default"] in lines


def test_shows_what_was_done_to_it(frozen: RunningAgent, run: Run) -> None:
    frozen.record(RESTARTED)
    assert "restart shop-app-2 by supervisor  done" in run("explain", "shop-app-2").out
    told = run("explain", "shop-app-2", "--json").json
    assert [act["verb"] for act in told["acts"]] == ["restart"]
    assert {change["event"] for change in told["transitions"]} == {"transition"}


def test_shows_the_last_transitions_of_this_replica_alone(frozen: RunningAgent, run: Run) -> None:
    last = run("explain", "shop-app-2").out.split("Last transitions")[1]
    assert "event_loop  ok -> failed" in last
    assert "replica  ready -> not live" in last


def test_shows_why_it_fell_after_a_restart_in_which_each_check_began_anew(
    agent: RunningAgent, run: Run
) -> None:
    killed = conclusively_failed("killed", "killed by SIGKILL (137)")
    before = {check.name: unknown(PENDING.code, PENDING.reason) for check in CHECKS}
    agent.publish(report(replica(1), at=NOW - 30))
    agent.publish(report(replica(1), seen={"shop-app-1": {"exit": killed}}, at=NOW - 20))
    agent.publish(report(replica(1), seen={"shop-app-1": before}, at=NOW - 10))
    agent.publish(report(replica(1)))
    ran = run("explain", "shop-app-1")
    assert "exit  ok -> failed  killed by SIGKILL (137)" in ran.out.split("Last transitions")[1]
    told = run("explain", "shop-app-1", "--json").json["transitions"]
    assert [change["after"] for change in told if change["check"] is None][-3] == "not live"


def test_a_check_that_changes_and_leaves_the_replica_as_it_was_is_not_told(
    frozen: RunningAgent, run: Run
) -> None:
    for n in range(30):
        slow = {"pool": degraded(f"leaking{n}", "it leaks"), "event_loop": STOPPED}
        frozen.publish(report(replica(1), replica(2), seen={"shop-app-2": slow}, at=NOW + n))
    last = run("explain", "shop-app-2").out.split("Last transitions")[1]
    assert ("replica  ready -> not live" in last, "leaking" in last) == (True, False)


def test_a_change_that_no_check_brought_tells_its_reason(agent: RunningAgent, run: Run) -> None:
    down = {"shop-app-1": {"pool": failed("leaking", "it leaks")}}
    agent.publish(report(replica(1), replica(2), seen=down, at=NOW - 30))
    drained = replace(replica(1), quorum=2)
    agent.publish(report(drained, replace(replica(2), quorum=2), seen=down))
    last = run("explain", "shop-app-1").out.split("Last transitions")[1].splitlines()
    assert last[-1].endswith("replica  not ready -> degraded  pool leaking: it leaks"), last


def test_goes_on_without_the_past_where_it_cannot_be_had(
    frozen: RunningAgent, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[Document]:
        raise AgentUnreachable("no whole answer")

    monkeypatch.setattr(Agent, "past_events", refuse)
    ran = run("explain", "shop-app-2")
    assert (ran.code, "What to do" in ran.out) == (1, True), "the diagnosis needs no past"
    assert "the last transitions are not known: no whole answer" in ran.err


@pytest.mark.parametrize("reference", ["shop-app-2", "2" * 64, "2222"])
def test_takes_a_name_an_id_or_its_beginning(
    frozen: RunningAgent, run: Run, reference: str
) -> None:
    assert "shop-app-2 is not live" in run("explain", reference).out


def test_on_a_public_listener_names_the_check_to_blame_alone(
    frozen: RunningAgent, run: Run
) -> None:
    ran = run("explain", "shop-app-2", "--agent", frozen.public_url)
    assert (ran.code, "  event_loop" in ran.out.splitlines()) == (1, True), ran.out


def test_of_an_unknown_target_names_the_near_ones_and_ends_2(
    frozen: RunningAgent, run: Run
) -> None:
    ran = run("explain", "shop-ap-2")
    assert ran.code == 2
    assert "no target is called 'shop-ap-2'; did you mean shop-app-2" in ran.err


def test_of_an_agent_that_knows_no_replica_yet_says_what_keeps_it_from_it(
    agent: RunningAgent, run: Run
) -> None:
    agent.publish(BLIND)
    ran = run("explain", "shop-app-2")
    assert (ran.code, "none is watched" in ran.err) == (2, False)
    assert f"no replica is known yet; {BLIND.notices[0]}" in ran.err


def test_of_an_ambiguous_id_asks_for_more_of_it(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1, id="abcd1" + "0" * 59), replica(2, id="abcd2" + "0" * 59)))
    ran = run("explain", "abcd")
    assert (ran.code, "names 2 targets" in ran.err) == (2, True)


def test_says_why_an_excused_fault_takes_nobody_out(agent: RunningAgent, run: Run) -> None:
    down = failed("refused", "nothing listens at db:5432; is Postgres started?")
    agent.publish(report(replica(1), seen={"shop-app-1": {"postgres": down}}))
    ran = run("explain", "shop-app-1")
    assert (ran.code, "would cost the service its quorum" in ran.out) == (0, True)
    assert "all replicas share it" in ran.out, "what is shared is excused whatever the quorum"


def test_tells_of_a_shared_failure_before_that_of_the_replica(
    agent: RunningAgent, run: Run
) -> None:
    seen = {
        "postgres": failed("timeout", "db:5432 did not answer in time"),
        "http": failed("timeout", "GET /readyz gave no answer within 0.8 s"),
    }
    agent.publish(report(replica(1), replica(2), seen={"shop-app-1": seen}))
    out = run("explain", "shop-app-1").out
    parts = [
        "What was seen",
        "postgres timeout: db:5432 did not answer in time",
        "http timeout: GET /readyz gave no answer",
        "What it means",
        "Every replica of that database is hit alike",
        "The connection is taken and no answer comes.",
        "1. see whether Postgres is frozen",
        "docker logs --tail 50 shop-app-1",
    ]
    places = [out.find(part) for part in parts]
    assert -1 not in places and places == sorted(places), out


def test_says_why_a_replica_that_was_never_seen_serves(agent: RunningAgent, run: Run) -> None:
    blind = unknown("unreachable", "no connection to 172.20.0.1:3000")
    agent.publish(report(replica(1), seen={"shop-app-1": {"http": blind}}, ran_before=True))
    ran = run("explain", "shop-app-1")
    assert (ran.code, "it ran before the agent did" in ran.out) == (0, True)


def test_says_who_drained_it_and_how_that_ends(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1), drain=Drain("root (uid 0)", "a new disk", NOW, lasting=True)))
    told = run("explain", "shop-app-1").out
    assert "It gets no traffic: it is drained by root (uid 0): a new disk." in told
    assert "`healthagent undrain shop-app-1` lets it serve again" in told


def test_says_that_somebody_is_at_it_before_anybody_else_sets_about_it(
    agent: RunningAgent, run: Run
) -> None:
    healed = Drain("supervisor", "restart", NOW)
    agent.publish(report(replica(1), seen={"shop-app-1": {"event_loop": STOPPED}}, drain=healed))
    told = run("explain", "shop-app-1").out
    assert "It gets no traffic: it is drained by supervisor: restart, which is under way." in told
    assert "undrain" not in told
    assert "drained by supervisor: restart; event_loop stopped: GET /livez" in run("status").out


def test_promises_no_traffic_to_a_replica_without_a_port(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1, port=None)))
    ran = run("explain", "shop-app-1")
    assert (ran.code, "It gets traffic." in ran.out) == (0, False)
    assert "No port of it is known" in ran.out


@pytest.mark.parametrize(
    ("id_", "told"), [("1" * 64, "the label healthagent.port"), ("static:app", "its url")]
)
def test_names_what_is_declared_as_it_is_spelled_there(
    agent: RunningAgent, run: Run, id_: str, told: str
) -> None:
    closed = failed("not_listening", "nothing listens on port 3000")
    agent.publish(report(replica(1, id=id_), seen={"shop-app-1": {"http": closed}}))
    out = run("explain", "shop-app-1").out
    assert told in out.split("What to do")[1].split("Checks")[0]


def test_of_a_healthy_replica_has_nothing_to_do(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1)))
    assert "What to do" not in run("explain", "shop-app-1").out


def test_prints_json_with_the_transitions(frozen: RunningAgent, run: Run) -> None:
    shown = run("explain", "shop-app-2", "--json").json
    assert shown["target"]["code"] == "stopped"
    assert [event["after"] for event in shown["transitions"]][-2:] == ["failed", "not live"]


@pytest.mark.parametrize(
    "verdict",
    [
        degraded("slow", "db took 900 ms"),
        unknown("unseen", "no host pid namespace"),
        failed("status", "GET /readyz answered 500", status=500),
    ],
)
def test_leaves_no_gap_in_a_step(agent: RunningAgent, run: Run, verdict: Verdict) -> None:
    agent.publish(report(replica(1), seen={"shop-app-1": {"http": verdict}}))
    assert "{" not in run("explain", "shop-app-1").out.replace("{{json", "").replace("{json", "")


def test_what_was_seen_and_means_is_folded_on_a_narrow_terminal(
    agent: RunningAgent, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    seen = {"shop-app-1": {"http": failed("status", "one word after another " * 8)}}
    agent.publish(report(replica(1), seen=seen))
    told = run("explain", "shop-app-1").out.partition("What was seen\n")[2]
    seen_and_means, _, _ = told.partition("What to do")
    assert max(len(line) for line in seen_and_means.splitlines()) <= 60
