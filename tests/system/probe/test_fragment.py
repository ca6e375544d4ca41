"""Dockerfile.fragment, really built into three kinds of image and run by Docker as HEALTHCHECK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from examples.quickstart.tour.condition import Seen, until
from provision.engine import Engine
from tests.system.probe import leaks
from tests.system.probe.images import BASES, CONFINED, Made, built

CHECKED_WITHIN = 120.0
SOME_RUNS = 20

Build = Callable[[str], Made]


@pytest.fixture(scope="module")
def build(engine: Engine) -> Iterator[Build]:
    """Builds each kind of image once."""
    with ExitStack() as stack:
        yield cache(lambda kind: stack.enter_context(built(engine, kind)))


def health(image: Made, container: str) -> dict[str, Any]:
    return dict(image.engine.inspect(container)["State"]["Health"])


@pytest.mark.parametrize("kind", BASES)
def test_docker_finds_it_healthy_in_the_strictest_container(build: Build, kind: str) -> None:
    image = build(kind)
    container = image.start("--health-interval", "1s", *CONFINED)

    def look() -> Seen:
        seen = health(image, container)
        return Seen(seen["Status"] == "healthy", str(seen))

    until(f"Docker calls the {kind} container healthy", look, within=CHECKED_WITHIN)
    newest = health(image, container)["Log"][-1]
    assert newest["ExitCode"] == 0
    assert newest["Output"].startswith("ok pid1=bun http=200 agent=- ms="), newest
    written = image.engine.docker("diff", container).strip()
    assert written == "", f"the probe writes no file, but there are: {written}"
    image.engine.remove(container)


def test_docker_finds_a_silent_application_unhealthy_and_the_log_says_why(build: Build) -> None:
    image = build("empty")
    container = image.start("--health-interval", "1s", *CONFINED, command=("/bun", "silent"))

    def look() -> Seen:
        log = health(image, container)["Log"]
        return Seen(bool(log) and log[-1]["ExitCode"] == 1, str(log))

    until("Docker runs a check that fails", look, within=CHECKED_WITHIN)
    said = health(image, container)["Log"][-1]["Output"]
    assert "took the connection and then said nothing within 2000 ms" in said, said
    image.engine.remove(container)


@pytest.mark.timeout(600)
def test_runs_leave_no_process_behind(build: Build) -> None:
    left = leaks.count(build("empty"), SOME_RUNS)
    assert left.timeouts > 0
    assert left.processes == [["bun"]] * (1 + leaks.SILENT), left
