"""What ``event_loop`` and ``http`` say alike of an answer: that it is late, or no success."""

from __future__ import annotations

from healthagent.core.observation import HttpAnswer
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict, failed, unknown

ATTACH = "attach the agent to a network of the replica"


LATE = 0.5
"""Share of the timeout from which an answer counts as late."""


def is_late(answer: HttpAnswer, target: Target) -> bool:
    """Whether it came nearly too late, or not at all."""
    return answer.elapsed >= LATE * target.timing.timeout


def refusal(answer: HttpAnswer, target: Target) -> Verdict:
    """The verdict on one that did not pass. What a silence means each check says itself."""
    where = f"GET {answer.path}"
    if answer.status is not None:
        said = f": {answer.body}" if answer.body else ""
        return failed("status", f"{where} answered {answer.status}{said}", status=answer.status)
    match answer.error:
        case "name":
            return unknown("unreachable", f"the name {target.address} does not resolve; {ATTACH}")
        case "unconnected" | "unreachable":
            return unknown(
                "unreachable", f"no connection to {target.address}:{target.port}; {ATTACH}"
            )
        case "refused":
            return failed("not_listening", f"nothing listens on port {target.port}")
        case _:
            return failed(
                answer.error or "invalid", f"{where} got no whole answer ({answer.error})"
            )
