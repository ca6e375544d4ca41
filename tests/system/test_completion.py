"""TAB in real shells, each on a terminal: what ``healthagent completion`` prints is theirs."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision import apt, state
from provision.errors import Unavailable
from provision.progress import Progress
from tests.system.client import WITHIN
from tests.unit.cli.conftest import RunningAgent, report
from tests.unit.cli.conftest import replica as one

pytestmark = pytest.mark.system

BEGUN = {
    "bash": (["--norc", "--noprofile", "-i"], "source {folder}/completion"),
    "zsh": (["-f", "-i"], "fpath=({folder} $fpath); autoload -Uz compinit; compinit -D -u"),
    "fish": (["--no-config", "-i"], "source {folder}/completion"),
}
"""How each is started with nothing of whoever runs the tests, and is given its completion."""

FILES = {"zsh": "_healthagent_completion"}
"""Where `healthagent completion --help` puts it, where the name matters."""

COMPLETED = {"dra": "drain ", "top --int": "--interval "}
NAMED = {"explain shop": "shop-app-1 ", "roll ": "roll app "}
"""What is typed before TAB, and what then stands there: by itself, and as the agent tells it."""

TAB, CTRL_C = "\t", "\x03"
IMPATIENT = 5.0
"""Seconds after which TAB is typed again: a busy machine's agent may not answer in time."""

PROGRAMS = Path(sys.executable).parent


class Shell:
    """One that somebody types to."""

    def __init__(self, end: int) -> None:
        self._end = io.FileIO(end, "r+")
        self.output = ""

    @property
    def shown(self) -> str:
        """What it wrote since something was typed, without colours and the like."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.output)

    def type(self, keys: str) -> None:
        self.output = ""
        self._end.write(keys.encode())

    def hang_up(self) -> None:
        self._end.close()

    def run(self, command: str) -> None:
        """Type a command and wait for its end."""
        self.type(f"{command}; echo o''ver\r")
        self.wait_for("over")

    def wait_for(self, words: str, retyped: str = "") -> None:
        """Wait until that is shown; where it takes long, type once more what is to be retyped."""
        until = time.monotonic() + WITHIN
        again = time.monotonic() + IMPATIENT
        while words not in self.shown:
            assert time.monotonic() < until, f"no {words!r} in {self.output!r}"
            if select.select([self._end], [], [], 0.1)[0]:
                self.output += os.read(self._end.fileno(), 65536).decode(errors="replace")
            if time.monotonic() > again:
                self._end.write(retyped.encode())
                again += IMPATIENT


@pytest.fixture(params=list(BEGUN))
def program(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    progress = Progress()
    try:
        if shutil.which(name) is None:
            with state.exclusive(progress), progress.step(name) as step:
                apt.install(step, name)
    except Unavailable as error:
        pytest.skip(f"no {name}: {error}")
    return name


@contextmanager
def shell(program: str, folder: Path, agent: str) -> Iterator[Shell]:
    """A shell that completes ``healthagent``, and asks that agent for names."""
    printed = subprocess.run(
        [PROGRAMS / "healthagent", "completion", program], capture_output=True, check=True
    )
    (folder / FILES.get(program, "completion")).write_bytes(printed.stdout)
    flags, given = BEGUN[program]
    end, its_end = pty.openpty()
    started = subprocess.Popen(
        ["setsid", "--ctty", "env", "--default-signal", program, *flags],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        env={
            **os.environ,
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TERM": "xterm",
            "HEALTHAGENT_AGENT_URL": agent,
        },
    )
    os.close(its_end)
    typed_to = Shell(end)
    try:
        typed_to.run(given.format(folder=folder))
        yield typed_to
    finally:
        started.kill()
        started.wait()
        typed_to.hang_up()


@pytest.fixture
def agent() -> Iterator[RunningAgent]:
    running = RunningAgent()
    running.start()
    running.publish(report(one(1)))
    yield running
    running.stop()


def test_it_completes_commands_flags_and_names(
    program: str, tmp_path: Path, agent: RunningAgent
) -> None:
    with shell(program, tmp_path, agent.url) as at:
        for typed, becomes in (COMPLETED | NAMED).items():
            at.type(f"healthagent {typed}{TAB}")
            at.wait_for(becomes, retyped=TAB if typed in NAMED else "")
            at.type(CTRL_C)
            at.run("true")


def test_an_agent_that_is_frozen_is_no_hindrance_and_may_be_interrupted(
    program: str, tmp_path: Path
) -> None:
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        frozen.settimeout(WITHIN)
        with shell(program, tmp_path, "http://127.0.0.1:{1}".format(*frozen.getsockname())) as at:
            at.type(f"healthagent explain shop{TAB}")
            asked, _ = frozen.accept()
            at.type(CTRL_C)
            at.run("true")
            asked.close()
            assert "Traceback" not in at.output
