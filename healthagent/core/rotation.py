"""What somebody decided about a replica's traffic, beside what the checks found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drain:
    """That a replica was taken out of rotation on purpose, and gets no new request until it is
    *undrained* (Kubernetes would call it cordoned). It lives on, and is judged on.

    ``by`` is who asked (a person, ``roll``, ``supervisor``), ``why`` their reason in words,
    ``since`` when, in seconds since the epoch. ``lasting`` marks one that somebody asked for by
    itself: it holds until it is taken back, over a restart of the agent too. The others are part of
    an act and end with it.
    """

    by: str
    why: str
    since: float
    lasting: bool = False

    def __str__(self) -> str:
        by = f"drained by {self.by}" if self.by else "drained"
        return f"{by}: {self.why}" if self.why else by


@dataclass(frozen=True, slots=True)
class Told:
    """What a router was told when it asked for its configuration.

    ``at`` is when it was first sent exactly these ``servers``, which it has to this day, in seconds
    by the monotonic clock; they are hosts with their ports.
    """

    at: float
    servers: frozenset[str]

    def has(self, address: str) -> bool:
        """Whether a server at this address is among them, on whichever port."""
        host = f"[{address}]" if ":" in address else address
        return any(server.rpartition(":")[0] == host for server in self.servers)
