"""A process is known by its pid and its start, so that no stranger is ever stopped."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from provision.process import Process


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def identity(process: "subprocess.Popen[bytes]") -> Process:
    found = Process.of(process.pid)
    assert found is not None, "a process that runs must be found"
    return found


def test_a_running_process_is_alive_and_stops_on_request(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    process = identity(sleeper)
    assert process.alive()
    process.stop(grace=10)
    assert sleeper.wait(timeout=10) == -15, "SIGTERM comes first"


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == b"ready\n"
        identity(stubborn).stop(grace=0.05)
        assert stubborn.wait(timeout=10) == -9


def test_a_zombie_is_gone() -> None:
    process = subprocess.Popen(["sleep", "60"])
    known = identity(process)
    known.stop(grace=10)
    assert not known.alive(), "nobody has waited for it yet, but it runs no more"
    process.wait()
    known.stop(grace=10)


@pytest.mark.parametrize("changed", [{"start": 1}, {"boot": "another"}])
def test_a_recycled_pid_is_left_alone(
    sleeper: "subprocess.Popen[bytes]", changed: dict[str, object]
) -> None:
    stranger = replace(identity(sleeper), **changed)  # type: ignore[arg-type]
    assert not stranger.alive()
    stranger.stop(grace=0)
    assert sleeper.poll() is None, "a process that took over the pid must not be signalled"
