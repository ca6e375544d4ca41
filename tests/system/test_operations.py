"""Draining and rolling the quickstart's real replicas behind the real Traefik."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provision import app
from tests.system.acting import Acted, act, acting, ended
from tests.system.load import Load
from tests.system.quickstart import Quickstart
from tests.system.readme import SHOWN

SLOW_MS = 5000
"""As long as this request takes, so long at least a drain must take."""

SOON = "healthagent.grace=500ms"
"""With this a replica that does not come back is given up soon."""

QUICK = ("--env", "DRAIN_MS=100")
"""The app serves on after SIGTERM by itself; behind a drain that is time lost."""


(ROLL,) = SHOWN
"""The roll that the README shows."""


@pytest.fixture
def image(quickstart: Quickstart) -> Iterator[str]:
    """The app's image under another name: what there is to roll to."""
    name = f"shop:{quickstart.project}"
    quickstart.engine.docker("tag", app.TAG, name)
    yield name
    quickstart.engine.docker("rmi", name)


@pytest.fixture(scope="module", autouse=True)
def as_it_was(quickstart: Quickstart) -> Iterator[None]:
    """Compose makes its replicas anew, since the tests change their settings."""
    yield
    quickstart.compose.recreate("app")


def do(stack: Quickstart, *command: str) -> Acted:
    return act(stack.engine, stack.container("agent"), *command)


@contextmanager
def drained(stack: Quickstart, replica: str) -> Iterator[Acted]:
    """With a replica out of the router, and back in it whatever becomes of the test."""
    try:
        yield do(stack, "drain", replica, "--why", "a test")
    finally:
        back = do(stack, "undrain", replica)
    assert back.code == 0, str(back)


def ids(stack: Quickstart) -> dict[str, str]:
    """The container of each replica, which changes when it is replaced."""
    return {replica: str(stack.engine.inspect(replica)["Id"]) for replica in stack.replicas}


def executors(stack: Quickstart) -> set[str]:
    """The executors that DBOS has registered, by what their connections are called."""
    found = stack.query(
        "SELECT DISTINCT application_name FROM pg_stat_activity "
        "WHERE query = 'LISTEN dbos_streams_channel;'"
    )
    return {str(name) for (name,) in found}


def likened(line: str) -> str:
    """A step as the README shows it, without its time, whose it is, and the id of what is new."""
    said = " ".join(line.split()[1:])
    return re.sub(r"\b[0-9a-f]{12}\b", "ID", re.sub(r"shop-app-\d", "shop-app-N", said))


def shown(acted: Acted, stack: Quickstart) -> set[str]:
    """The steps of an act as they would read there."""
    lines = (f"now {step['target'] or step['service']} {step['text']}" for step in acted.steps)
    return {likened(line.replace(stack.project, "shop")) for line in lines}


class SlowRequest:
    """One request to a replica that takes ``SLOW_MS``; it is on its way once this exists."""

    def __init__(self, address: str) -> None:
        self._socket = socket.create_connection((address, 3000), timeout=30)
        self._socket.sendall(b"GET /wait/%d HTTP/1.1\r\nHost: app\r\n\r\n" % SLOW_MS)

    def is_answered(self) -> bool:
        """Whether the answer is there now."""
        self._socket.setblocking(False)
        try:
            return self._socket.recv(4096).startswith(b"HTTP/1.1 200")
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._socket.close()


def test_a_drain_waits_for_a_request_and_for_no_kept_alive_connection(stack: Quickstart) -> None:
    replica = stack.replicas[0]
    idle = http.client.HTTPConnection(stack.address(replica), 3000, timeout=30)
    idle.request("GET", "/livez")
    assert idle.getresponse().read() == b"ok\n"
    kept_alive = idle.sock
    slow = SlowRequest(stack.address(replica))
    try:
        with drained(stack, replica) as acted:
            assert slow.is_answered(), f"the drain did not wait for it:\n{acted}"
            assert (acted.code, acted.steps[-1]["outcome"]) == (0, "done"), str(acted)
            assert stack.server(replica) not in stack.agent.routed()
            idle.request("GET", "/livez")
            assert idle.getresponse().status == 200, "it lives on"
            assert idle.sock is kept_alive, "the drain left the idle connection as it was"
            stack.wait_until_served_by(set(stack.replicas) - {replica})
            told = stack.agent.targets()[replica]
            assert (told["phase"], told["drain"]["why"]) == ("drained", "a test")
        stack.wait_until_served_by(stack.replicas)
    finally:
        slow.close()
        idle.close()


def test_a_roll_stops_at_what_does_not_come_back_and_gone_on_with_loses_no_request(
    stack: Quickstart, image: str
) -> None:
    agent, mark = stack.container("agent"), stack.agent.mark()
    roll = ROLL.command.partition(" healthagent ")[2].replace("shop:2", image).split()
    before, registered = ids(stack), executors(stack)
    assert len(registered) == len(stack.replicas)
    first, *others = stack.replicas
    with Load(stack.url) as load:
        broken = do(stack, "roll", "app", "--env", "APP_VERSION=", "--label", SOON)
        stopped = ids(stack)
        cured = ("--env", "APP_VERSION=1.1.0", "--label", "healthagent.grace=30s", *QUICK)
        with acting(stack.engine, agent, *roll, *cured) as rolling:
            assert rolling.stdout is not None
            line = rolling.stdout.readline()
            second = do(stack, "roll", "app")
            acted = ended(rolling, line)

    assert (broken.code, broken.steps[-1]["target"]) == (1, first), str(broken)
    for said in (
        f"{first} is not back", f"{' and '.join(others)} were left as they are", "roll it again",
    ):  # fmt: skip
        assert said in broken.last
    assert stopped[first] != before[first]
    assert [stopped[other] for other in others] == [before[other] for other in others]

    assert (acted.code, acted.last) == (0, "3 of 3 replicas are done"), str(acted)
    promised = {likened(line) for line in ROLL.prints if "1 in flight" not in line}
    assert shown(acted, stack) >= promised
    assert {stack.engine.inspect(replica)["Config"]["Image"] for replica in stack.replicas} == {
        image
    }
    assert (second.code, second.steps[-1]["outcome"]) == (1, "refused"), str(second)
    assert f"is at app already (roll of app, act {acted.steps[0]['act']})" in second.last
    lost = load.lost_in_spite_of(stack.agent.since(mark))
    assert lost == {}, f"{load.answers} {load.said}\n{broken}\n{acted}"
    assert load.answers["200"] > 0

    after = ids(stack)
    assert not set(after.values()) & {*before.values(), *stopped.values()}, "each was replaced"
    newer = {name.replace("_1.0.0", "_1.1.0") for name in registered}
    assert newer != registered
    assert executors(stack) == newer, "each executor came back under its old id, and a new version"
    stack.compose.up()
    assert ids(stack) == after, "Compose takes them for its own, and for up to date"


def test_what_would_break_the_quorum_or_is_not_there_is_refused(stack: Quickstart) -> None:
    """The quickstart's quorum is 2 of 3."""
    one, two, _ = stack.replicas
    with drained(stack, one) as acted:
        assert acted.code == 0, str(acted)
        refused = do(stack, "drain", two)
    assert (refused.code, refused.steps[-1]["outcome"]) == (1, "refused"), str(refused)
    assert "its quorum is 2" in refused.last
    rehearsed = do(stack, "rollback", "app", "--image", "nobody/nothing:1", "--rehearse")
    assert rehearsed.code == 1
    assert "there is no image nobody/nothing:1" in rehearsed.last
    without_probe = do(stack, "rollback", "app", "--image", "postgres:15-bookworm", "--rehearse")
    assert "has no /healthprobe" in without_probe.last
