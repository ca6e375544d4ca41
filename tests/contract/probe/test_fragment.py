"""The lines that a user pastes: their flags are ones that both probes take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Serve

FRAGMENT = Path(__file__).parents[3] / "Dockerfile.fragment"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def healthcheck() -> str:
    """The HEALTHCHECK instruction, on one line."""
    instructions = FRAGMENT.read_text().replace("\\\n", " ")
    found = re.search(r"^HEALTHCHECK .*$", instructions, re.MULTILINE)
    assert found, "Dockerfile.fragment must hold a HEALTHCHECK"
    return found[0]


def command_of(healthcheck: str) -> list[str]:
    """The words that Docker runs: the exec form, since there need be no shell."""
    words: list[str] = json.loads(healthcheck.partition(" CMD ")[2])
    return words


def test_the_probe_is_copied_to_where_it_is_run(healthcheck: str) -> None:
    copied = re.search(r"^COPY healthprobe (\S+)$", FRAGMENT.read_text(), re.M)
    assert copied and copied[1] == command_of(healthcheck)[0]


def test_its_flags_are_understood(ask: Ask, serve: Serve, healthcheck: str) -> None:
    port = serve(OK).url.rpartition(":")[2]
    said = ask(*command_of(healthcheck)[1:], variables={"PORT": port})
    assert "failed options" not in said.line
    assert "http=200" in said.line


def test_the_probe_ends_before_docker_ends_it(healthcheck: str) -> None:
    docker_seconds = re.search(r"--timeout=(\d+)s", healthcheck.partition(" CMD ")[0])
    assert docker_seconds
    command = command_of(healthcheck)
    probe_ms = int(command[command.index("--timeout") + 1])
    assert probe_ms + 1000 < int(docker_seconds[1]) * 1000
