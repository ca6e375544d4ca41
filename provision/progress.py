"""Tells the person who waits what is being done, and how long it took."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_GREEN, _YELLOW, _RED, _DIM = "\033[32m", "\033[33m", "\033[31m", "\033[2m"
_PLAIN = "\033[0m"


class Step:
    """One thing that is being set up."""

    def __init__(self, progress: "Progress", title: str) -> None:
        self._progress = progress
        self._title = title
        self.outcome = "ready"
        """What the closing line says; the step sets it when it knows."""
        self.mark = ("✓", _GREEN)

    def warn(self, outcome: str) -> None:
        """End as planned, but not as one would wish."""
        self.outcome, self.mark = outcome, ("!", _YELLOW)

    def say(self, doing: str) -> None:
        """Announce work that may take more than a moment."""
        self._progress.line("·", _DIM, f"{self._title}: {doing} ...")


class Progress:
    """Writes one line when a step ends, and one before each part of it that takes long.

    Steps may run in several threads: lines never mix. Colour only on a terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._colour = self._stream.isatty()
        self._lock = threading.Lock()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Time what happens inside; an exception marks the step as failed and goes on."""
        step = Step(self, title)
        begun = time.monotonic()
        try:
            yield step
        except BaseException:
            self.line("✗", _RED, f"{title}: failed", time.monotonic() - begun)
            raise
        self.line(*step.mark, f"{title}: {step.outcome}", time.monotonic() - begun)

    def line(self, mark: str, colour: str, text: str, seconds: float | None = None) -> None:
        """Write one line: a mark, the text, and where given the seconds taken."""
        if self._colour:
            mark = f"{colour}{mark}{_PLAIN}"
        taken = "" if seconds is None else f"  ({seconds:.1f} s)"
        with self._lock:
            print(f"{mark} {text}{taken}", file=self._stream, flush=True)
