"""Keeps the local stack up when the tour has ended: a process of its own that owns all the others.

``python -m examples.quickstart.tour.keeper`` brings the stack up, tells its progress on stderr and
closes that when it is done; from then on it does what it is told over a unix socket, until SIGTERM.
:func:`start`, :func:`find` and :class:`KeptStack` are for the tour.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from multiprocessing.connection import Client, Listener
from typing import Any, Final

from examples.quickstart.tour.local import LocalStack
from provision.errors import ProvisionError
from provision.local import new_folder
from provision.paths import ROOT, STATE
from provision.process import Process

_FILE: Final = STATE / "quickstart-local.json"
_LOG: Final = STATE / "quickstart-local.log"
_STOP: Final = 30.0


@dataclass(frozen=True, slots=True)
class KeptStack:
    """The stack of a keeper, seen from another process."""

    keeper: Process
    socket: str

    @property
    def url(self) -> str:
        return str(self._ask("url"))

    @property
    def agent_url(self) -> str:
        return str(self._ask("agent_url"))

    @property
    def incarnations(self) -> dict[str, str]:
        return dict(self._ask("incarnations"))

    def freeze(self, replica: str) -> None:
        self._ask("freeze", replica)

    def thaw(self, replica: str) -> None:
        self._ask("thaw", replica)

    def stop_database(self) -> None:
        self._ask("stop_database")

    def start_database(self) -> None:
        self._ask("start_database")

    def down(self) -> None:
        """End the keeper, and with it everything it keeps."""
        self.keeper.stop(_STOP)
        _FILE.unlink(missing_ok=True)

    def _ask(self, name: str, *arguments: str) -> Any:
        with Client(self.socket, "AF_UNIX") as connection:
            connection.send((name, arguments))
            answer, fault = connection.recv()
        if fault is not None:
            raise ProvisionError(*fault)
        return answer


def find() -> KeptStack | None:
    """The stack that is kept on this machine; None where there is none."""
    try:
        known = json.loads(_FILE.read_text())
    except FileNotFoundError:
        return None
    stack = KeptStack(Process(**known["keeper"]), known["socket"])
    return stack if stack.keeper.alive() else None


def start() -> KeptStack:
    """Start a keeper, show its progress, and return once its stack is up.

    Raises ProvisionError when it ends instead.
    """
    STATE.mkdir(parents=True, exist_ok=True)
    _FILE.unlink(missing_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as keeper:
        assert keeper.stderr is not None
        for line in keeper.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
        # The end of its stderr means that it is done, one way or the other.
        stack = find()
        if stack is None:
            raise ProvisionError(
                f"the local stack did not come up (exit {keeper.wait()})", "see the lines above"
            )
        # It is meant to go on: do not wait for it at the end of this block.
        keeper.returncode = 0
    return stack


def main() -> None:
    """Keep the stack until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder = new_folder("keeper")
    path = str(folder / "socket")
    me = Process.myself()
    try:
        with LocalStack() as stack, Listener(path, "AF_UNIX") as listener:
            _FILE.write_text(json.dumps({"keeper": asdict(me), "socket": path}))
            _close_stderr()
            while True:
                # One thread does it all: what it starts would end with any other (local.py).
                with contextlib.suppress(EOFError, ConnectionError), listener.accept() as caller:
                    name, arguments = caller.recv()
                    caller.send(_do(stack, name, arguments))
    except ProvisionError as error:
        sys.exit(str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _do(stack: LocalStack, name: str, arguments: tuple[str, ...]) -> tuple[Any, Any]:
    """The answer and no fault, or no answer and the fault's reason and remedy."""
    try:
        found = getattr(stack, name)
        return (found(*arguments) if callable(found) else found), None
    except ProvisionError as error:
        return None, (error.reason, error.remedy)


def _close_stderr() -> None:
    log = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, sys.stderr.fileno())
    os.close(log)


if __name__ == "__main__":
    main()
