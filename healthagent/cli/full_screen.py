"""A terminal's whole screen, for a command that shows a picture which changes.

The sequences are xterm's (ctlseqs, "The Alternate Screen Buffer", DECTCEM, DECAWM), which every
terminal of today knows.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from healthagent.errors import HealthagentError

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
END = "\x04"
"""Ctrl-D, and what stands for a terminal that is gone."""

_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class FullScreen:
    """Draws, and tells what was typed. ``typed`` is the terminal's descriptor, ``None`` where
    nobody can type; whatever can be read from ``woken`` ends a wait."""

    def __init__(self, typed: int | None, woken: int) -> None:
        self._typed = typed
        self._woken = woken

    @property
    def quits(self) -> str:
        """How to end it."""
        return "Ctrl-C quits" if self._typed is None else "q quits"

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines in place of what was there; none flickers.

        What was there goes before each is written: after a full one the cursor is still on it.
        """
        *above, last = lines
        drawn = "".join(f"{_REST_OF_LINE}{line}\n" for line in above)
        _write(_HOME + drawn + _REST_OF_SCREEN + last)

    def key(self, timeout: float) -> str:
        """What was typed within so many seconds, or nothing. A window that gets another size, or a
        stop that is over, ends the wait."""
        sources = [self._woken] if self._typed is None else [self._woken, self._typed]
        ready, _, _ = select.select(sources, [], [], timeout)
        read = {source: os.read(source, 64) for source in ready}
        if self._typed not in read:
            return ""
        return read[self._typed].decode(errors="replace") or END


@contextmanager
def full_screen() -> Iterator[FullScreen]:
    """The terminal is as before in the end, and while the command is stopped by Ctrl-Z."""
    typed = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    known = termios.tcgetattr(typed) if typed is not None else None
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def enter() -> None:
        if typed is not None:
            tty.setcbreak(typed)
        _write(_ENTER)

    def leave() -> None:
        with suppress(HealthagentError, termios.error):  # the terminal may be gone
            _write(_LEAVE)
            if typed is not None and known is not None:
                termios.tcsetattr(typed, termios.TCSADRAIN, known)

    def resized(*_: object) -> None:
        """The signal has ended the wait, and what is drawn next has the new size."""

    def stop(*_: object) -> None:
        leave()
        # By the kernel, which stops nobody whom no shell could let go on: SIGSTOP would.
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, stop)
        enter()

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    handlers: dict[signal.Signals, Callable[..., None]] = {
        signal.SIGWINCH: resized,
        signal.SIGTSTP: stop,
        **dict.fromkeys((signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP), end),
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    # A handler in Python comes too late for a signal that comes just before the wait.
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        enter()
        yield FullScreen(typed, woken)
    finally:
        leave()
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(wake)
        os.close(woken)


def _write(sequence: str) -> None:
    """Past the buffer, since a signal may come while it is written, and its handler writes too."""
    data = sequence.encode(sys.stdout.encoding, "replace")
    try:
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]
    except OSError as error:
        raise HealthagentError(f"the terminal takes no more: {error.strerror}") from None
