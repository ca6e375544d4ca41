"""``event_loop``: does the process answer at all, and if not, in which way is it stuck?

A frozen process still has its TCP connections taken by the kernel, so only an answer counts. What
the process does meanwhile tells the kinds of silence apart: a busy loop runs (state R, its CPU
spins), a stopped one reads T, one that waits for something that never comes sleeps (S).
"""

from __future__ import annotations

from healthagent.checks.answer import is_late, refusal
from healthagent.core.check import Check, Group, Witness
from healthagent.core.observation import (
    ContainerState,
    Livez,
    Observation,
    Process,
    ProcessTree,
    Unseen,
)
from healthagent.core.runtime import application
from healthagent.core.target import Target, is_loopback
from healthagent.core.verdict import Verdict, degraded, failed, ok, unknown

SPINNING = 0.8
"""Share of one core from which a silent process counts as busy."""

LITTLE = 0.5
"""Share of the time, running or about to, below which an event loop has little to do. On a machine
with four times the work it has cores for, one that was asked once a second came to 0.25."""

TURNING = 5.0
"""Seconds for which an event loop that took up a request is believed to turn."""

SPARE = 2
"""File descriptors below its limit from which a process counts as having none left."""

FEW = 3
"""Other ports that are worth naming: more are of a host, whose network the container shares."""


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
    if answer.error == "refused":
        return _closed(tree, seen.target) or refusal(answer, seen.target)
    if answer.error == "reset":
        return _cut(answer, tree, seen.target) or refusal(answer, seen.target)
    return refusal(answer, seen.target)


def _late(answer: Livez, tree: ProcessTree | Unseen, target: Target) -> Verdict | None:
    """An answer that came, and nearly too late."""
    if not is_late(answer, target):
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


def _cut(answer: Livez, tree: ProcessTree | Unseen, target: Target) -> Verdict | None:
    """Why it hangs up, where that is seen."""
    app = None if isinstance(tree, Unseen) else application(tree, target.runtime)
    return None if app is None else _full(f"GET {answer.path} got no whole answer", app)


def _closed(tree: ProcessTree | Unseen, target: Target) -> Verdict | None:
    """What listens in the container instead, where that tells why its port is closed."""
    if isinstance(tree, Unseen):
        return None
    inside = {listener for listener in tree.listeners if is_loopback(listener[0])}
    outside = {port for _, port in tree.listeners - inside}
    alone = sorted(address for address, port in inside if port == target.port)
    if target.port in outside:
        return None  # it did a moment ago
    if alone:
        return failed(
            "not_listening",
            f"port {target.port} is open on {' and '.join(alone)} alone, where nobody outside the "
            "container reaches it; let the app listen on 0.0.0.0",
        )
    if 0 < len(outside) <= FEW:
        return failed(
            "not_listening",
            f"nothing listens on port {target.port}, but on {_listed(outside)}; compare the port "
            "that the app takes with healthagent.port",
        )
    return None


def _listed(ports: set[int]) -> str:
    return ", ".join(map(str, sorted(ports)))


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
    if full := _full(silent, app):
        return full
    if app.state == "D" and _turns(tree):
        return degraded(
            "overloaded",
            f"{silent}, but it took up requests {tree.turned:.1f} s ago: the event loop waits for "
            f"files again and again (state D{_waiting(queued)}); look at its disk, and let the app "
            "use no synchronous calls for files",
            pid=app.pid,
            queued=queued,
        )
    if _is_busy(app, tree):
        return _busy(silent, app, tree, queued)
    rests = {"D": "waits in the kernel", "R": "has little to do"}.get(app.state, "sleeps")
    return failed(
        "deadlocked",
        f"{silent}: the process {rests} (state {app.state}) and answers nothing; "
        "it waits for something that does not come",
        pid=app.pid,
        queued=queued,
    )


def _busy(silent: str, app: Process, tree: ProcessTree, queued: int) -> Verdict:
    """It has more to do than it can, or one thing that does not end."""
    spin = "" if tree.cpu is None else f", {tree.cpu:.0%} of a core"
    busy = f"the event loop is busy (state {app.state}{spin})"
    if tree.turned is None and tree.accept_queue is not None:
        next_look = "the next look shows whether it takes up requests"
        return unknown("busy", f"{silent}: {busy}; {next_look}")
    if _turns(tree):
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
        f"{silent}: {busy}; synchronous code does not return",
        pid=app.pid,
        queued=queued,
    )


def _turns(tree: ProcessTree) -> bool:
    return tree.turned is not None and tree.turned <= TURNING


def _is_busy(app: Process, tree: ProcessTree) -> bool:
    """Whether its event loop may be. One that waits for nothing but its turn on a busy machine is
    in state R at the moment of a look as well, and a core may be taken by another of its threads,
    or by a child: so it is none that has little to do."""
    wanted = app.wanted
    if wanted is not None and wanted < LITTLE:
        return False
    takes = max(tree.cpu or 0.0, wanted or 0.0)
    return app.state == "R" or takes >= SPINNING


def _full(what: str, app: Process) -> Verdict | None:
    """That it has no file descriptor left, where it has none. Bun then tries again and again to
    take a connection, Node takes it and hangs up: for that it keeps a descriptor in reserve."""
    if app.files is None:
        return None
    used, most = app.files
    if used < most - SPARE:
        return None
    return failed(
        "no_files",
        f"{what}: pid {app.pid} has {used} files and connections open and may have {most}, so that "
        "it takes no more; see which it does not close, or raise ulimits.nofile",
        pid=app.pid,
        open=used,
        limit=most,
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
