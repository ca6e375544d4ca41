"""Waiting for what should come true, with a deadline and the last thing that was seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_POLL: Final = 0.1
_REST: Final = 4.0
"""Times as long as a look took are none: what is waited for needs the machine more than it does."""


class NotReached(Exception):
    """A step's condition did not come true in time; the text says what was seen last."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: whether the condition holds, and what there was to see."""

    holds: bool
    what: str


def until(expected: str, look: Callable[[], Seen], *, within: float) -> float:
    """Look again and again; return the seconds it took until ``expected`` held.

    Raises NotReached after ``within`` seconds.
    """
    begun = time.monotonic()
    while True:
        asked = time.monotonic()
        seen = look()
        now = time.monotonic()
        taken = now - begun
        if seen.holds:
            return taken
        if taken > within:
            raise NotReached(f"{expected}: not within {within:.0f} s; last seen: {seen.what}")
        time.sleep(max(_POLL, _REST * (now - asked)))
