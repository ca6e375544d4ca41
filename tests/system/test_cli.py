"""The command line against live agents: what people run at 3 a.m."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.quickstart.tour.condition import Seen, until
from provision.local import LocalProcess, free_port
from tests.system.client import WITHIN
from tests.system.quickstart import Quickstart


def healthagent(*arguments: str, agent: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "healthagent", *arguments, "--agent", agent]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_status_of_a_healthy_stack_names_all_and_exits_0(stack: Quickstart) -> None:
    result = healthagent("status", agent=stack.agent.url)

    assert result.returncode == 0, result.stdout + result.stderr
    assert all(replica in result.stdout for replica in stack.replicas)
    assert "3 of 3 ready" in result.stdout
    assert "\x1b" not in result.stdout, "no colour where no terminal is"


def test_a_frozen_replica_shows_in_status_explain_check_and_events(
    stack: Quickstart, tmp_path: Path
) -> None:
    frozen, url = stack.replicas[0], stack.agent.url

    with following(url, tmp_path / "events") as events, stack.frozen(frozen):

        def told() -> Seen:
            seen = [json.loads(line) for line in events.read_text().splitlines()]
            out = [e for e in seen if e["target"] == frozen and e["after"] == "not live"]
            return Seen(bool(out), f"{len(seen)} events")

        until("`healthagent events` tells that it is not live", told, within=WITHIN)
        status = healthagent("status", agent=url)
        explain = healthagent("explain", frozen, agent=url)
        check = healthagent("check", "process", frozen, agent=url)

    assert status.returncode == 1, "somebody is not ready"
    assert "2 of 3 ready" in status.stdout
    assert explain.returncode == 1
    assert "process stopped" in explain.stdout
    assert "kill -CONT" in explain.stdout, "it says what to do"
    assert "It gets no traffic" in explain.stdout
    assert (check.returncode, "stopped" in check.stdout) == (1, True), check.stdout


@contextmanager
def following(agent: str, output: Path) -> Iterator[Path]:
    """With ``healthagent events --json`` writing to a file, from the first event on."""
    command = [sys.executable, "-m", "healthagent", "events", "--json", "--replay", "1"]
    process = LocalProcess([*command, "--agent", agent], log=output)
    try:
        process.wait_until(lambda: output.stat().st_size > 0, timeout=10)
        yield output
    finally:
        process.stop()


def test_the_budget_of_more_replicas_than_fit_exits_1(stack: Quickstart) -> None:
    three = healthagent("budget", "--replicas", "app=3", agent=stack.agent.url)
    nine = healthagent("budget", "--replicas", "app=9", agent=stack.agent.url)

    assert three.returncode == 0, three.stdout + three.stderr
    assert nine.returncode == 1, "9 replicas of 8 connections do not fit into 37"
    assert "too many" in nine.stdout


def test_an_agent_that_cannot_be_reached_exits_3_and_says_where_it_looked() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"

    result = healthagent("status", agent=nowhere)

    assert result.returncode == 3
    assert nowhere in result.stderr
    assert "--agent" in result.stderr, "the message names the remedy"


def test_status_runs_inside_the_agents_own_container(stack: Quickstart) -> None:
    shown = stack.engine.docker("exec", stack.container("agent"), "healthagent", "status")

    assert "3 of 3 ready" in shown
