"""The other ways to get the probe: the wheel, an image to copy it from, a build of one's own."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from probes.build import DIST, MACHINES
from provision import tools
from provision.command import run
from provision.engine import Engine
from provision.paths import ROOT


@pytest.mark.timeout(600)
def test_a_second_build_gives_the_same_bytes() -> None:
    build = [sys.executable, "-m", "probes.build"]
    run(build, timeout=300, directory=ROOT)
    first = digests()
    run([*build, "--force"], timeout=300, directory=ROOT)
    assert digests() == first
    sums = [f"healthprobe-{machine}.sha256" for machine in MACHINES]
    run(["sha256sum", "--check", *sums], timeout=10, directory=DIST)


def digests() -> dict[str, str]:
    """By machine what its probe hashes to."""
    probes = {machine: DIST / f"healthprobe-{machine}" for machine in MACHINES}
    return {m: hashlib.sha256(probe.read_bytes()).hexdigest() for m, probe in probes.items()}


@pytest.mark.timeout(400)
def test_the_wheel_carries_both_probes_and_installs_them(tmp_path: Path) -> None:
    run([sys.executable, "-m", "probes.build"], timeout=300, directory=ROOT)
    run([tools.uv(), "build", "--wheel", "--out-dir", tmp_path], timeout=120, directory=ROOT)
    wheel = next(tmp_path.glob("*.whl"))
    venv.create(tmp_path / "venv", system_site_packages=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    run(
        [tools.uv(), "pip", "install", "--no-deps", "--python", python, str(wheel), "click"],
        timeout=120,
    )
    for arch in ("amd64", "arm64"):
        target = tmp_path / arch
        command = [python, "-m", "healthagent", "probe", "install", str(target), "--arch", arch]
        run(command, timeout=30, directory=tmp_path)
        machine = {"amd64": "x86_64", "arm64": "aarch64"}[arch]
        expected = (DIST / f"healthprobe-{machine}").read_bytes()
        assert (target / "healthprobe").read_bytes() == expected
    native = tmp_path / ("amd64" if platform.machine() == "x86_64" else "arm64") / "healthprobe"
    assert "usage: healthprobe" in run([native, "--help"], timeout=10)


def test_an_image_copies_it_from_healthprobe_dev(engine: Engine, tmp_path: Path) -> None:
    run([sys.executable, "-m", "probes.image"], timeout=300, directory=ROOT)
    dockerfile = "FROM scratch\nCOPY --from=healthprobe:dev /healthprobe /healthprobe\n"
    (tmp_path / "Dockerfile").write_text(dockerfile)
    image = engine.docker("build", "--quiet", str(tmp_path)).strip()
    try:
        asked = subprocess.run(
            ["docker", "run", "--rm", "--network", "none", image, "/healthprobe"],
            capture_output=True, text=True, timeout=60,
            env={**engine.environment, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip
    finally:
        engine.docker("image", "rm", image)
    assert (asked.returncode, "http=refused" in asked.stdout) == (1, True), asked
