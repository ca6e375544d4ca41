"""The state file remembers what to undo, and a broken one is said to be broken."""

from pathlib import Path

import pytest

from provision import __main__ as command_line
from provision import state
from provision.errors import ProvisionError
from provision.process import Process
from provision.state import State, load, save


def test_no_file_is_an_empty_state(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json") == State()


def test_what_is_saved_is_loaded_and_other_fields_stay(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "state.json"
    daemon = Process(pid=17, start=4, boot="b")
    save(file, engine=daemon)
    save(file, compose_plugin="/link")
    assert load(file) == State(engine=daemon, compose_plugin="/link")
    save(file, engine=None)
    assert load(file) == State(compose_plugin="/link")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"engine": 3}', '{"engine": null, "x": 1}'])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    with pytest.raises(ProvisionError, match=r"state\.json cannot be read"):
        load(file)


def test_a_folder_that_cannot_be_made_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a disk that is full or is not to be written."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "state"
    monkeypatch.setattr(state, "STATE", folder)
    assert command_line.main(["up", "--engine-only"]) == 1
    assert capsys.readouterr().err == f"provision: [Errno 20] Not a directory: '{folder}'\n"
