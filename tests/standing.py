"""What the tests of a group share, such as a stack: up for the first that asks, and gone after the
last of them.

pytest knows no such scope. Kept for the session, a stack would stand idle until the last test of
its process has ended, and take a quarter of a processor from those that still run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar, cast

T = TypeVar("T")

_standing = ExitStack()
_made: dict[object, object] = {}


def for_group(start: Callable[..., AbstractContextManager[T]], *given: object) -> T:
    """What ``start`` made for this group, or makes of these arguments now."""
    if start not in _made:
        _made[start] = _standing.enter_context(start(*given))
    return cast("T", _made[start])


def end() -> None:
    """Have all of it gone, what was made last first."""
    _made.clear()
    _standing.close()
