"""The same story without any Docker: static targets, as a sidecar or a bare machine has them."""

from __future__ import annotations

import shutil

import pytest

from examples.quickstart.tour import __main__ as tour
from examples.quickstart.tour import keeper
from examples.quickstart.tour.local import REPLICAS, LocalStack


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv(1) of util-linux is missing")
def test_where_no_engine_answers_the_tour_is_the_same_with_local_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stack ends with this test, where the tour's own would be kept."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///none")
    monkeypatch.setattr("sys.argv", ["tour"])

    with LocalStack() as stack:
        assert list(stack.incarnations) == list(REPLICAS)
        monkeypatch.setattr(keeper, "find", lambda: stack)
        code = tour.main()

    told, errors = capsys.readouterr()
    assert code == 0, errors
    lines = told.splitlines()
    (said,) = (line for line in lines if line.startswith("No Docker Engine"))
    assert "the Docker Engine that DOCKER_HOST=unix:///none names does not answer" in said
    why = [line for line in lines if "because: " in line]
    assert any("is stopped (state T)" in line for line in why), told
    assert "  none was restarted: the same three processes as before" in lines
