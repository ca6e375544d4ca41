"""Every reason has a meaning, and a meaning has a reason."""

from __future__ import annotations

import pytest

from healthagent.surfaces.diagnosis import ADVICE, advice
from tests.unit.reasons import OF_ALL, spelled


@pytest.mark.parametrize(("check", "code"), sorted(spelled()))
def test_every_code_of_every_check_has_a_meaning(check: str, code: str) -> None:
    assert advice(check, code, {}).means, f"add {check} {code} to healthagent/surfaces/diagnosis.py"


def test_no_advice_is_for_a_code_that_is_gone() -> None:
    unused = {key.split()[-1] for key in ADVICE} - {code for _, code in spelled()} - OF_ALL
    assert not unused, f"remove {unused} from healthagent/surfaces/diagnosis.py"


@pytest.mark.parametrize("runtime", ["bun", "node"])
def test_how_sigterm_reaches_the_app_is_told_in_the_words_of_its_runtime(runtime: str) -> None:
    steps = " ".join(advice("process", "sigterm_lost", {"runtime": runtime}).steps)
    assert f'CMD ["{runtime}", "FILE"]' in steps
    assert f'"exec {runtime} FILE"' in steps


def test_an_init_is_the_last_cure_for_zombies_and_told_with_what_speaks_against_it() -> None:
    *better, last = advice("process", "zombies", {"name": "app-1"}).steps
    assert "init: true" not in " ".join(better), "an app that is PID 1 comes before an init"
    assert "init: true" in last and "8.1.1" in last, "the audit refuses an init: say so"


def test_a_database_without_a_name_is_looked_for_among_the_containers_first() -> None:
    first, *_ = advice("postgres", "name", {}).steps
    assert "docker ps --all" in first, "Docker drops the name of a container that does not run"
