"""A program that is run ends, well or with a clear error, and leaves no child behind."""

import pytest

from examples.quickstart.tour.condition import Seen, until
from provision.command import run
from provision.errors import CommandFailed
from provision.process import Process


def test_stdout_is_returned() -> None:
    assert run(["sh", "-c", "echo out; echo complaint >&2"], timeout=10) == "out\n"


def test_variables_are_added_to_those_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD", "old")
    output = run(["sh", "-c", "echo $OLD $NEW"], timeout=10, environment={"NEW": "new"})
    assert output == "old new\n"


def test_a_failure_names_command_code_and_last_words() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo it broke >&2; exit 7"], timeout=10)
    assert caught.value.status == 7
    assert "exited 7" in str(caught.value)
    assert "| it broke" in str(caught.value)


def test_a_program_that_does_not_exist_is_a_failure_too() -> None:
    with pytest.raises(CommandFailed, match="no-such-program"):
        run(["no-such-program"], timeout=10)


def test_a_late_program_is_ended_with_its_children() -> None:
    with pytest.raises(CommandFailed, match="passed its deadline") as caught:
        run(["sh", "-c", "sleep 600 & echo $$ $!; wait"], timeout=1)
    assert caught.value.status is None
    pids = caught.value.output.split()
    assert len(pids) == 2, "what it wrote before the deadline belongs to the error"
    for pid in map(int, pids):
        gone = lambda pid=pid: Seen(Process.of(pid) is None, f"process {pid}")  # noqa: E731
        until("whoever adopts an orphan has seen its end", gone, within=30)
