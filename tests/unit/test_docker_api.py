"""Why the Engine cannot be asked, in words."""

from __future__ import annotations

import pytest
import requests

from healthagent.docker_api import explained

URL = "unix:///run/docker.sock"


@pytest.mark.parametrize("within", [3.0, 40.0])
def test_an_engine_that_does_not_answer_is_told_with_the_time_that_it_had(within: float) -> None:
    notice = explained(requests.ReadTimeout("read timed out"), URL, within)
    said = f"the Engine at /run/docker.sock does not answer within {within:g} s"
    assert notice.problem == said, "name the deadline that the request had"
