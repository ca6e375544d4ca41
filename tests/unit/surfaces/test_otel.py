"""Which refusals of a collector are for good."""

from __future__ import annotations

import grpc  # type: ignore[import-untyped]
import pytest

from healthagent.surfaces.otel.exporter import refuses


@pytest.mark.parametrize(
    "told",
    [
        400,
        413,
        grpc.StatusCode.INVALID_ARGUMENT,
        "Received message larger than max (5000000 vs. 4194304)",
        "grpc: received message after decompression larger than max 4194304",
        UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
    ],
    ids=str,
)
def test_what_a_request_holds_is_refused_for_good(told: object) -> None:
    assert refuses(told)


@pytest.mark.parametrize(
    "told",
    [
        None,
        401,
        404,
        429,
        503,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Connection refused",
        ValueError("Cannot invoke RPC on closed channel!"),
    ],
    ids=str,
)
def test_a_collector_that_is_busy_away_or_asked_wrongly_may_take_it_later(told: object) -> None:
    assert not refuses(told)
