"""What many ask of one thing, worked out once and kept on the thing itself.

So it dies with it. A cache beside it would need a size: one too small for all that are asked about
in turn never has what is asked for, and one too large keeps what is over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple

Whole = TypeVar("Whole")
Rest = TypeVarTuple("Rest")
Made = TypeVar("Made")

_KEPT = "_kept"


def once(make: Callable[[Whole, *Rest], Made]) -> Callable[[Whole, *Rest], Made]:
    """Have a pure function of something frozen, and of what can be hashed, called once for it.

    What it is called on has a ``__dict__``, as for :class:`functools.cached_property`. Threads that
    ask at the same time may make it twice, and each get one that is right.
    """

    @wraps(make)
    def kept(whole: Whole, *rest: *Rest) -> Made:
        try:
            return whole.__dict__[_KEPT][make, rest]  # type: ignore[no-any-return]
        except KeyError:
            made = whole.__dict__.setdefault(_KEPT, {})
            return made.setdefault((make, rest), make(whole, *rest))  # type: ignore[no-any-return]

    return kept
