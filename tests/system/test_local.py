"""The same story without any Docker: static targets, as a sidecar or a bare machine has them."""

from __future__ import annotations

import shutil

import pytest

from examples.quickstart.tour import story
from examples.quickstart.tour.local import REPLICAS, LocalStack


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv(1) of util-linux is missing")
def test_the_tour_is_the_same_with_local_processes() -> None:
    told: list[str] = []

    with LocalStack() as stack:
        assert list(stack.incarnations) == list(REPLICAS)
        story.tell(stack, told.append)

    why = [line for line in told if "because: " in line]
    assert any("is stopped (state T)" in line for line in why), "\n".join(told)
    assert "  none was restarted: the same three processes as before" in told
