"""Processes on this machine, for where there is no engine: none outlives whoever started it."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from healthagent.http_get import get
from provision import owner
from provision.errors import ProvisionError, Unavailable

_POLL: Final = 0.02
_STOP: Final = 10.0
_ANSWER: Final = 1.0
_PORTS: Final = (16_000, 32_000)


class LocalProcess:
    """A program that this thread started, with its output in a file.

    The kernel sends it ``on_orphaned`` when the thread that started it ends (PR_SET_PDEATHSIG,
    prctl(2)), so that a test that is killed leaves no server behind. Start it from a thread that
    lives as long as the program should.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        on_stop: signal.Signals = signal.SIGTERM,
        on_orphaned: signal.Signals = signal.SIGKILL,
    ) -> None:
        self._log = log
        self._name = Path(command[0]).name
        self._on_stop = on_stop
        # setpriv(1) becomes the program, so the pid is the program's own.
        starter = ["setpriv", "--pdeathsig", on_orphaned.name.removeprefix("SIG")]
        with log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    [*starter, *becoming(user), "--", *map(str, command)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=directory,
                    env=os.environ | dict(environment or {}),
                )
            except FileNotFoundError as error:
                raise Unavailable(
                    f"{error.filename} is missing", "install Debian's util-linux"
                ) from error

    @property
    def pid(self) -> int:
        """The program's pid."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Return once ``ready()`` holds.

        Raises ProvisionError when the program ends first, or ``timeout`` seconds pass; the program
        is stopped then.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            status = self._process.poll()
            if status is not None or time.monotonic() > deadline:
                self.stop()
                ending = f"not ready after {timeout:.0f} s" if status is None else f"ended {status}"
                lines = self._log.read_text(errors="replace").strip().splitlines()[-5:]
                said = "\n".join(f"  | {line}" for line in lines)
                raise ProvisionError(
                    f"{self._name}: {ending}\n{said}", "its last words say what it needs"
                )
            time.sleep(_POLL)

    def wait(self, timeout: float) -> int:
        """Its exit code once it has ended, or the negative number of the signal that ended it.

        Raises subprocess.TimeoutExpired after ``timeout`` seconds.
        """
        return self._process.wait(timeout)

    def stop(self) -> None:
        """End it: its own signal first, SIGKILL 10 s later; harmless when it has ended."""
        if self.running:
            self._process.send_signal(self._on_stop)
            # A frozen process takes the signal only once it goes on.
            self._process.send_signal(signal.SIGCONT)
            try:
                self._process.wait(_STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


def becoming(user: str | None) -> list[str]:
    """Options for setpriv(1) to run as ``user``; none for None."""
    if user is None:
        return []
    entry = pwd.getpwnam(user)
    return [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody held a moment ago.

    It is below those that Linux gives to connections going out (``ip_local_port_range``, 32768 and
    up), so none of them takes it before the program that it is for; and it is drawn by lot, so that
    two processes that ask at a time are hardly given the same.
    """
    while True:
        port = random.randrange(*_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def answers(url: str) -> bool:
    """Whether a GET is answered with 200: for :meth:`LocalProcess.wait_until`."""
    try:
        return get(url, _ANSWER).status == 200
    except OSError:
        return False


def new_folder(purpose: str) -> Path:
    """A new folder below the system's for temporary files; its maker removes it.

    The folders of makers that were killed are removed here. Other users may pass through it to
    what they own inside, and list nothing.
    """
    parent = Path(tempfile.gettempdir())
    for old in parent.glob("healthagent-*"):
        if owner.is_abandoned(old.name):
            shutil.rmtree(old, ignore_errors=True)
    folder = parent / owner.new_name(purpose)
    folder.mkdir(mode=0o711)
    return folder
