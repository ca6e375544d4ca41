"""``http``: does the replica itself say that it is ready?"""

from __future__ import annotations

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
    return refusal(answer, seen.target)


def refusal(answer: Readyz, target: Target) -> Verdict:
    """The verdict on an answer that is not a success."""
    where = f"GET {answer.path}"
    if answer.status is not None:
        said = f": {answer.body}" if answer.body else ""
        return failed("status", f"{where} answered {answer.status}{said}", status=answer.status)
    match answer.error:
        case "name":
            return unknown(
                "unreachable",
                f"the name {target.address} does not resolve; "
                "attach the agent to a network of the replica",
            )
        case "unconnected" | "unreachable":
            return unknown(
                "unreachable",
                f"no connection to {target.address}:{target.port}; "
                "attach the agent to a network of the replica",
            )
        case "refused":
            return failed("not_listening", f"nothing listens on port {target.port}")
        case "timeout":
            return failed(
                "timeout",
                f"{where} gave no answer within {target.timing.timeout:g} s; "
                "the app took the connection: look for a query that waits for its full pool",
            )
        case _:
            return failed(
                answer.error or "invalid", f"{where} got no whole answer ({answer.error})"
            )


CHECK = Check(
    name="http",
    groups=frozenset({Group.STARTUP, Group.READINESS}),
    witness=Witness.REPLICA,
    needs=(Readyz,),
    applies=applies,
    judge=judge,
)
