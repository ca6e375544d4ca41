"""On what the tour runs: containers where there is an engine, processes where there can be none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from examples.quickstart.tour import __main__ as tour
from examples.quickstart.tour import story
from provision import engine
from provision.engine import Engine
from provision.errors import CommandFailed, Unavailable
from provision.progress import Progress

ENGINE = Engine("unix:///run/engine.sock", "20.10", buildkit=False)


class Toured:
    """A stack of which there is only where it runs."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.url = self.agent_url = "http://127.0.0.1:8000"


@pytest.fixture
def toured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where each stack ran that a tour was told of."""
    told: list[str] = []

    def tell(stack: Toured, say: Callable[[str], None]) -> None:
        told.append(stack.where)

    monkeypatch.setattr("sys.argv", ["tour"])
    monkeypatch.setattr(story, "tell", tell)
    monkeypatch.setattr(tour, "_local", lambda: Toured("processes"))
    monkeypatch.setattr(tour, "_containers", lambda found, project: Toured("containers"))
    return told


def with_engine(monkeypatch: pytest.MonkeyPatch, found: Engine | Exception) -> None:
    def ensure(progress: Progress) -> Engine:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(engine, "ensure", ensure)


def test_with_an_engine_it_runs_on_containers(
    monkeypatch: pytest.MonkeyPatch, toured: list[str]
) -> None:
    with_engine(monkeypatch, ENGINE)
    assert tour.main() == 0
    assert toured == ["containers"]


def test_where_none_can_be_had_it_runs_on_processes_and_says_why(
    monkeypatch: pytest.MonkeyPatch, toured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with_engine(monkeypatch, Unavailable("nobody may start one here", "ask for the right"))
    assert tour.main() == 0
    assert toured == ["processes"]
    said = "No Docker Engine, so the same stack runs as processes here: nobody may start one here"
    assert said in capsys.readouterr().out


def test_an_engine_that_is_there_and_fails_is_no_reason_to_fall_back(
    monkeypatch: pytest.MonkeyPatch, toured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with_engine(monkeypatch, CommandFailed(["docker", "build"], 1, "no space left"))
    assert tour.main() == 1
    assert toured == []
    assert "`docker build` exited 1" in capsys.readouterr().err


def test_a_full_disk_ends_it_with_one_line(
    monkeypatch: pytest.MonkeyPatch, toured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with_engine(monkeypatch, OSError(28, "No space left on device", "/build/state"))
    assert tour.main() == 1
    assert toured == []
    said = "The tour ends here: [Errno 28] No space left on device: '/build/state'"
    assert capsys.readouterr().err.strip() == said
