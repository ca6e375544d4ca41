"""Of which image a container beside a replica is made: the agent's own."""

from __future__ import annotations

from typing import Any

import pytest

from healthagent.errors import ActionError
from healthagent.supervisor.beside import _own_image

PATH = "/opt/healthagent/bin:/usr/bin"
ENVIRON = {"PATH": PATH, "HEALTHAGENT_DOCKER_PROJECT": "shop", "HOME": "/"}


def document(image: str, **variables: str) -> dict[str, Any]:
    return {"Image": image, "Config": {"Env": [f"{k}={v}" for k, v in variables.items()]}}


TRAEFIK = document("sha256:traefik", PATH="/usr/bin")
AGENT = document("sha256:agent", PATH=PATH, HEALTHAGENT_DOCKER_PROJECT="shop")
ANOTHER = document("sha256:staging", PATH=PATH, HEALTHAGENT_DOCKER_PROJECT="staging")


def test_an_agent_in_the_network_of_another_is_told_from_the_one_that_lends_it() -> None:
    assert _own_image([TRAEFIK, ANOTHER, AGENT], ENVIRON) == "sha256:agent"


def test_an_agent_whose_network_somebody_borrows_is_itself() -> None:
    assert _own_image([AGENT, TRAEFIK], ENVIRON) == "sha256:agent"


def test_one_whose_network_nobody_borrows_needs_no_variables() -> None:
    assert _own_image([document("sha256:agent", PATH="/bin")], ENVIRON) == "sha256:agent"


def test_one_that_cannot_be_told_has_no_image() -> None:
    with pytest.raises(ActionError, match="cannot be told"):
        _own_image([TRAEFIK, document("sha256:bare")], ENVIRON)
