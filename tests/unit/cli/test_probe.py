"""``healthagent probe path`` and ``probe install``"""

from __future__ import annotations

from pathlib import Path

import pytest

from healthagent.cli import probe as command
from tests.unit.cli.conftest import Run


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that carries both probes."""
    place = tmp_path / "_probes"
    place.mkdir()
    for arch in command.ARCHITECTURES:
        (place / f"healthprobe-{arch}").write_text(f"for {arch}")
    monkeypatch.setattr(command, "_PLACES", (place,))
    return place


@pytest.mark.parametrize(
    ("named", "arch"),
    [("x86_64", "x86_64"), ("amd64", "x86_64"), ("aarch64", "aarch64"), ("arm64", "aarch64")],
)
def test_path_prints_where_the_binary_is(run: Run, carried: Path, named: str, arch: str) -> None:
    ran = run("probe", "path", "--arch", named)
    assert (ran.code, ran.out) == (0, f"{carried}/healthprobe-{arch}\n")


def test_install_copies_it_executable_and_replaces_what_is_there(
    run: Run, carried: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new" / "bin"
    for arch in command.ARCHITECTURES:
        ran = run("probe", "install", str(target), "--arch", arch)
        assert (ran.code, ran.out) == (0, f"{target}/healthprobe\n")
        assert (target / "healthprobe").read_text() == f"for {arch}"
    assert (target / "healthprobe").stat().st_mode & 0o777 == 0o755
    assert [file.name for file in target.iterdir()] == ["healthprobe"]


@pytest.mark.usefixtures("carried")
def test_install_says_what_stands_in_its_way(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = run("probe", "install", str(tmp_path / "file"), "--arch", "amd64")
    assert (ran.code, "cannot be written" in ran.err) == (2, True)


@pytest.mark.usefixtures("carried")
def test_an_install_that_fails_leaves_nothing_of_it_behind(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    (folder / "healthprobe").mkdir(parents=True)  # where the file is to go
    assert run("probe", "install", str(folder), "--arch", "amd64").code == 2
    assert [file.name for file in folder.iterdir()] == ["healthprobe"]


def test_another_machine_is_refused_by_name(run: Run) -> None:
    ran = run("probe", "path", "--arch", "riscv64")
    assert (ran.code, "x86_64, aarch64, amd64, arm64" in ran.err) == (2, True)


def test_an_installation_without_probes_says_how_to_get_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_PLACES", (tmp_path,))
    ran = run("probe", "path", "--arch", "x86_64")
    assert (ran.code, "make probe" in ran.err) == (2, True)
