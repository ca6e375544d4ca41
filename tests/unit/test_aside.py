"""Work that may hang, done where it can hold up nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from healthagent.aside import aside

ENDS = """
import threading
from healthagent.aside import begin
came, go = threading.Event(), threading.Event()
def work():
    came.set()
    go.wait()
    print("done", flush=True)
begin("works", work)
came.wait()
{last}
"""


def ended(last: str) -> subprocess.CompletedProcess[str]:
    """A program that leaves a thread at work when it comes to its own end."""
    program = [sys.executable, "-c", ENDS.format(last=last)]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


def test_the_end_of_the_program_lets_a_thread_come_to_its_own() -> None:
    told = ended("go.set()")
    assert (told.returncode, told.stdout) == (0, "done\n"), "it was taken down while it ran"


def test_the_end_of_the_program_does_not_wait_for_one_that_hangs() -> None:
    told = ended("")
    assert (told.returncode, told.stdout) == (0, ""), told.stderr


async def test_what_fails_aside_fails_where_it_is_awaited() -> None:
    with pytest.raises(ZeroDivisionError):
        await aside("fails", lambda: 1 / 0)
