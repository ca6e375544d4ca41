"""An event of the Engine says at once what it can, and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from healthagent.core.observation import ContainerState
from healthagent.sources.docker.event import Event, after, parse

ID = "c" * 64
STARTED = 1000.0
RUNNING = ContainerState("running", pid=7, started_at=STARTED)


def told(**fields: Any) -> bytes:
    event = {"Type": "container", "Actor": {"ID": ID, "Attributes": {}}, "timeNano": 5, **fields}
    return json.dumps(event).encode()


def event(action: str, at: float = STARTED + 1, detail: str = "", **attributes: str) -> Event:
    return Event(ID, action, int(at * 1e9), detail, attributes)


def test_an_event_names_its_container_its_action_and_its_time() -> None:
    assert parse(told(Action="start")) == Event(ID, "start", 5, "", {})


def test_what_follows_the_colon_is_the_detail() -> None:
    heard = parse(told(Action="health_status: unhealthy"))
    assert heard is not None
    assert (heard.action, heard.detail) == ("health_status", "unhealthy")


def test_a_network_tells_which_container_joined_it() -> None:
    actor = {"ID": "n" * 64, "Attributes": {"container": ID, "name": "front"}}
    heard = parse(told(Type="network", Action="connect", Actor=actor))
    assert heard is not None
    assert heard.container == ID


def test_what_is_about_no_container_is_nothing() -> None:
    assert parse(told(Type="network", Action="create")) is None


def test_no_json_is_an_error() -> None:
    with pytest.raises(ValueError):
        parse(b"<html>")


def test_a_die_ends_the_container_with_its_exit_code() -> None:
    state = after(RUNNING, event("die", exitCode="137"))
    assert (state.status, state.pid, state.exit_code) == ("exited", 0, 137)
    assert state.finished_at == STARTED + 1


def test_a_die_from_before_the_last_start_is_old_news() -> None:
    assert after(RUNNING, event("die", at=STARTED - 0.5, exitCode="1")) == RUNNING


@pytest.mark.parametrize(("action", "status"), [("pause", "paused"), ("unpause", "running")])
def test_pause_and_unpause_count_at_once(action: str, status: str) -> None:
    assert after(RUNNING, event(action)).status == status


def test_dockers_health_status_is_shown() -> None:
    assert after(RUNNING, event("health_status", detail="unhealthy")).health == "unhealthy"


@pytest.mark.parametrize("action", ["start", "kill", "stop", "oom", "rename", "update"])
def test_what_an_event_alone_does_not_tell_waits_for_the_inspection(action: str) -> None:
    assert after(RUNNING, event(action)) == RUNNING
