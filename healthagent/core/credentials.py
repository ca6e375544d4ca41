"""The role with which the agent asks a database: its own, never the app's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from healthagent.core.observation import Unseen
from healthagent.core.target import DatabaseRef


@dataclass(frozen=True, slots=True)
class Credentials:
    """A role and its password; no password where the server asks for none.

    The password is left out of ``repr``, so that no log line and no traceback tells it.
    """

    user: str
    password: str | None = field(default=None, repr=False)


FindCredentials = Callable[[DatabaseRef], Credentials | Unseen]
"""Asked at each new connection, so that a password that was changed is found."""
