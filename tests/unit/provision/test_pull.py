"""A registry that cannot be reached costs seconds, not minutes; one that is slow is waited for.

The programs here speak as the Docker client does (docker 20.10 and 28: ``TAG: Pulling from
REPOSITORY`` once the registry has answered, errors on stderr with exit code 1).
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from provision.engine import Engine
from provision.pull import pull

ENGINE = Engine(host="unix:///nowhere.sock", version="0", buildkit=True)
TAG = "postgres:15-bookworm"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program called docker first on PATH."""

    def install(script: str) -> None:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


def test_a_pull_that_works_has_no_reason_against_it(docker: Callable[[str], None]) -> None:
    docker('[ "$*" = "pull postgres:15-bookworm" ] && echo "15: Pulling from library/postgres"')
    assert pull(ENGINE, TAG) is None


def test_a_silent_registry_is_given_up(docker: Callable[[str], None]) -> None:
    docker("exec sleep 600")
    reason = pull(ENGINE, TAG, first_word=0.2)
    assert reason is not None
    assert "did not answer" in reason


def test_a_registry_that_answered_is_waited_for(docker: Callable[[str], None]) -> None:
    docker('echo "15: Pulling from library/postgres"; sleep 1.2; echo done')
    assert pull(ENGINE, TAG, first_word=1.0) is None


def test_the_engines_own_words_are_the_reason(docker: Callable[[str], None]) -> None:
    docker('echo "Error response from daemon: no such host" >&2; exit 1')
    assert pull(ENGINE, TAG) == "Error response from daemon: no such host"


def test_an_exit_without_words_is_still_a_reason(docker: Callable[[str], None]) -> None:
    docker("exit 9")
    assert pull(ENGINE, TAG) == "docker pull exited 9"
