"""Whether a replica that does not live is to be restarted: a pure decision, with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from healthagent.core.report import Report, TargetReport
from healthagent.supervisor.company import Company
from healthagent.supervisor.guards import LASTING, REFUSALS, WAITING, Guard, Limits, Scene
from healthagent.supervisor.memory import Memory


class Choice(StrEnum):
    """``WAIT`` will be decided anew by itself; ``REFUSE`` only where something changes."""

    ACT = "act"
    OBSERVE = "observe"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one dead replica, and why, for the person on call."""

    replica: TargetReport
    choice: Choice
    code: Guard | Literal["restart", "observe"]
    why: str


def decide(
    report: Report, memory: Memory, busy: Set[str] = frozenset(), limits: Limits | None = None
) -> tuple[Decision, ...]:
    """One decision for each replica that does not live; none before the agent has judged all.

    ``memory`` is as it is :meth:`~Memory.after` the report; ``busy`` are the services at which
    something is being done. No more than one replica of a service is to be acted on.
    """
    if not report.settled:
        return ()
    return tuple(_all(report, memory, busy, limits or Limits()))


def _all(report: Report, memory: Memory, busy: Set[str], limits: Limits) -> Iterator[Decision]:
    taken = set(busy)
    companies = _companies(report, memory)
    for company in companies:
        for replica in company.replicas:
            if replica.live:
                continue
            scene = Scene(report.at, companies, company, replica, memory, frozenset(taken), limits)
            decision = _decision(scene)
            if decision.choice is Choice.ACT:
                taken.add(company.name)
            yield decision


def _decision(scene: Scene) -> Decision:
    replica = scene.replica
    refusal = next((found for ask in REFUSALS if (found := ask(scene))), None)
    if refusal is not None:
        choice = Choice.WAIT if refusal.code in WAITING else Choice.REFUSE
        return Decision(replica, choice, refusal.code, refusal.why)
    why = "; ".join(f"{cause.name} {cause.code}: {cause.reason}" for cause in scene.causes)
    if replica.target.supervise == "observe":
        return Decision(replica, Choice.OBSERVE, "observe", why)
    return Decision(replica, Choice.ACT, "restart", why)


def spared(report: Report, memory: Memory, name: str) -> str:
    """Why a replica that was about to be restarted is not to be, as things are now: empty where
    nothing speaks against it. What was decided with its pauses and its cap is not asked again."""
    companies = _companies(report, memory)
    for company in companies:
        for replica in company.replicas:
            if replica.target.name == name:
                if replica.live:
                    return "it lives again"
                scene = Scene(report.at, companies, company, replica, memory, frozenset(), Limits())
                asked = (ask(scene) for ask in LASTING)
                return next((refusal.why for refusal in asked if refusal), "")
    return "it is not there any more"


def _companies(report: Report, memory: Memory) -> tuple[Company, ...]:
    return tuple(Company(service, memory, report.at) for service in report.services)
