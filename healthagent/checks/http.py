"""``http``: does the replica itself say that it is ready?"""

from __future__ import annotations

from healthagent.checks.answer import is_late, refusal
from healthagent.core.check import Check, Group, Witness
from healthagent.core.observation import ContainerState, Livez, Observation, Readyz, Unseen
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
        return _silence(answer, seen.see(Livez), seen.target)
    return refusal(answer, seen.target)


def _silence(answer: Readyz, livez: Livez | Unseen, target: Target) -> Verdict:
    """It may be that of the whole app, of which its other endpoint then says the same."""
    silent = f"GET {answer.path} gave no answer within {target.timing.timeout:g} s"
    if isinstance(livez, Livez) and is_late(livez, target):
        return failed("timeout", f"{silent}, and {livez.path} was as late: see event_loop")
    return failed(
        "timeout",
        f"{silent}; the app took the connection: look for a query that waits for its full pool, or "
        "for Postgres",
    )


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
    needs=(Readyz, Livez, ContainerState),
    applies=applies,
    judge=judge,
)
