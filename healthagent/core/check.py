"""The seam: what a check is.

A check looks at facts and says what they mean. It never loops, waits, retries or reads a clock:
the watcher owns schedule and deadline, the timeline owns thresholds. To add one, write a file in
``healthagent/checks/`` that ends in ``CHECK = Check(...)`` and add it to the table there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from healthagent.core.observation import Fact, Observation
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict


class Group(StrEnum):
    """Kubernetes' three questions. A replica must pass liveness to count as ready."""

    STARTUP = "startup"
    LIVENESS = "liveness"
    READINESS = "readiness"


class Witness(StrEnum):
    """Whose word a check rests on.

    What the replica says itself counts as said. What only the agent sees takes a replica out of
    rotation only while its service keeps its quorum, since the agent's own eyes may be at fault.
    """

    REPLICA = "replica"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Check:
    """One question about one replica.

    ``needs`` are the kinds of fact that the watcher gathers before it calls ``judge``; a fact that
    could not be had is there as ``Unseen``. ``applies`` says whether the target declared what the
    check is about: what is not declared is not judged, and is absent rather than unknown.
    ``judge`` never raises, whatever the observation holds. ``shared`` marks a check of what all
    replicas of a service use: its failure is loud on each, and takes none of them out, since it is
    no evidence about any one. ``outlives_restart`` marks a check of what does not begin anew when
    the replica is started again: its state then holds from one run to the next.
    """

    name: str
    groups: frozenset[Group]
    witness: Witness
    needs: tuple[type[Fact], ...]
    applies: Callable[[Target], bool]
    judge: Callable[[Observation], Verdict]
    shared: bool = False
    outlives_restart: bool = False
