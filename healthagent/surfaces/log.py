"""JSON lines on stdout: the agent's own words, every transition, every act, and every notice.

All of it goes through the standard ``logging``, so that one handler writes and one level filters;
so does what Python itself would write to stderr, as plain text of many lines.
A thread does the writing: a reader of stdout that stops reading, or goes away, or a full disk,
costs lines and never a delay or a traceback.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import queue
import sys
import threading
from typing import Any

import orjson

from healthagent.core.action import Step
from healthagent.core.ports import Entry
from healthagent.core.report import Report
from healthagent.core.transition import Transition
from healthagent.surfaces.entry_text import document
from healthagent.surfaces.notices import Noticeboard
from healthagent.surfaces.transition_text import rfc3339, sentence

MOST_WAITING = 10_000
"""Lines kept for a reader that is slow; later ones are counted and dropped."""

LAST_WORDS = 0.5
"""Seconds that closing waits for what is still to be written."""

NOBODY = frozenset({errno.EPIPE, errno.EBADF})
"""Errors of a write after which none can succeed: the reader is gone, or the descriptor."""

_transitions = logging.getLogger("healthagent.transitions")
_acts = logging.getLogger("healthagent.acts")
_fault = logging.getLogger("healthagent.faults")


class LogSurface:
    """Logs each transition and each step of an act as a line of its own, and each notice when it
    appears and is gone."""

    def __init__(self) -> None:
        self._notices = Noticeboard()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        for change in changes:
            _tell(_transitions, change, sentence(change))
        self._notices.post(report.notices)

    def record(self, step: Step) -> None:
        _tell(_acts, step, str(step))


def _tell(logger: logging.Logger, entry: Entry, message: str) -> None:
    level = logging.WARNING if entry.worse else logging.INFO
    logger.log(level, "%s", message, extra={"fields": document(entry)})


def setup(level: str | int = "info", fd: int = 1) -> logging.Handler:
    """Send all of ``logging`` as JSON lines to a file descriptor; stdout, unless told otherwise.

    It replaces the handlers that stand, and the hooks by which Python tells of warnings and of what
    was raised where nobody catches it. Python closes the returned handler at exit by itself;
    whoever wants the last lines earlier may close it. Raises ``ValueError`` for an unknown level.
    """
    handler = LineHandler(fd)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(
        level=level.upper() if isinstance(level, str) else level, handlers=[handler], force=True
    )
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    threading.excepthook = _tell_of_thread
    sys.unraisablehook = _tell_of_unraisable
    return handler


def _tell_of_thread(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread else "that is gone"
    _fault.error("the thread %s ended with a fault", name, exc_info=ended.exc_value)


def _tell_of_unraisable(ignored: sys.UnraisableHookArgs) -> None:
    about = ignored.err_msg or "a fault was ignored in"
    _fault.error("%s %r", about, ignored.object, exc_info=ignored.exc_value)


class JsonFormatter(logging.Formatter):
    """One log record as one line of JSON. ``extra={"fields": {...}}`` becomes members of it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "event": "log",
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # a lone surrogate, or a number beyond 64 bits, as a file name may hold
            return json.dumps(line, default=str)


class LineHandler(logging.Handler):
    """Hands lines to a thread that writes them; never waits, never raises."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._lines: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._dropped = 0
        self._gone = False
        self._torn = False
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode() + b"\n"
        except Exception as error:  # its words do not fit, or a value of it cannot be told
            line = self.format(_instead(record, error)).encode() + b"\n"
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Nothing to do: the thread writes each line as soon as it comes."""

    def close(self) -> None:
        """Wait a moment for what is still to be written, then leave it."""
        super().close()
        if self._thread.is_alive():
            try:
                self._lines.put_nowait(None)
            except queue.Full:
                return
            self._thread.join(LAST_WORDS)

    def _write_all(self) -> None:
        lost = 0
        while (line := self._lines.get()) is not None:
            lost += not self._write(line)
            if self._lines.empty():
                lost = self._confess(lost)
        self._confess(lost)

    def _write(self, line: bytes) -> bool:
        """False where it could not be written, as on a full disk. Where nobody can ever read what
        is written here, lines are only taken."""
        if self._gone:
            return False
        rest = b"\n" + line if self._torn else line
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
                self._torn = bool(rest)
        except OSError as error:
            self._gone = error.errno in NOBODY
        return not rest

    def _confess(self, lost: int) -> int:
        """Tell of the lines that were lost or dropped. Gives those that are still to be told of."""
        lost, self._dropped = lost + self._dropped, 0
        return 0 if lost and self._write(self._confession(lost)) else lost

    def _confession(self, lost: int) -> bytes:
        message = f"{lost} lines were dropped: standard output did not take them"
        return self.format(_warning(__name__, message)).encode() + b"\n"


def _instead(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """What is told of a record that cannot be."""
    where = f"{record.pathname}:{record.lineno}"
    return _warning(record.name, f"a line from {where} cannot be written: {type(error).__name__}")


def _warning(name: str, message: str) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": name, "levelno": logging.WARNING, "levelname": "WARNING", "msg": message}
    )
