"""A name tells whether its maker is gone; in doubt it is not."""

import os
import subprocess
import sys

from provision.owner import is_abandoned, is_in_use, new_name
from provision.paths import ROOT


def test_names_differ_and_belong_to_the_living() -> None:
    first, second = new_name("test"), new_name("test")
    assert first != second
    assert not is_abandoned(first)
    assert is_in_use(first)


def test_the_name_is_fit_for_a_compose_project() -> None:
    assert set(new_name("test")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_the_name_leaves_room_for_what_is_derived_from_it() -> None:
    application = f"dbos_transact_{new_name('sys')}-app-1_1.0.0"
    assert len(application) <= 63, "Postgres would cut the name of an executor's connections"


def test_what_a_process_that_ended_made_is_abandoned() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "from provision.owner import new_name; print(new_name('a-b'))"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert is_abandoned(made)
    assert not is_in_use(made)


def test_a_recycled_pid_does_not_keep_a_name_alive() -> None:
    *head, pid, start, count = new_name("test").split("-")
    assert int(pid, 36) == os.getpid()
    another = "1" if start != "1" else "2"
    assert is_abandoned("-".join([*head, pid, another, count]))


def test_another_machines_names_are_left_alone() -> None:
    _, purpose, _, _, start, count = new_name("test").split("-")
    assert not is_abandoned(f"healthagent-{purpose}-0-zzzzzz-{start}-{count}")


def test_other_projects_are_left_alone() -> None:
    for name in ("quickstart", "healthagent-demo", "healthagent-1-2-3", "", "a-b-c-d-e-f-g"):
        assert not is_abandoned(name), name
        assert not is_in_use(name), name
