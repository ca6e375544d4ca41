"""What ``make venv`` says where there is no way to what it needs."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from provision.paths import ROOT

pytestmark = pytest.mark.system


@pytest.mark.may_skip
@pytest.mark.skipif(find_spec("ensurepip") is None, reason="this Python has no venv")
def test_without_a_way_to_pypi_it_says_so(tmp_path: Path) -> None:
    """pip itself says that there is no such version."""
    script = tmp_path / "provision" / "venv.sh"
    script.parent.mkdir()
    shutil.copy(ROOT / "provision" / "venv.sh", script)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("date", "dirname", "mkdir", "rm"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    (programs / "python3").symlink_to(os.path.realpath(sys.executable))
    nowhere = {
        "PATH": str(programs),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
        "PIP_RETRIES": "0",
    }
    ended = subprocess.run(
        ["/bin/sh", script], env=nowhere, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    assert "uv cannot be installed: see that PyPI can be reached" in ended.stderr
    assert not (tmp_path / "build" / "uv").exists()
