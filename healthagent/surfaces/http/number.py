"""Whole numbers in a request."""

from __future__ import annotations

import re

MOST_DIGITS = 18
"""More than any count or number of an event needs, and far fewer than ``int`` refuses."""


def whole(text: str) -> int | None:
    """The number from 0 on that ASCII digits spell; ``None`` for anything else, or too many."""
    return int(text) if re.fullmatch(rf"[0-9]{{1,{MOST_DIGITS}}}", text) else None
