"""``http``: does the replica itself say that it is ready?"""

from __future__ import annotations

from healthagent.checks.answer import refusal
from healthagent.core.check import Check, Group, Witness
from healthagent.core.observation import Observation, Readyz, Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict, failed, ok, unknown


def applies(target: Target) -> bool:
    return target.origin is not None and target.readyz is not None


def judge(seen: Observation) -> Verdict:
    answer = seen.see(Readyz)
    if isinstance(answer, Unseen):
        return unknown("unseen", str(answer))
    if answer.passed:
        return ok(f"{answer.path} answered {answer.status}", ms=round(answer.elapsed * 1000, 1))
    if answer.error == "timeout":
        return failed(
            "timeout",
            f"GET {answer.path} gave no answer within {seen.target.timing.timeout:g} s; "
            "the app took the connection: look for a query that waits for its full pool",
        )
    return refusal(answer, seen.target)


CHECK = Check(
    name="http",
    groups=frozenset({Group.STARTUP, Group.READINESS}),
    witness=Witness.REPLICA,
    needs=(Readyz,),
    applies=applies,
    judge=judge,
)
