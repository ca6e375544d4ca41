"""What follows from a target's declaration."""

from __future__ import annotations

import pytest

from healthagent.core.target import DatabaseRef, Timing


@pytest.mark.parametrize("interval", [0.5, 1.0, 60.0])
@pytest.mark.parametrize("timeout", [0.8, 12.0, 60.0])
def test_a_state_outlives_a_round_whose_looks_take_all_their_time(
    interval: float, timeout: float
) -> None:
    timing = Timing(interval=interval, timeout=timeout)
    round_takes = 2 * timeout  # the container's own state is looked at before the rest
    assert timing.stale_after > max(interval, round_takes), (
        "a check that passes grows stale while its round waits for another that hangs"
    )


def test_by_default_a_state_holds_for_ten_seconds() -> None:
    assert Timing().stale_after == 10.0


def test_a_state_holds_for_five_looks_where_they_are_seldom() -> None:
    assert Timing(interval=60.0).stale_after == 300.0


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("postgres", "postgres:5432/shop"),
        ("fd00::5", "[fd00::5]:5432/shop"),
        ("/run/postgresql", "/run/postgresql:5432/shop"),
    ],
)
def test_where_an_ipv6_address_ends_and_its_port_begins_can_be_read(host: str, told: str) -> None:
    assert str(DatabaseRef(host, 5432, "shop")) == told
