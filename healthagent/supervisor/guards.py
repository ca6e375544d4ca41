"""The reasons not to restart a replica that does not live, each a question to the scene.

A restart is regretted where it cures nothing: the cause was elsewhere (a database, the machine),
the image is wrong, somebody was at work on it, or Docker was about to do it anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from healthagent.core.check import Group, Witness
from healthagent.core.report import CheckReport, TargetReport
from healthagent.core.verdict import Status
from healthagent.supervisor.company import AT_ONCE, Company
from healthagent.supervisor.memory import HOUR, Memory, Past

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds from one restart of a replica to the next; doubled by each within the hour."""

JITTER = 0.25
"""The share of a pause that it may differ by, so that what fell together is not restarted so."""

BEING_STOPPED = 60.0
"""Seconds for which somebody who asked Docker to end a replica is taken to be at it. One that does
not heed that for longer is as dead as before, and nobody's to wait for."""

OUTLIVED = 300.0
"""Seconds from which replicas that live on in every service speak against a fault of the machine:
it would have taken more of them by then."""

HOPELESS = frozenset({"pm2", "wrong_runtime", "cluster", "second_process"})
"""Codes of ``process`` that the image or its command brings about: it would start as it was."""

Guard = Literal[
    "static",
    "docker",
    "paused",
    "unknown",
    "hopeless",
    "uninterruptible",
    "drained",
    "patience",
    "database",
    "service",
    "host",
    "quorum",
    "cap",
    "backoff",
    "busy",
]
"""The stable names of the refusals."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``patience`` is how many seconds a replica must have been dead without a break: meanwhile a
    busy event loop may come back, and a shared cause shows itself. ``most`` is how often one
    replica is restarted within an hour."""

    patience: float = 5.0
    most: int = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    code: Guard
    why: str


@dataclass(frozen=True, slots=True)
class Scene:
    """All that one decision looks at. ``replica`` does not live; ``company`` is its service, one of
    ``all``. ``now`` is the report's time."""

    now: float
    all: tuple[Company, ...]
    company: Company
    replica: TargetReport
    memory: Memory
    busy: frozenset[str]
    limits: Limits

    @property
    def causes(self) -> tuple[CheckReport, ...]:
        """What says so: the replica's own word, as it is now."""
        return tuple(
            check
            for check in self.replica.checks
            if Group.LIVENESS in check.groups
            and check.witness is Witness.REPLICA
            and check.blocks
            and check.status is Status.FAILED
        )

    @property
    def died(self) -> float:
        return self.company.died(self.replica)

    @property
    def pasts(self) -> tuple[Past, ...]:
        pasts = self.memory.restarts.get(self.replica.target.name, ())
        return tuple(past for past in pasts if self.now - past.at < HOUR)


def _static(scene: Scene) -> Refusal | None:
    if scene.replica.target.is_container:
        return None
    return Refusal("static", "it is no container, so that nobody here can start it again")


def _docker(scene: Scene) -> Refusal | None:
    """Docker, who set its restart policy, or who is stopping it has this in hand."""
    ending = scene.replica.check("exit")
    if ending is not None and ending.blocks:
        why = f"Docker answers its ends, by its restart policy: {ending.reason}"
        return Refusal("docker", why)
    since = ending.evidence.get("stopping_since") if ending is not None else None
    if isinstance(since, float) and abs(scene.now - since) < BEING_STOPPED:
        return Refusal("docker", "somebody is stopping it: a signal to end came through Docker")
    container = scene.replica.container
    if container is not None and not container.up:
        return Refusal(
            "docker", f"the container is {container.status}: whether it runs is Docker's to decide"
        )
    return None


def _paused(scene: Scene) -> Refusal | None:
    container = scene.replica.container
    if container is None or container.status != "paused":
        return None
    return Refusal("paused", "somebody paused the container; docker unpause lets it go on")


def _unknown(scene: Scene) -> Refusal | None:
    if scene.causes and scene.replica.container is not None:
        return None
    return Refusal("unknown", "how it is now cannot be seen, and unknown is not dead")


def _hopeless(scene: Scene) -> Refusal | None:
    process = scene.replica.check("process")
    if process is None or not process.blocks:
        return None
    if process.code in HOPELESS:
        return Refusal("hopeless", f"a restart would not cure it: {process.reason}")
    if process.code == "uninterruptible":
        return Refusal("uninterruptible", f"no signal would reach it: {process.reason}")
    return None


def _drained(scene: Scene) -> Refusal | None:
    drain = scene.replica.drain
    if drain is None or not drain.lasting:
        return None
    return Refusal("drained", f"it is {drain}, who may be at work on it; undrain it first")


def _patience(scene: Scene) -> Refusal | None:
    """Long enough, too, for a check of what is shared to fail on all replicas."""
    timing = scene.replica.target.timing
    patience = max(scene.limits.patience, (timing.fall + 1) * timing.interval)
    dead = scene.now - scene.company.fell(scene.replica)
    if dead >= patience:
        return None
    return Refusal("patience", f"it has been dead for {dead:.0f} s; {patience:g} s are waited for")


def _database(scene: Scene) -> Refusal | None:
    """What all replicas of the service use is gone, as far as the agent can see."""
    check = scene.company.shared_fault
    if check is None:
        return None
    return Refusal("database", f"{check.name}, which its service shares, fails: {check.reason}")


def _service(scene: Scene) -> Refusal | None:
    """No replica of the service lives, of several that are meant to."""
    company = scene.company
    if not company.all_dead:
        return None
    return Refusal(
        "service",
        f"all {company.all_dead} replicas of {company.name} are dead, so the cause is none of "
        "theirs: look at what they share",
    )


def _host(scene: Scene) -> Refusal | None:
    """Something fell in every service at once, and those who are left may be next."""
    companies = [company for company in scene.all if company.meant]
    if len(companies) < 2 or not all(company.died_by(scene.died) for company in companies):
        return None
    if scene.now - scene.died >= OUTLIVED and all(company.lives for company in companies):
        return None
    return Refusal(
        "host",
        f"replicas of all {len(companies)} services died within {AT_ONCE:.0f} s: look at the "
        f"machine; where others of each live on for {OUTLIVED / 60:.0f} min, it is restarted",
    )


def _quorum(scene: Scene) -> Refusal | None:
    company = scene.company
    fallen = company.died_by(scene.died)
    if company.ready >= company.quorum or fallen < 2:
        return None
    return Refusal(
        "quorum",
        f"{fallen} replicas of {company.name} died within {AT_ONCE:.0f} s and took it below "
        f"its quorum ({company.ready} of {company.quorum}): the cause may be shared",
    )


def _cap(scene: Scene) -> Refusal | None:
    pasts, most = scene.pasts, scene.limits.most
    if len(pasts) < most:
        return None
    minutes = (pasts[-most].at + HOUR - scene.now) / 60
    times = "once" if len(pasts) == 1 else f"{len(pasts)} times"
    return Refusal(
        "cap",
        f"a restart was begun {times} within the hour and it is dead: that does not help, and none "
        f"is begun for {max(1.0, minutes):.0f} min",
    )


def _backoff(scene: Scene) -> Refusal | None:
    if not scene.pasts:
        return None
    last = scene.pasts[-1]
    left = last.at + pause(len(scene.pasts), last.jitter) - scene.now
    if left <= 0:
        return None
    return Refusal("backoff", f"a restart was begun before; the next time is in {left:.0f} s")


def _busy(scene: Scene) -> Refusal | None:
    if scene.company.name not in scene.busy:
        return None
    return Refusal("busy", f"something is being done at {scene.company.name}; it has to end first")


Question = Callable[[Scene], Refusal | None]

_OF_ITSELF: tuple[Question, ...] = (_static, _docker, _paused, _unknown, _hopeless, _drained)
_OF_OTHERS: tuple[Question, ...] = (_database, _service, _host, _quorum)

REFUSALS = (_busy, *_OF_ITSELF, _patience, *_OF_OTHERS, _cap, _backoff)
"""All, in the order in which they are asked: first what an act of the agent's own brings about,
then what tells most of the replica, then what tells of others, then how often."""

LASTING = (*_OF_ITSELF, *_OF_OTHERS)
"""Those that are asked again just before the stop."""

WAITING = frozenset({"patience", "backoff", "busy"})


def pause(restarts: int, jitter: float) -> float:
    """Seconds to wait after the last of so many restarts within the hour. ``jitter`` is from -1
    to 1."""
    plain: float = min(FIRST_PAUSE * 2 ** (restarts - 1), LONGEST_PAUSE)
    return plain * (1 + JITTER * jitter)
