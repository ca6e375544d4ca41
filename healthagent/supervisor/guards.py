"""The reasons not to restart a replica that does not live, each a question to the scene.

A restart is regretted where it cures nothing: the cause was elsewhere (a database, the machine),
the image is wrong, somebody was at work on it, or Docker was about to do it anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from healthagent.core.check import Group, Witness
from healthagent.core.report import CheckReport, Report, ServiceReport, TargetReport
from healthagent.core.verdict import Status
from healthagent.supervisor.memory import HOUR, Memory, Past

AT_ONCE = 60.0
"""Seconds within which failures count as come at once, and so as having one cause."""

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds from one restart of a replica to the next; doubled by each within the hour."""

JITTER = 0.25
"""The share of a pause that it may differ by, so that what fell together is not restarted so."""

BEING_STOPPED = 60.0
"""Seconds for which somebody who asked Docker to end a replica is taken to be at it. One that does
not heed that for longer is as dead as before, and nobody's to wait for."""

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
    """All that one decision looks at. ``replica`` does not live."""

    report: Report
    service: ServiceReport
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
    def fell(self) -> float:
        return self._fell(self.replica)

    def at_once(self, other: TargetReport) -> bool:
        return not other.live and abs(self._died(other) - self._died(self.replica)) <= AT_ONCE

    def _died(self, replica: TargetReport) -> float:
        """As far as it is known: what was dead when the agent started need not have fallen then."""
        return self.memory.died.get(replica.target.id, self._fell(replica))

    def _fell(self, replica: TargetReport) -> float:
        return self.memory.fell.get(replica.target.id, self.report.at)

    @property
    def pasts(self) -> tuple[Past, ...]:
        pasts = self.memory.restarts.get(self.replica.target.name, ())
        return tuple(past for past in pasts if self.report.at - past.at < HOUR)


def _static(scene: Scene) -> Refusal | None:
    if scene.replica.target.is_container:
        return None
    return Refusal("static", "it is no container, so that nobody here can start it again")


def _docker(scene: Scene) -> Refusal | None:
    """Docker, who set its restart policy, or who is stopping it has this in hand."""
    ending = _check(scene.replica, "exit")
    if ending is not None and ending.blocks:
        why = f"Docker answers its ends, by its restart policy: {ending.reason}"
        return Refusal("docker", why)
    since = ending.evidence.get("stopping_since") if ending is not None else None
    if isinstance(since, float) and abs(scene.report.at - since) < BEING_STOPPED:
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
    process = _check(scene.replica, "process")
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
    dead = scene.report.at - scene.fell
    if dead >= patience:
        return None
    return Refusal("patience", f"it has been dead for {dead:.0f} s; {patience:g} s are waited for")


def _database(scene: Scene) -> Refusal | None:
    """What all replicas of the service use is gone, as far as the agent can see."""
    for other in scene.service.targets:
        for check in other.checks:
            if check.shared and Status.FAILED in (check.holds, check.status):
                why = f"{check.name}, which its service shares, fails: {check.reason}"
                return Refusal("database", why)
    return None


def _service(scene: Scene) -> Refusal | None:
    """No replica of the service lives, of several that are meant to."""
    judged = [other for other in _meant(scene.service) if not other.starting]
    if len(judged) < 2 or any(other.live for other in judged):
        return None
    return Refusal(
        "service",
        f"all {len(judged)} replicas of {scene.service.name} are dead, so the cause is none of "
        "theirs: look at what they share",
    )


def _host(scene: Scene) -> Refusal | None:
    """Something fell in every service at once."""
    services = [meant for service in scene.report.services if (meant := _meant(service))]
    fallen = [meant for meant in services if any(map(scene.at_once, meant))]
    if len(services) < 2 or len(fallen) < len(services):
        return None
    return Refusal(
        "host",
        f"replicas of all {len(services)} services died within {AT_ONCE:.0f} s: look at the "
        "machine",
    )


def _quorum(scene: Scene) -> Refusal | None:
    service = scene.service
    fallen = [other for other in _meant(service) if scene.at_once(other)]
    if service.has_quorum or len(fallen) < 2:
        return None
    return Refusal(
        "quorum",
        f"{len(fallen)} replicas of {service.name} died within {AT_ONCE:.0f} s and took it below "
        f"its quorum ({len(service.ready)} of {service.quorum}): the cause may be shared",
    )


def _cap(scene: Scene) -> Refusal | None:
    pasts, most = scene.pasts, scene.limits.most
    if len(pasts) < most:
        return None
    minutes = (pasts[-most].at + HOUR - scene.report.at) / 60
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
    left = last.at + pause(len(scene.pasts), last.jitter) - scene.report.at
    if left <= 0:
        return None
    return Refusal("backoff", f"a restart was begun before; the next time is in {left:.0f} s")


def _busy(scene: Scene) -> Refusal | None:
    if scene.service.name not in scene.busy:
        return None
    return Refusal("busy", f"something is being done at {scene.service.name}; it has to end first")


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


def _check(replica: TargetReport, name: str) -> CheckReport | None:
    return next((check for check in replica.checks if check.name == name), None)


def _meant(service: ServiceReport) -> list[TargetReport]:
    """Those that are meant to live."""
    return [replica for replica in service.targets if not _put_down(replica)]


def _put_down(replica: TargetReport) -> bool:
    """Somebody stopped it on purpose, so that its silence says nothing about the others."""
    container, ending = replica.container, _check(replica, "exit")
    down = container is not None and container.status not in ("running", "restarting")
    return down and ending is not None and ending.status is not Status.FAILED
