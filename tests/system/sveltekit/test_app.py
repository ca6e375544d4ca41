"""The order desk's app as its image has it, run with no container."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provision import desk, tools
from provision.local import LocalProcess, answers, free_port

START = 60.0
STOPPED = 60.0
BUILT = 600.0
"""Seconds for the first test, which may find nothing built yet."""

pytestmark = pytest.mark.timeout(BUILT)


class App:
    """A replica under one of the runtimes, whose output is kept."""

    def __init__(self, runtime: Path, folder: Path, log: Path, variables: dict[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self.process = LocalProcess(
            [runtime, "server.ts"],
            log=log,
            directory=folder,
            environment={
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "APP_VERSION": "1.0.0",
                "DBOS__VMID": "desk-app-1",
                "DRAIN_MS": "0",
                **variables,
            },
        )
        self.process.wait_until(lambda: answers(f"{self.url}/livez"), timeout=START)

    def messages(self) -> list[str]:
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [json.loads(line)["message"] for line in lines]


Start = Callable[..., App]


@pytest.fixture(scope="module")
def folder() -> Path:
    return desk.lay_out()


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the app under a runtime, with these variables."""
    started: list[App] = []

    def run(runtime: Path, **variables: str) -> App:
        app = App(runtime, folder, tmp_path / "app.log", variables)
        started.append(app)
        return app

    yield run
    for app in started:
        app.process.stop()


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address where nothing listens; nobody else can get its port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of one that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("runtime", [tools.bun, tools.node], ids=["bun", "node"])
def test_a_collector_that_never_answers_holds_no_stop_up(
    start: Start, nowhere: str, silent: str, runtime: Callable[[], Path]
) -> None:
    app = start(
        runtime(),
        DATABASE_URL=f"postgresql://desk:none@{nowhere}/desk",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{silent}",
        # Else the last export would give up by itself, before the app's own limit.
        OTEL_METRIC_EXPORT_INTERVAL="60000",
        OTEL_METRIC_EXPORT_TIMEOUT="60000",
        OTEL_EXPORTER_OTLP_TIMEOUT="60000",
    )
    os.kill(app.process.pid, signal.SIGTERM)
    assert app.process.wait(STOPPED) == 0, "the limit of server.ts must not be what ends it"
    assert app.messages()[-1] == "stopped"
