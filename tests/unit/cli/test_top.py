"""``healthagent top``, on a terminal of its own."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from healthagent.core.notice import Notice
from healthagent.core.verdict import failed
from tests.unit.cli.conftest import RESTARTED, Run, RunningAgent, replica, report

WITHIN = 30.0
SIZE = (24, 100)
WITH_A_SHELL = ("sh", "-mc", '"$@"; read answer; fg', "sh")
"""One that goes on with the command when something is typed to it."""

TYPED_TO_NOBODY = ("sh", "-c", 'exec "$@" </dev/null', "sh")
ON_A_TERMINAL = ("setsid", "--ctty", "env", "--default-signal", "-u", "LINES", "-u", "COLUMNS")
"""With nothing that the tests' own surroundings left: a shell's background ignores SIGINT, and
pytest-xdist has a size of its own."""

BEGUN, OVER = "\x1b[?1049h", "\x1b[?1049l"
CTRL_Z = "\x1a"
FROZEN = {"shop-app-2": {"event_loop": failed("stopped", "pid 42 is stopped", pid=42)}}


class Terminal:
    """What a command draws, and what is typed to it."""

    def __init__(self, command: subprocess.Popen[bytes], end: int) -> None:
        self.command = command
        self._end = io.FileIO(end, "r+")
        self.output = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        self._end.write(keys.encode())

    def rest(self) -> str:
        """All that an ended command wrote."""
        while select.select([self._end], [], [], 0)[0]:
            try:
                self.output += os.read(self._end.fileno(), 65536).decode()
            except OSError:  # Linux: no more will come
                break
        return self.output

    def hang_up(self) -> None:
        self._end.close()

    def lines(self) -> list[str]:
        """The last picture of which all has come that is above its last line."""
        *_, last = ["", *(drawn for drawn in self.output.split("\x1b[H") if "\x1b[J" in drawn)]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last).split("\r\n")

    def wait_for(self, words: str) -> list[str]:
        return self.wait_until(lambda: words in "\n".join(self.lines()), words)

    def wait_for_raw(self, sequence: str) -> None:
        self.wait_until(lambda: sequence in self.output, repr(sequence))

    def wait_until(self, holds: Callable[[], bool], what: str) -> list[str]:
        until = time.monotonic() + WITHIN
        while not holds():
            assert time.monotonic() < until, f"no {what} in {self.lines()}"
            if select.select([self._end], [], [], 0.1)[0]:
                self.output += os.read(self._end.fileno(), 65536).decode()
        return self.lines()

    def is_cooked(self) -> bool:
        """Whether the terminal gathers lines and echoes, as a shell leaves it."""
        flags = termios.tcgetattr(self._end)[3]
        return bool(flags & termios.ICANON and flags & termios.ECHO)


@contextmanager
def top(
    agent: RunningAgent, *arguments: str, url: str = "", shell: Sequence[str] = ()
) -> Iterator[Terminal]:
    """On the terminal that controls it, since nobody else learns of a window's new size."""
    end, its_end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    command = subprocess.Popen(
        [*ON_A_TERMINAL, *shell, sys.executable, "-m", "healthagent", "top", *arguments],
        stdin=its_end,
        stdout=its_end,
        stderr=subprocess.PIPE,
        env={**os.environ, "HEALTHAGENT_AGENT_URL": url or agent.url, "TERM": "xterm"},
    )
    os.close(its_end)
    terminal = Terminal(command, end)
    try:
        yield terminal
    finally:
        command.kill()
        command.communicate()
        terminal.hang_up()


def test_shows_the_worst_first_and_below_it_what_happened(agent: RunningAgent) -> None:
    agent.publish(report(replica(1), replica(2)))
    agent.publish(report(replica(1), replica(2), seen=FROZEN))
    agent.record(RESTARTED)
    with top(agent) as terminal:
        lines = terminal.wait_for("restart shop-app-2 by supervisor")
    text = "\n".join(lines)
    assert lines[0].startswith("1 of 2 ready")
    assert text.index("shop-app-2   not live") < text.index("shop-app-1   ready")
    assert text.index("shop-app-1   ready") < text.index("restart shop-app-2")


def test_follows_what_changes(agent: RunningAgent) -> None:
    agent.publish(report(replica(1), replica(2)))
    with top(agent, "-n", "0.1") as terminal:
        terminal.wait_for("2 of 2 ready   ")
        agent.publish(report(replica(1), replica(2), seen=FROZEN))
        terminal.wait_for("event_loop stopped: pid 42 is stopped")


@pytest.mark.parametrize("keys", ["q", "qq", "\x1b"])
def test_a_key_ends_it_and_leaves_the_terminal_as_it_was(agent: RunningAgent, keys: str) -> None:
    agent.publish(report(replica(1)))
    with top(agent) as terminal:
        terminal.wait_for("q quits")
        assert not terminal.is_cooked(), "a key counts at once, and is not echoed"
        terminal.type(keys)
        terminal.wait_for_raw(OVER)
        assert terminal.command.wait(WITHIN) == 0
        assert terminal.is_cooked()


def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(agent: RunningAgent) -> None:
    agent.publish(report(replica(1)))
    ends = {signal.SIGTERM: 143, signal.SIGQUIT: 131, signal.SIGHUP: 129, signal.SIGINT: 0}
    for number, code in ends.items():
        with top(agent) as terminal:
            terminal.wait_for("q quits")
            terminal.command.send_signal(number)
            terminal.wait_for_raw(OVER)
            assert terminal.command.wait(WITHIN) == code
            assert terminal.is_cooked()


def test_a_terminal_that_goes_away_ends_it_without_a_fault(agent: RunningAgent) -> None:
    agent.publish(report(replica(1)))
    with top(agent, "-n", "60") as terminal:
        terminal.wait_for("q quits")
        terminal.hang_up()
        assert terminal.command.wait(WITHIN) == 129
        assert terminal.command.stderr is not None
        assert terminal.command.stderr.read() == b""


def test_the_shell_gets_its_terminal_while_it_is_stopped(agent: RunningAgent) -> None:
    agent.publish(report(replica(1)))
    with top(agent, "-n", "60", shell=WITH_A_SHELL) as terminal:
        terminal.wait_for("q quits")
        terminal.type(CTRL_Z)
        terminal.wait_for_raw(OVER)
        terminal.wait_until(terminal.is_cooked, "terminal as it was")
        terminal.output = ""
        terminal.type("\n")
        terminal.wait_for_raw(BEGUN)
        terminal.wait_for("q quits")  # at once, and not at the next look
        terminal.type("q")
        assert terminal.command.wait(WITHIN) == 0


def test_goes_on_where_no_shell_could_let_it_after_a_stop(agent: RunningAgent) -> None:
    agent.publish(report(replica(1)))
    with top(agent) as terminal:
        terminal.wait_for("q quits")
        terminal.type(CTRL_Z)
        terminal.wait_for_raw(OVER + BEGUN)
        terminal.type("q")
        assert terminal.command.wait(WITHIN) == 0


def test_a_key_draws_once_more_and_asks_nobody(agent: RunningAgent) -> None:
    agent.publish(report(replica(1)))
    with top(agent, "-n", "60", url=agent.wire_url) as terminal:
        terminal.wait_for("q quits")
        agent.close_wire()
        terminal.output = ""
        terminal.type("x")
        terminal.wait_for("1 of 1 ready")


def test_where_nobody_can_type_it_says_what_ends_it(agent: RunningAgent) -> None:
    agent.publish(report(replica(1)))
    with top(agent, shell=TYPED_TO_NOBODY) as terminal:
        terminal.wait_for("Ctrl-C quits")


def test_what_does_not_fit_is_counted_and_never_runs_over(agent: RunningAgent) -> None:
    agent.publish(report(*[replica(number) for number in range(1, 40)]))
    with top(agent, "-n", "60") as terminal:
        lines = terminal.wait_for("lines more in a taller window")
        assert len(lines) <= SIZE[0]
        terminal.resize(60, 100)
        terminal.wait_for("shop-app-39   ready")
        terminal.resize(3, 30)
        terminal.wait_until(lambda: len(terminal.lines()) <= 3, "picture of three lines")


def test_a_fleet_taller_than_the_window_hides_nothing_that_is_not_well(agent: RunningAgent) -> None:
    notice = Notice("shop-app-1", "cannot be read", "write 1s", "healthagent.interval", "soon")
    fleet = [replica(number, quorum=40) for number in range(1, 40)]
    agent.publish(report(*fleet, notices=(notice,)))
    with top(agent) as terminal:
        terminal.wait_for("39 of 39 ready, quorum 40")
        lines = terminal.wait_for(f"warning {notice}")
        assert len(lines) <= SIZE[0]
        agent.late = 11.0
        terminal.wait_for("the agent is stuck")


def test_a_line_as_wide_as_the_window_keeps_its_last_character(agent: RunningAgent) -> None:
    agent.publish(report(replica(1)))
    with top(agent, "-n", "60") as terminal:
        terminal.wait_for("q quits")
        assert not re.search(r"[^\n]\x1b\[[KJ]", terminal.output.partition("\x1b[H")[2])


def test_a_reason_is_told_whole_in_a_narrow_window(agent: RunningAgent) -> None:
    reason = "one word after another and so on " * 8 + "to its end"
    agent.publish(report(replica(1)))
    agent.publish(report(replica(1), seen={"shop-app-1": {"http": failed("status", reason)}}))
    with top(agent, "-n", "60") as terminal:
        terminal.resize(50, 60)
        lines = terminal.wait_until(
            lambda: "\n".join(terminal.lines()).count("to its end") == 2, "end of it"
        )
    assert max(map(len, lines)) <= 60


def test_an_agent_that_falls_silent_is_told_and_what_it_said_stays(agent: RunningAgent) -> None:
    agent.publish(report(replica(1)))
    with top(agent, "-n", "0.1", url=agent.wire_url) as terminal:
        terminal.wait_for("q quits")
        agent.close_wire()
        lines = terminal.wait_for("silent since 2023-11-14")
        assert any("shop-app-1   ready" in line for line in lines)


def test_without_an_agent_it_ends_3_and_draws_nothing() -> None:
    with top(RunningAgent(), url="http://127.0.0.1:9") as terminal:
        assert terminal.command.wait(WITHIN) == 3
        assert terminal.command.stderr is not None
        assert b"no agent answers" in terminal.command.stderr.read()
        assert BEGUN not in terminal.rest()


def test_without_a_terminal_it_says_what_to_use_instead(agent: RunningAgent, run: Run) -> None:
    ran = run("top")
    assert (ran.code, "healthagent status" in ran.err) == (2, True)
