"""The tests' own processes give way to the stacks where that is possible, and go on where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.side_by_side import NICE, giving_way


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


def test_a_session_has_its_own_weight_back(tmp_path: Path) -> None:
    session = tmp_path / "autogroup"
    session.write_text("/autogroup-25 nice 3\n")
    with giving_way(session):
        assert session.read_text() == str(NICE)
    assert session.read_text() == "3", "the nice value that it had before"


def test_where_a_control_group_decides_nothing_is_written(tmp_path: Path) -> None:
    session = tmp_path / "autogroup"
    session.write_text("")
    with giving_way(session):
        assert session.read_text() == ""
    assert session.read_text() == ""


def test_where_linux_has_no_such_file_none_is_made(tmp_path: Path) -> None:
    with giving_way(tmp_path / "autogroup"):
        pass
    assert not (tmp_path / "autogroup").exists()


def test_a_file_that_can_only_be_read_stops_nothing() -> None:
    version = Path("/proc/version")  # root may not write to it either
    with giving_way(version):
        pass
