"""Requests in flight, told from kept-alive connections on real sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from healthagent.core.connections import SENDING
from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.sources.procfs import connections

AMPLE = 30.0


@dataclass
class Ends:
    """The two ends of a connection to ``port``."""

    port: int
    client: socket.socket
    server: socket.socket

    def ask(self, text: bytes = b"request") -> None:
        self.client.sendall(text)
        assert self.server.recv(100) == text

    def answer(self, text: bytes = b"answer") -> None:
        self.server.sendall(text)
        assert self.client.recv(100) == text

    @property
    def busy(self) -> bool:
        (found,) = connections.connections(self.port)
        return found.busy


@pytest.fixture(params=["127.0.0.1", "::1"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with (
        socket.create_server((request.param, 0), family=family) as listening,
        socket.create_connection(listening.getsockname()[:2]) as client,
    ):
        server, _ = listening.accept()
        with server:
            yield Ends(listening.getsockname()[1], client, server)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + AMPLE
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def settle() -> None:
    """Until an answer that was sent just now no longer counts as one that goes on."""
    time.sleep(SENDING + 0.1)


def test_a_new_connection_without_a_request_is_idle(ends: Ends) -> None:
    assert not ends.busy


def test_a_request_is_in_flight_until_it_is_answered(ends: Ends) -> None:
    ends.client.sendall(b"request")
    until(lambda: ends.busy)
    ends.server.recv(100)
    settle()
    assert ends.busy, "it is being worked on"
    ends.answer()
    until(lambda: not ends.busy)


def test_one_that_was_used_a_lot_is_idle_once_all_is_answered(ends: Ends) -> None:
    for _ in range(50):
        ends.ask()
        ends.answer()
    until(lambda: not ends.busy)
    settle()
    assert not ends.busy


def test_a_request_right_after_an_answer_is_in_flight(ends: Ends) -> None:
    """The kernel's clock is too coarse to tell which of the two came first."""
    for _ in range(20):
        ends.ask()
        ends.answer()
    ends.ask()
    settle()
    assert ends.busy
    ends.answer()
    until(lambda: not ends.busy)


def test_other_ports_do_not_count(ends: Ends) -> None:
    ends.ask()
    assert connections.connections(1) == []


def test_a_local_target_is_looked_at_from_here(ends: Ends) -> None:
    ends.ask()
    target = Target(id="static:app", name="app", service="app", port=ends.port)
    assert connections.busy(target, lambda _: None) == 1


def test_a_container_whose_network_the_agent_shares_is_looked_at_from_here(ends: Ends) -> None:
    """Beside a replica its network is the agent's, and its pid on the host is nobody's here."""
    ends.ask()
    lender = Target(id="0" * 64, name="app", service="app", port=ends.port)
    assert connections.busy(lender, lambda _: 2**22 + 1, own_id=lender.id) == 1


def test_without_a_port_or_a_process_nothing_can_be_counted() -> None:
    assert isinstance(connections.busy(Target("static:a", "a", "a"), lambda _: None), Unseen)
    container = Target(id="0" * 64, name="app", service="app", port=3000)
    assert isinstance(connections.busy(container, lambda _: None), Unseen)


def test_the_program_prints_the_number_again_and_again(ends: Ends) -> None:
    ends.ask()
    command = [sys.executable, "-I", "-m", connections.__name__, str(ends.port), "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "1\n"
        ends.answer()
        for line in program.stdout:
            if line == "0\n":
                break
        program.kill()
