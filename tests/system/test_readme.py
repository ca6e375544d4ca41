"""What the README tells people to type, typed; what it lists, held against the code."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from examples.quickstart.tour.compose import PROJECT
from healthagent.core.options import OPTIONS, Option
from healthagent.surfaces.http.openapi import PATHS
from provision import owner
from provision.engine import Engine
from provision.paths import ROOT
from tests.containers import containers
from tests.system.readme import COMMANDS, README, SHOWN

LONGEST = 300.0
"""Seconds for one command: the README promises a cold demo in less."""


def test_the_readme_begins_with_the_demo_and_ends_with_its_removal() -> None:
    assert (COMMANDS[0], COMMANDS[-1]) == ("make demo", "make demo-down")


def test_every_command_that_it_shows_in_action_is_typed_by_some_test() -> None:
    """A new one wants a test that types it, as that of the roll in test_operations.py does."""
    assert [shown.command.partition(" healthagent ")[2] for shown in SHOWN] == [
        "roll app --image shop:2"
    ]


@pytest.mark.timeout(3 * LONGEST)
def test_every_command_of_the_readme_works_in_the_order_in_which_it_stands(
    engine: Engine,
) -> None:
    """A container keeps the Engine in use, so that `make demo-down` leaves it to other tests."""
    with containers(engine) as boxes:
        boxes.run()
        type_all()


def type_all() -> None:
    project = owner.new_name("doc")
    for command in COMMANDS:
        result = subprocess.run(
            ["sh", "-c", command.replace(f"{PROJECT}-app", f"{project}-app")],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"COMPOSE_PROJECT_NAME": project},
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert result.returncode == 0, (
            f"`{command}` of README.md exited {result.returncode}:\n{result.stdout}{result.stderr}"
        )


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_the_readme_lists_every_label(option: Option) -> None:
    assert f"`{option.label}`" in README


@pytest.mark.parametrize("path", sorted(PATHS.keys() - {"/"}))
def test_the_readme_lists_every_route(path: str) -> None:
    listed = {route for row in re.findall(r"^\| (`/.*?) \|", README, re.MULTILINE)
              for route in _routes(row)}  # fmt: skip
    assert path in listed, f"README.md lists {sorted(listed)}"


def _routes(cell: str) -> list[str]:
    """The routes of a cell such as ```/self/livez`, `/self/readyz```: the first one whole, the
    others either whole or as what follows the same beginning."""
    first, *others = re.findall(r"`(.*?)`", cell)
    stem = first.rsplit("/", 1)[0]
    return [first, *others, *(stem + other for other in others)]
