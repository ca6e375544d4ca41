"""What the agent adds to a user's routers of its own: how long Traefik waits, and what it repeats.

Facts are those of Traefik 3.7: ``pkg/middlewares/retry/retry.go`` and its documentation's "Retry".
The contract tests show each to the real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from healthagent.core.target import Traffic

Things = Mapping[str, Mapping[str, Any]]
"""Routers, services, middlewares or transports by name."""

NAME: Final = "healthagent"
"""What all that the agent generates is called after; Traefik adds ``@http``."""

DIAL_TIMEOUT: Final = "500ms"
"""A container that is gone answers no SYN, and by Traefik's default a request would hang on it for
30 s. On one machine a SYN takes microseconds, and Linux repeats a lost one only after 1 s (RFC
6298): half a second is long enough to know, and short enough to ask another replica."""

_UNSENT: Final = f"{NAME}-unsent"
_IDEMPOTENT: Final = f"{NAME}-idempotent"

_RETRIES: Final[Things] = {
    # Without ``status`` Traefik repeats only what failed before a byte of it was sent, so a POST as
    # well. Each attempt takes the next server in turn, which among many concurrent requests may be
    # the dead one again: of three, one in three. Six attempts leave 1 in 243 of those to fail.
    _UNSENT: {"retry": {"attempts": 6, "initialInterval": "20ms"}},
    # What was sent and got no answer: 502 when the replica died over it, 504 when it began none in
    # time. Traefik repeats it for idempotent methods alone. Here once: a request that kills its
    # replica must not kill all. And not after ``timeout``: a page that takes half a minute must not
    # be asked for twice, nor six dials be made twelve.
    _IDEMPOTENT: {
        "retry": {
            "attempts": 2,
            "status": ["502", "504"],
            "disableRetryOnNetworkError": True,
            "timeout": "3s",
        }
    },
}

_CHAINS: Final = {
    "idempotent": (_IDEMPOTENT, _UNSENT),
    "unsent": (_UNSENT,),
    "none": (),
}
"""Outermost first. They stand last in a router, so that no guard before them is asked twice."""


def retries(traffic: Traffic) -> Things:
    """The middlewares that a replica's routers get, in their order."""
    return {name: _RETRIES[name] for name in _CHAINS[traffic.retry]}


def is_retry(name: str) -> bool:
    """Whether a middleware is one of those above."""
    return name in _RETRIES


def transports(traffic: Traffic) -> Things:
    """The serversTransport of a replica's services, by its name."""
    milliseconds = round(traffic.response * 1000)
    name = NAME if traffic.response == Traffic().response else f"{NAME}-{milliseconds}ms"
    timeouts = {
        "dialTimeout": DIAL_TIMEOUT,
        "responseHeaderTimeout": f"{milliseconds}ms",
    }
    return {name: {"forwardingTimeouts": timeouts}}
