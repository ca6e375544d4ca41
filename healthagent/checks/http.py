"""``http``: does the replica itself say that it is ready?"""

from __future__ import annotations

from healthagent.checks.answer import refusal
from healthagent.core.check import Check, Group, Witness
from healthagent.core.observation import ContainerState, Observation, Readyz, Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict, failed, ok, unknown


def applies(target: Target) -> bool:
    """A container that is on no network declares what it cannot keep; a local process nothing."""
    reachable = target.address is not None or target.is_container
    return reachable and target.port is not None and target.readyz is not None


def judge(seen: Observation) -> Verdict:
    if seen.target.address is None:
        return _without_address(seen.see(ContainerState))
    answer = seen.see(Readyz)
    if isinstance(answer, Unseen):
        return unknown("unseen", str(answer))
    if answer.passed:
        return ok(f"{answer.path} answered {answer.status}", ms=round(answer.elapsed * 1000, 1))
    if answer.error == "timeout":
        return failed(
            "timeout",
            f"GET {answer.path} gave no answer within {seen.target.timing.timeout:g} s; "
            "the app took the connection: look for a query that waits for its full pool, or for "
            "Postgres",
        )
    return refusal(answer, seen.target)


def _without_address(state: ContainerState | Unseen) -> Verdict:
    """Docker gives one to each container that runs and is on a network."""
    if isinstance(state, Unseen):
        return unknown("unseen", str(state))
    if not state.up:
        return unknown("unseen", "the container does not run, and has no address")
    return failed("no_network", "the container runs and is on no network: nobody reaches it")


CHECK = Check(
    name="http",
    groups=frozenset({Group.STARTUP, Group.READINESS}),
    witness=Witness.REPLICA,
    needs=(Readyz, ContainerState),
    applies=applies,
    judge=judge,
)
