"""``healthagent events``"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from healthagent.cli import events
from healthagent.cli.agent import Agent, Event, parse_events
from healthagent.core.verdict import failed
from tests.unit.cli.conftest import NOW, RESTARTED, Run, RunningAgent, replica, report

SICK = {"shop-app-2": {"http": failed("status", "GET /readyz answered 500")}}


@pytest.fixture
def changed(agent: RunningAgent) -> RunningAgent:
    agent.publish(report(replica(1), replica(2), at=NOW - 300))
    agent.publish(report(replica(1), replica(2), seen=SICK))
    return agent


def test_shows_what_the_agent_remembers_and_ends(changed: RunningAgent, run: Run) -> None:
    ran = run("events", "--no-follow")
    assert ran.code == 0
    last = ran.out.splitlines()[-2:]
    assert "shop-app-2 http  ok -> failed  status: GET /readyz answered 500" in last[0]
    assert "shop-app-2  ready -> not ready" in last[1]


def test_shows_what_was_done_among_what_changed(changed: RunningAgent, run: Run) -> None:
    changed.record(RESTARTED)
    last = run("events", "--no-follow").out.splitlines()[-1]
    assert last.endswith("restart shop-app-2 by supervisor  done  ready again")


def test_prints_one_event_a_line_as_json(changed: RunningAgent, run: Run) -> None:
    ran = run("events", "--no-follow", "--json", "--replay", "2")
    assert [json.loads(line)["after"] for line in ran.out.splitlines()] == ["failed", "not ready"]


def test_shows_one_replica_alone(changed: RunningAgent, run: Run) -> None:
    out = run("events", "--no-follow", "--json", "--target", "shop-app-1").out
    assert {json.loads(line)["target"] for line in out.splitlines()} == {"shop-app-1"}


@pytest.mark.parametrize("reference", ["2222", "2" * 12, "2" * 64])
def test_finds_the_replica_by_its_id_and_shows_its_acts_too(
    changed: RunningAgent, run: Run, reference: str
) -> None:
    changed.record(RESTARTED)
    ran = run("events", "--no-follow", "--json", "--target", reference)
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert {event["target"] for event in told} == {"shop-app-2"}
    assert told[-1]["event"] == "act"


def test_shows_a_replica_that_is_gone_by_its_name(changed: RunningAgent, run: Run) -> None:
    changed.publish(report(replica(1)))
    ran = run("events", "--no-follow", "--json", "--target", "shop-app-2")
    assert {json.loads(line)["target"] for line in ran.out.splitlines()} == {"shop-app-2"}


@pytest.mark.parametrize("follow", ["--follow", "--no-follow"])
def test_of_a_replica_that_nothing_is_kept_of_is_an_error(
    changed: RunningAgent, run: Run, follow: str
) -> None:
    ran = run("events", follow, "--target", "shop-ap-2")
    assert ran.code == 2
    assert "did you mean shop-app-2" in ran.err
    assert "nothing is kept of it, and no target is called" in ran.err


def test_begins_where_since_says(changed: RunningAgent, run: Run) -> None:
    assert run("events", "--no-follow", "--since", "1h").out == "", "the test's events are old"
    assert run("events", "--no-follow", "--since", "99999d").out != ""
    assert run("events", "--no-follow", "--since", "999999d").out != "", "before the first year"


def test_of_a_since_that_cannot_be_read_is_a_usage_error(changed: RunningAgent, run: Run) -> None:
    ran = run("events", "--since", "yesterday")
    assert (ran.code, "write 90s, 10m, 2h or 1d" in ran.err) == (2, True)


def _follow(agent: RunningAgent, *arguments: str) -> subprocess.Popen[str]:
    # A shell starts what is in the background with SIGINT ignored, and all that this starts too.
    heard = ("env", "--default-signal=INT")
    return subprocess.Popen(
        [*heard, sys.executable, "-m", "healthagent", "events", "--json", *arguments],
        env={**os.environ, "HEALTHAGENT_AGENT_URL": agent.wire_url, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def following(changed: RunningAgent) -> Iterator[subprocess.Popen[str]]:
    process = _follow(changed, "--replay", "1")
    yield process
    process.kill()
    process.communicate()


def test_follows_what_comes(changed: RunningAgent, following: subprocess.Popen[str]) -> None:
    assert following.stdout is not None
    assert json.loads(following.stdout.readline())["after"] == "not ready"
    changed.publish(report(replica(1), replica(2), at=NOW + 1))
    assert json.loads(following.stdout.readline())["after"] == "ok"


def test_ends_0_when_it_is_interrupted(following: subprocess.Popen[str]) -> None:
    assert following.stdout is not None
    following.stdout.readline()
    following.send_signal(2)
    assert following.wait(60) == 0


def test_goes_on_where_it_stood_after_the_stream_was_cut(
    changed: RunningAgent, following: subprocess.Popen[str]
) -> None:
    assert following.stdout is not None
    assert following.stderr is not None
    following.stdout.readline()
    changed.cut()
    assert "reaching for it again" in following.stderr.readline()
    changed.publish(report(replica(1), replica(2), at=NOW + 1))
    assert json.loads(following.stdout.readline())["after"] == "ok", "nothing is told twice"


def test_tells_what_happened_while_it_was_cut_off_though_it_had_seen_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def one(_: Agent, query: object, last_id: str) -> Iterator[Event]:
        asked.append(last_id)
        yield Event("old-7", {}) if len(asked) == 1 else Event("new-1", {"after": "failed"})

    monkeypatch.setattr(Agent, "events", one)
    monkeypatch.setattr(events, "FIRST_PAUSE", 0.0)
    first = next(events.unbroken(Agent("http://agent:9180"), {"replay": "0"}))
    assert (first.data, asked) == ({"after": "failed"}, ["", "old-7"])


class TestAStream:
    """The HTML standard's form, as far as the agent uses it."""

    def test_has_events_between_empty_lines(self) -> None:
        lines = [b"id: a-1\n", b"event: transition\n", b'data: {"n": 1}\n', b"\n"]
        (event,) = parse_events(iter(lines))
        assert (event.id, event.data) == ("a-1", {"n": 1})

    def test_keeps_alive_by_comments_that_say_nothing(self) -> None:
        assert list(parse_events(iter([b": keep-alive\n", b"\n"]))) == []

    def test_names_a_place_to_come_back_to_by_an_event_without_data(self) -> None:
        assert list(parse_events(iter([b"id: a-0\n", b"\n"]))) == [Event("a-0", {})]

    def test_that_is_cut_within_an_event_drops_it(self) -> None:
        assert list(parse_events(iter([b"id: a-1\n", b'data: {"n"']))) == []
