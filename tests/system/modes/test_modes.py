"""Every failure mode, inflicted on a real replica: named for what it is, alone, and healed."""

from __future__ import annotations

import pytest

from provision.engine import Engine
from tests.system.conftest import running
from tests.system.modes.table import MODES, REGISTRATION, Mode
from tests.system.modes.trial import Outcome, try_all

ENOUGH = 35


@pytest.fixture(scope="module")
def outcomes(engine: Engine) -> dict[str, Outcome]:
    """On a stack of their own, which is gone once all are tried: the replicas take half a core. It
    has no Traefik: nobody would ask it, and to follow every change takes it more than that."""
    with running(engine, "app", "postgres", "agent") as stack:
        tried = try_all(stack, (*MODES, *REGISTRATION))
        return {outcome.mode.name: outcome for outcome in tried}


def test_the_table_is_long_enough_and_no_mode_stands_in_it_twice() -> None:
    assert len({mode.name for mode in MODES}) == len(MODES) >= ENOUGH


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
def test_a_fault_is_named_on_its_replica_alone_and_clears_when_healed(
    mode: Mode, outcomes: dict[str, Outcome]
) -> None:
    assert_right(outcomes[mode.name])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", REGISTRATION, ids=[mode.name for mode in REGISTRATION])
def test_an_executor_is_registered_once_it_is_launched_whatever_it_is_called(
    mode: Mode, outcomes: dict[str, Outcome]
) -> None:
    assert_right(outcomes[mode.name])


def assert_right(outcome: Outcome) -> None:
    mode = outcome.mode
    assert outcome.wrong == "", f"{mode.check} {mode.code}: {outcome.wrong}"
