"""``healthagent status``"""

from __future__ import annotations

import re

import pytest

from healthagent.core.notice import Notice
from healthagent.core.verdict import conclusively_failed, degraded, failed
from tests.unit.cli.conftest import BLIND, Run, RunningAgent, replica, report, server

FROZEN = {"shop-app-2": {"event_loop": failed("stopped", "pid 42 is stopped", pid=42)}}


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_shows_every_replica_with_its_state_since_when_and_why(
    agent: RunningAgent, run: Run
) -> None:
    agent.publish(
        report(
            replica(1),
            replica(2),
            seen=FROZEN,
            budgets=(server(("shop-app-1", "app", 8, 3), ("shop-app-2", "app", 8, None)),),
        )
    )
    heads, first, second, *_ = run("status").out.splitlines()
    assert cells(heads) == ["REPLICA", "STATE", "SINCE", "POOL", "DOCKER", "REASON"]
    assert cells(first) == ["shop-app-1", "ready", "3m 20s", "3/8", "healthy"]
    assert cells(second) == [
        *("shop-app-2", "not live", "3m 20s", "?/8", "healthy"),
        "event_loop stopped: pid 42 is stopped",
    ]


def test_sums_up_each_service_against_its_quorum(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1), replica(2), replica(3, service="jobs"), seen=FROZEN))
    out = run("status").out
    assert "app: 1 of 2 ready, quorum 1" in out
    assert "jobs: 1 of 1 ready, quorum 1" in out


def test_names_what_all_replicas_suffer_from_below_their_service(
    agent: RunningAgent, run: Run
) -> None:
    sick = {
        "http": failed("status", "GET /readyz answered 503"),
        "postgres": failed("timeout", "db:5432 did not answer in time"),
    }
    agent.publish(report(replica(1), replica(2), seen={"shop-app-1": sick, "shop-app-2": sick}))
    lines = run("status").out.splitlines()
    assert lines[-2:] == [
        "app: 0 of 2 ready, quorum 1",
        "  postgres timeout: db:5432 did not answer in time",
    ]


def test_ends_0_where_all_are_ready(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1), replica(2)))
    assert run("status").code == 0


def test_ends_0_where_one_is_degraded_and_serves(agent: RunningAgent, run: Run) -> None:
    seen = {"shop-app-1": {"pool": degraded("over_declared", "holds 9")}}
    agent.publish(report(replica(1), seen=seen))
    assert run("status").code == 0


def test_ends_1_where_one_is_not_ready(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1), replica(2), seen=FROZEN))
    assert run("status").code == 1


def test_ends_1_as_long_as_the_agent_has_judged_nothing(agent: RunningAgent, run: Run) -> None:
    ran = run("status")
    assert (ran.code, "has just started" in ran.out) == (1, True)


def test_says_how_to_have_replicas_watched_where_there_are_none(
    agent: RunningAgent, run: Run
) -> None:
    agent.publish(report())
    ran = run("status")
    assert (ran.code, "healthagent.enable=true" in ran.out) == (0, True)


def test_says_what_keeps_the_agent_from_knowing_any_replica(agent: RunningAgent, run: Run) -> None:
    agent.publish(BLIND)
    ran = run("status")
    assert (ran.code, "No replica is known yet." in ran.out) == (1, True)
    assert "healthagent.enable" not in ran.out, "whether one has the label is not known"
    assert f"warning {BLIND.notices[0]}" in ran.out


def test_shows_notices_below(agent: RunningAgent, run: Run) -> None:
    notice = Notice("shop-app-1", "cannot be read", "write 1s", "healthagent.interval", "soon")
    agent.publish(report(replica(1), notices=(notice,)))
    assert f"warning {notice}" in run("status").out


def test_prints_the_agents_health_as_json(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1), replica(2), seen=FROZEN))
    ran = run("status", "--json")
    assert [target["phase"] for target in ran.json["targets"]] == ["ready", "not live"]
    assert ran.code == 1, "the exit code is the same with --json"


def test_shows_states_where_a_public_listener_tells_no_more(agent: RunningAgent, run: Run) -> None:
    agent.publish(report(replica(1), replica(2), seen=FROZEN))
    out = run("status", "--agent", agent.public_url).out
    assert "not live" in out
    assert "stopped" not in out


@pytest.mark.parametrize(("variable", "coloured"), [("FORCE_COLOR", True), ("", False)])
def test_is_coloured_where_asked_and_not_where_it_is_piped(
    agent: RunningAgent,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    coloured: bool,
) -> None:
    if variable:
        monkeypatch.setenv(variable, "1")
    agent.publish(report(replica(1)))
    assert ("\x1b[" in run("status").out) is coloured


def test_is_not_coloured_where_no_color_is_set(
    agent: RunningAgent, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    agent.publish(report(replica(1)))
    assert "\x1b[" not in run("status").out


@pytest.mark.parametrize(("term", "colours"), [("xterm", True), ("dumb", False)])
def test_colours_only_a_terminal_that_knows_colours(
    agent: RunningAgent, run: Run, monkeypatch: pytest.MonkeyPatch, term: str, colours: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("NO_COLOR", raising=False)
    agent.publish(report(replica(1)))
    assert ("\x1b[" in run("status").out) == colours


def test_folds_no_line_that_a_program_reads(agent: RunningAgent, run: Run) -> None:
    reason = "the container exited 1: " + "a long story " * 30
    seen = {"shop-app-1": {"process": conclusively_failed("exited", reason)}}
    agent.publish(report(replica(1), seen=seen))
    assert reason.strip() in run("status").out


def test_lets_no_escape_of_others_reach_the_terminal(agent: RunningAgent, run: Run) -> None:
    seen = {"shop-app-1": {"http": failed("status", "answered \x1b]0;owned\x07 500")}}
    agent.publish(report(replica(1), seen=seen))
    assert not {"\x1b", "\x07"} & set(run("status").out)


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the test's output be a terminal of 80 columns. No fixture: pytest changes the output
    between the setup of a test and its call."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")


def test_folds_the_reason_on_a_narrow_terminal(
    agent: RunningAgent, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch)
    seen = {"shop-app-1": {"http": failed("status", "one word after another " * 8)}}
    agent.publish(report(replica(1), seen=seen))
    table = run("status").out.split("\n\n")[0].splitlines()
    assert max(len(line) for line in table) <= 80
    column = table[0].index("REASON")
    assert {line[:column] for line in table[2:]} == {" " * column}, "each line below the first"


def test_a_reason_that_has_no_room_beside_a_long_name_stands_below_it(
    agent: RunningAgent, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch)
    name, reason = f"shop-{'app-' * 12}1", "one word after another " * 8
    agent.publish(report(replica(1, name=name), seen={name: {"http": failed("status", reason)}}))
    table = run("status").out.split("\n\n")[0].splitlines()
    assert table[2].startswith(name)
    assert all(re.fullmatch(r" {4}\S.{,75}", line) for line in table[3:])
    assert reason.strip() in " ".join(line.strip() for line in table[3:])


@pytest.mark.parametrize("before", range(1, 30))
@pytest.mark.parametrize(
    "name",
    [
        "docs/postgres-role.md",
        "HEALTHAGENT_POSTGRES_PASSWORD_FILE=/run/secrets/healthagent",
    ],
    ids=["at a hyphen", "where the column is narrower"],
)
def test_a_name_that_may_be_copied_is_not_broken(
    agent: RunningAgent, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, before: int
) -> None:
    narrow(monkeypatch)
    seen = {"shop-app-1": {"http": failed("status", f"{'x' * before} {name} says more")}}
    agent.publish(report(replica(1), seen=seen))
    out = run("status").out
    assert name in out
    assert max(map(len, out.splitlines())) <= 80
