"""What all tests share: the Engine, and the promise that no system test is skipped in silence."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from provision import engine as docker_engine
from provision.engine import Engine
from provision.errors import Unavailable

SYSTEM = Path(__file__).parent / "system"
IN_CI = os.environ.get("CI") == "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below tests/system is a system test."""
    for item in items:
        if SYSTEM in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped system test is a failure: what was not run is not shown to work."""
    report = yield
    if IN_CI and report.skipped and item.get_closest_marker("system"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly how many system tests did not run."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "tests/system" in report.nodeid
    ]
    if skipped:
        terminalreporter.section("SYSTEM TESTS NOT RUN", sep="!", red=True)
        terminalreporter.line(f"{len(skipped)} system tests were skipped; nothing is shown of them")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """A real Docker Engine with Compose, set up if need be; skips where none can be had."""
    try:
        return docker_engine.ensure()
    except Unavailable as error:
        pytest.skip(f"no Docker Engine: {error}")
