"""JSON lines on stdout."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from healthagent.core.action import Outcome, Step
from healthagent.core.notice import Notice
from healthagent.core.report import Report
from healthagent.core.transition import transitions
from healthagent.surfaces import log, step_text
from healthagent.surfaces.log import LogSurface
from tests.unit.surfaces.world import NOW, World

NOTICE = Notice("app-1", "cannot be read", "write a count", key="healthagent.rise", value="x")
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def restored() -> Iterator[None]:
    """The logging that pytest set up, back again after a test."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    hooks = threading.excepthook, sys.unraisablehook
    yield
    logging.captureWarnings(False)
    threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising


@pytest.fixture
def lines(restored: None) -> Iterator[Lines]:
    """Sets logging up on a pipe; called, it ends the log and gives what was written."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe, os.fdopen(writing, "wb", buffering=0) as end:
        handler = log.setup("info", end.fileno())

        def read() -> list[dict[str, Any]]:
            handler.close()
            end.close()
            return [json.loads(line) for line in pipe]

        yield read
        handler.close()


def test_a_transition_is_one_line_with_all_that_is_known(world: World, lines: Lines) -> None:
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    LogSurface().publish(sick, transitions(well, sick))
    told = {(line["check"], line["after"]): line for line in lines()}
    line = told["process", "failed"]
    assert line["time"] == "2026-01-02T03:04:05.678Z"
    assert (line["level"], line["event"]) == ("warning", "transition")
    assert (line["target"], line["service"]) == ("app-1", "app")
    assert line["container_id"] == "0001" * 16
    assert (line["before"], line["code"]) == ("ok", "stopped")
    assert line["evidence"] == {"pid": 100, "state": "T"}
    assert line["message"].startswith("app-1 process: ok -> failed: pid 100 is stopped")
    assert told[None, "not live"]["before"] == "ready"


def test_a_step_of_an_act_is_one_line_as_in_the_events(lines: Lines) -> None:
    step = Step(NOW, "a1", "roll", "ops", "app", "", Outcome.FAILED, "app-2 is not back", {"n": 1})
    LogSurface().record(step)
    [line] = lines()
    assert line.items() >= step_text.document(step).items()
    assert (line["level"], line["event"], line["target"]) == ("warning", "act", None)
    assert line["message"] == "roll app by ops: failed: app-2 is not back"


def test_a_recovery_is_no_warning(world: World, lines: Lines) -> None:
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    LogSurface().publish(well, transitions(sick, well))
    assert {line["level"] for line in lines()} == {"info"}


def test_a_notice_is_told_once_when_it_comes_and_once_when_it_goes(lines: Lines) -> None:
    surface = LogSurface()
    for notices in ((NOTICE,), (NOTICE,), (NOTICE,), (), ()):
        surface.publish(Report(NOW, settled=True, notices=notices), ())
    told = lines()
    assert [line["event"] for line in told] == ["notice", "notice_gone"]
    assert told[0]["remedy"] == "write a count"
    assert [line["level"] for line in told] == ["warning", "info"]


def test_the_agents_own_words_are_json_too(lines: Lines) -> None:
    logging.getLogger("healthagent.app").info("listening on %s", "127.0.0.1:9180")
    [line] = lines()
    assert (line["logger"], line["message"]) == ("healthagent.app", "listening on 127.0.0.1:9180")


def test_an_exception_stays_on_its_line(lines: Lines) -> None:
    try:
        raise ValueError("odd\nnews")
    except ValueError:
        logging.getLogger("x").exception("failed")
    [line] = lines()
    assert line["exception"].endswith("ValueError: odd\nnews")


def test_what_orjson_refuses_is_written_all_the_same(lines: Lines) -> None:
    logging.getLogger("x").warning("a file called %s", "\udcff", extra={"fields": {"n": 1 << 70}})
    [line] = lines()
    assert line["n"] == 1 << 70


class Untold:
    """What has no words."""

    def __str__(self) -> str:
        raise RuntimeError("none")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("message", "args", "fields"),
    [
        ("%d items", ("many",), {}),
        ("%s", (Untold(),), {}),
        ("odd", (), {"what": Untold()}),
        ("odd", (), {("a", "b"): 1}),
    ],
    ids=["words that do not fit", "no words", "a value without words", "a name that is none"],
)
def test_a_line_that_cannot_be_written_is_told_of_and_never_raised(
    lines: Lines, message: str, args: tuple[Any, ...], fields: dict[Any, Any]
) -> None:
    logging.getLogger("theirs").info(message, *args, extra={"fields": fields})
    [line] = lines()
    assert (line["logger"], line["level"]) == ("theirs", "warning")
    assert "test_log.py" in line["message"]


def test_what_python_would_write_by_itself_is_a_line_as_well(
    lines: Lines, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("odd\nnews")

    class Careless:
        def __del__(self) -> None:
            raise ValueError("in passing")

    warnings.warn("old ways", RuntimeWarning, stacklevel=1)
    thread = threading.Thread(target=fail, name="poor")
    thread.start()
    thread.join()
    Careless()
    warned, ended, ignored = lines()
    assert "RuntimeWarning: old ways" in warned["message"]
    assert ended["message"] == "the thread poor ended with a fault"
    assert ended["exception"].endswith("ValueError: odd\nnews")
    assert "Careless.__del__" in ignored["message"]
    assert ignored["exception"].endswith("ValueError: in passing")
    assert capfd.readouterr() == ("", "")


def test_a_level_hides_what_is_below_it(restored: None) -> None:
    reading, writing = os.pipe()
    handler = log.setup("warning", writing)
    logging.getLogger("x").info("quiet")
    logging.getLogger("x").warning("loud")
    handler.close()
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert [json.loads(line)["message"] for line in pipe] == ["loud"]


def test_a_closed_stdout_costs_lines_and_nothing_else(
    restored: None, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    handler = log.setup("info", writing)
    os.close(reading)
    for number in range(100):
        logging.getLogger("x").info("line %d", number)
    handler.close()
    os.close(writing)
    assert capfd.readouterr() == ("", ""), "no traceback, no words"


def test_a_reader_that_stops_reading_never_delays_the_agent(restored: None) -> None:
    reading, writing = os.pipe()
    log.setup("info", writing)
    for _ in range(2 * log.MOST_WAITING):  # far more than the pipe and the queue hold
        logging.getLogger("x").info("%s", "x" * 100)
    os.close(reading)  # lets the writing thread end


def test_dropped_lines_are_counted_for_the_reader_that_comes_back(restored: None) -> None:
    reading, writing = os.pipe()
    handler = log.setup("info", writing)
    for _ in range(2 * log.MOST_WAITING):
        logging.getLogger("x").info("%s", "x" * 100)
    with os.fdopen(reading) as pipe:
        told = next(line for line in map(json.loads, pipe) if "dropped" in line["message"])
        handler.close()
    os.close(writing)
    assert told["level"] == "warning"


class Disk:
    """Takes what is written to one descriptor, ``room`` bytes at most, and fails with ``error``
    once they are used up. A line that says "room again" makes room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: int, room: int = 0) -> None:
        self.written = b""
        self._error, self._room = error, room
        self._fd, self._write = os.open(os.devnull, os.O_WRONLY), os.write
        monkeypatch.setattr(os, "write", self._take)
        self.handler = log.setup("info", self._fd)

    def _take(self, fd: int, data: bytes) -> int:
        if fd != self._fd:
            return self._write(fd, data)
        if b"room again" in data:
            self._room = 10**6
        if not self._room:
            raise OSError(self._error, os.strerror(self._error))
        taken = data[: self._room]
        self._room -= len(taken)
        self.written += taken
        return len(taken)

    def close(self) -> list[bytes]:
        self.handler.close()
        os.close(self._fd)
        return self.written.splitlines()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EAGAIN], ids=errno.errorcode.get)
def test_a_disk_that_is_full_for_a_while_costs_lines_and_they_are_confessed(
    restored: None, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    disk = Disk(monkeypatch, error)
    for message in ("one", "two", "room again"):
        logging.getLogger("x").info(message)
    told = [json.loads(line)["message"] for line in disk.close()]
    assert told == ["room again", "2 lines were dropped: standard output did not take them"]


def test_a_line_that_was_cut_short_spoils_no_other(
    restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, errno.ENOSPC, room=9)
    for message in ("one", "room again"):
        logging.getLogger("x").info(message)
    torn, whole, _confession = disk.close()
    assert len(torn) == 9
    assert json.loads(whole)["message"] == "room again", "the next one begins on a line of its own"


@pytest.mark.parametrize("error", [errno.EPIPE, errno.EBADF], ids=errno.errorcode.get)
def test_where_nobody_can_read_again_nothing_more_is_tried(
    restored: None, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    disk = Disk(monkeypatch, error)
    for message in ("one", "room again"):
        logging.getLogger("x").info(message)
    assert disk.close() == []
