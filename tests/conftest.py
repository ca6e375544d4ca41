"""What all tests share: the Engine, who runs beside whom, and that none is skipped in silence."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from provision import engine as docker_engine
from provision import projects
from provision.engine import Engine
from provision.errors import Unavailable
from provision.paths import ROOT
from tests import side_by_side, standing

TESTS = Path(__file__).parent
IN_CI = os.environ.get("CI") == "true"

# A busy machine takes its time over an example, which says nothing of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Several processes that compute let the stacks go first."""
    shared = config.getoption("numprocesses", None)
    with side_by_side.giving_way() if shared else nullcontext():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below tests/system is a system test. What takes longest begins first."""
    for item in items:
        if TESTS / "system" in item.path.parents:
            item.add_marker(pytest.mark.system)
    turns = {path: side_by_side.turn(path.relative_to(ROOT)) for path in {i.path for i in items}}
    items.sort(key=lambda item: turns[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The tests themselves stay until the end: the garbage collector need not go through them, now
    or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """`make test` runs in several processes, and this says which test goes to which."""
    return side_by_side.Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """After the last test of a group goes what its tests shared."""
    try:
        return (yield)
    finally:
        if nextitem is None or _group(nextitem) != _group(item):
            standing.end()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish() -> Generator[None, object, object]:
    """However the session ends: an interrupted one leaves no stack behind."""
    try:
        return (yield)
    finally:
        standing.end()


def _group(item: pytest.Item) -> str:
    return side_by_side.group(item.path.relative_to(ROOT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failure: what was not run is not shown to work.

    Not where it needs what `make test` cannot bring; such a test is marked ``may_skip``. A test
    that is expected to fail reads *skipped* too, and is none.
    """
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if IN_CI and skipped and not item.get_closest_marker("may_skip"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """What a process tells of a test must be UTF-8, or pytest-xdist ends the whole run.

    A captured log may well hold a lone surrogate, since some tests are about such text.
    """
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    """The same with every string fit for UTF-8."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_encodable(key): _encodable(one) for key, one in value.items()}
        case list() | tuple():
            return type(value)(map(_encodable, value))
    return value


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly how many tests did not run."""
    if skipped := terminalreporter.stats.get("skipped", []):
        terminalreporter.section("TESTS NOT RUN", sep="!", red=True)
        terminalreporter.line(f"{len(skipped)} tests were skipped; nothing is shown of them")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """A real Docker Engine with Compose, set up if need be; skips where none can be had.

    What killed runs left there is removed first.
    """
    try:
        found = docker_engine.ensure()
    except Unavailable as error:
        pytest.skip(f"no Docker Engine: {error}")
    projects.sweep(found)
    return found
