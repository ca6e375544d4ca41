"""``event_loop``: does the process answer at all, and if not, in which way is it stuck?

A frozen process still has its TCP connections taken by the kernel, so only an answer counts. What
the process does meanwhile tells the kinds of silence apart: a busy loop runs (state R, its CPU
spins), a stopped one reads T, one that waits for something that never comes sleeps (S).
"""

from __future__ import annotations

from healthagent.checks.answer import refusal
from healthagent.core.check import Check, Group, Witness
from healthagent.core.observation import ContainerState, Livez, Observation, ProcessTree, Unseen
from healthagent.core.runtime import application
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict, degraded, failed, ok, unknown

SPINNING = 0.8
"""Share of one core from which a silent process counts as busy."""

LATE = 0.5
"""Share of the timeout from which an answer counts as late."""

TURNING = 5.0
"""Seconds for which an event loop that took up a request is believed to turn."""


def applies(target: Target) -> bool:
    return target.origin is not None and target.livez is not None


def judge(seen: Observation) -> Verdict:
    answer, tree = seen.see(Livez), seen.see(ProcessTree)
    if isinstance(answer, Unseen):
        return unknown("unseen", str(answer))
    if answer.passed:
        return _late(answer, tree, seen.target) or ok(
            f"{answer.path} answered {answer.status}", ms=_ms(answer)
        )
    unheard = answer.error == "unconnected" and _queued(tree, seen.target.port)
    if answer.error == "timeout" or unheard:
        return silence(answer, tree, seen)
    return refusal(answer, seen.target)


def _late(answer: Livez, tree: ProcessTree | Unseen, target: Target) -> Verdict | None:
    """An answer that came, and nearly too late."""
    if answer.elapsed < LATE * target.timing.timeout:
        return None
    queued = _queued(tree, target.port)
    busy = isinstance(tree, ProcessTree) and tree.cpu is not None and tree.cpu >= SPINNING
    if queued or busy:
        return degraded(
            "overloaded",
            f"{answer.path} took {_ms(answer):g} ms: the event loop has more to do than it can"
            f"{_waiting(queued)}; add replicas, or look for what keeps it busy",
            ms=_ms(answer),
            queued=queued,
        )
    return degraded(
        "slow", f"{answer.path} took {_ms(answer):g} ms; its timeout is near", ms=_ms(answer)
    )


def silence(answer: Livez, tree: ProcessTree | Unseen, seen: Observation) -> Verdict:
    """Which kind of silence it is."""
    target, container = seen.target, seen.see(ContainerState)
    silent = f"GET {answer.path} gave no answer within {target.timing.timeout:g} s"
    if isinstance(container, ContainerState) and container.status == "paused":
        return failed("paused", f"{silent}: the container is paused; docker unpause it")
    if isinstance(tree, Unseen):
        return failed("silent", f"{silent}; why cannot be seen: {tree}")
    app = application(tree, target.runtime)
    if app is None:
        return failed("silent", f"{silent}; no {target.runtime} process was found")
    queued = _queued(tree, target.port)
    if app.state in "Tt":
        return failed(
            "stopped",
            f"{silent}: pid {app.pid} is stopped (state {app.state}); "
            f"kill -CONT {app.pid} lets it go on",
            pid=app.pid,
            queued=queued,
        )
    if app.state == "R" or (tree.cpu is not None and tree.cpu >= SPINNING):
        spin = "" if tree.cpu is None else f", {tree.cpu:.0%} of a core"
        if tree.turned is None and tree.accept_queue is not None:
            return unknown(
                "busy",
                f"{silent}: the event loop is busy (state {app.state}{spin}); "
                "the next look shows whether it takes up requests",
            )
        if tree.turned is not None and tree.turned <= TURNING:
            return degraded(
                "overloaded",
                f"{silent}, but it took up requests {tree.turned:.1f} s ago: the event loop has "
                f"more to do than it can (state {app.state}{spin}{_waiting(queued)}); "
                "add replicas, or look for what keeps it busy",
                pid=app.pid,
                queued=queued,
            )
        return failed(
            "blocked",
            f"{silent}: the event loop is busy (state {app.state}{spin}); "
            "synchronous code does not return",
            pid=app.pid,
            queued=queued,
        )
    rests = "waits in the kernel" if app.state == "D" else "sleeps"
    return failed(
        "deadlocked",
        f"{silent}: the process {rests} (state {app.state}) and answers nothing; "
        "it waits for something that does not come",
        pid=app.pid,
        queued=queued,
    )


def _waiting(queued: int) -> str:
    return f", {queued} connections wait to be taken" if queued else ""


def _ms(answer: Livez) -> float:
    return round(answer.elapsed * 1000, 1)


def _queued(tree: ProcessTree | Unseen, port: int | None) -> int:
    if isinstance(tree, Unseen) or tree.accept_queue is None or port is None:
        return 0
    return tree.accept_queue.get(port, 0)


CHECK = Check(
    name="event_loop",
    groups=frozenset({Group.STARTUP, Group.LIVENESS}),
    witness=Witness.REPLICA,
    needs=(Livez, ProcessTree, ContainerState),
    applies=applies,
    judge=judge,
)
