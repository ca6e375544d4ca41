"""JSON lines on stdout."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from healthagent.core.report import Notice, Report
from healthagent.core.transition import transitions
from healthagent.surfaces import log
from healthagent.surfaces.log import LogSurface
from tests.unit.surfaces.world import NOW, World

NOTICE = Notice("app-1", "cannot be read", "write a count", key="healthagent.rise", value="x")
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def restored() -> Iterator[None]:
    """The logging that pytest set up, back again after a test."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    yield
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
