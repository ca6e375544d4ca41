"""Debian packages are installed though another program holds apt's lock on its package lists just
then, as happens on a machine that has just started.

The apt-get is the real one, on lists and a database of the test's own: it names no mirror.
"""

import fcntl
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from examples.quickstart.tour.condition import Seen, until
from provision import apt
from provision.errors import CommandFailed
from provision.paths import ROOT
from provision.progress import Progress

NO_PACKAGE = "healthagent-no-such-package"
WITHIN = 60.0

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get"),
    pytest.mark.skipif(os.geteuid() != 0, reason="takes root"),
]


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[str]]:
    """The lock on apt's package lists, held until it is closed."""
    for folder in ("lists/partial", "cache/archives/partial", "dpkg"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "dpkg" / "status").touch()
    settings = tmp_path / "apt.conf"
    settings.write_text(
        f'Dir::State::lists "{tmp_path}/lists";\n'
        f'Dir::State::status "{tmp_path}/dpkg/status";\n'
        f'Dir::Cache "{tmp_path}/cache";\n'
        'Dir::Etc::sourcelist "/dev/null";\n'
        f'Dir::Etc::sourceparts "{tmp_path}/none";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(settings))
    with (tmp_path / "lists" / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield lock


class Releasing(io.StringIO):
    """What is said of a step; the lock is free as soon as it is said that it is waited for."""

    def __init__(self, held: IO[str]) -> None:
        super().__init__()
        self.held = held

    def write(self, text: str) -> int:
        if "waiting for" in text:
            self.held.close()
        return super().write(text)


def test_a_step_waits_for_the_lock(held: IO[str]) -> None:
    said = Releasing(held)
    with pytest.raises(CommandFailed) as caught, Progress(said).step("Debian") as step:
        apt.install(step, NO_PACKAGE)
    assert f"Unable to locate package {NO_PACKAGE}" in caught.value.output
    assert said.getvalue().count("waiting for whoever else fetches") == 1


def test_venv_sh_waits_for_the_lock(held: IO[str], tmp_path: Path) -> None:
    """It has no Python to ask for a virtual environment, and no uv."""
    script = tmp_path / "provision" / "venv.sh"
    script.parent.mkdir()
    shutil.copy(ROOT / "provision" / "venv.sh", script)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("apt-get", "cat", "date", "dirname", "grep", "id", "mktemp", "rm", "sleep"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    said = tmp_path / "said"
    with said.open("w") as output:
        process = subprocess.Popen(
            ["/bin/sh", script], stderr=output, env={**os.environ, "PATH": str(programs)}
        )
    waits = lambda: Seen("waiting for whoever else" in said.read_text(), said.read_text())  # noqa: E731
    until("it says that it waits", waits, within=WITHIN)
    assert process.poll() is None
    held.close()
    assert process.wait(WITHIN) == 1
    assert "Unable to locate package python3-venv" in said.read_text()
    assert "install python3-venv, or uv, and try again" in said.read_text()
