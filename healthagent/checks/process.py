"""``process``: is the declared runtime PID 1, alone, running, and able to hear SIGTERM?"""

from __future__ import annotations

from healthagent.core.check import Check, Group, Witness
from healthagent.core.exits import WAITING, Exits, failed_start, inspected, name
from healthagent.core.observation import ContainerState, Observation, Process, ProcessTree, Unseen
from healthagent.core.runtime import (
    INITS,
    SHELLS,
    application,
    called,
    is_launcher,
    is_node_run,
    is_pm2,
    is_renamed,
    is_runtime,
    is_worker_of,
    runtime_of,
)
from healthagent.core.target import Runtime, Target
from healthagent.core.verdict import (
    Verdict,
    conclusively_failed,
    degraded,
    failed,
    ok,
    unknown,
)

SETTLED = 10.0
"""Seconds after which a further runtime process is no short-lived child any more, and an app that
has not set up its signal handlers is no starting one."""

STUCK = 5.0
"""Seconds after which a wait in the kernel is no slow disk any more."""

MANY_ZOMBIES = 5


def applies(target: Target) -> bool:
    return target.is_container or target.pid is not None or bool(target.pidfile)


def judge(seen: Observation) -> Verdict:
    target = seen.target
    if target.is_container:
        state = seen.see(ContainerState)
        if isinstance(state, ContainerState) and state.status != "running":
            return not_running(state, seen.see(Exits))
        if isinstance(state, Unseen):
            return unknown("unseen", str(state))
    tree = seen.see(ProcessTree)
    if isinstance(tree, Unseen):
        return unknown("unseen", str(tree))
    if tree.root is None:
        if target.is_container:
            return unknown("vanished", "the process ended while it was looked at")
        if target.pid == 0:
            names_none = f"{target.pidfile} holds no pid"
            return failed("gone", f"{names_none}; start the process, or name the file it writes")
        return conclusively_failed("gone", f"pid {target.pid} does not exist any more")
    return judge_tree(tree, tree.root, target)


def not_running(state: ContainerState, exits: Exits | Unseen) -> Verdict:
    """The verdict on a container that Docker does not call running."""
    blocked = failed_start(state)
    if blocked is not None:
        how = blocked.reason
    else:
        ends = exits.ends if isinstance(exits, Exits) else ()
        how = name(ends[-1] if ends else inspected(state)).reason
    match state.status:
        case "paused":
            return conclusively_failed("paused", "the container is paused; docker unpause it")
        case "restarting":
            return conclusively_failed(
                "restarting",
                f"{how}; Docker starts it again after its backoff",
                exit_code=state.exit_code,
                restarts=state.restart_count,
            )
        case "exited" | "dead":
            return conclusively_failed(
                "exited",
                f"the container does not run: {how}",
                exit_code=state.exit_code,
                oom_killed=state.oom_killed,
            )
        case "created" if blocked is not None:
            return conclusively_failed(
                "created", f"the container never ran: {how}", exit_code=state.exit_code
            )
        case "created":
            return unknown("waiting", WAITING)
        case _:
            return failed(state.status, f"the container is {state.status}")


def judge_tree(tree: ProcessTree, root: Process, target: Target) -> Verdict:
    """The verdict on a living process tree, the worst fault first."""
    runtime = target.runtime
    app = application(tree, runtime)
    manager = next((process for process in tree.processes if is_pm2(process)), None)
    if manager is not None:
        return failed(
            "pm2",
            f"PM2 runs in the container (pid {manager.pid}); start the app itself as PID 1",
            pid=manager.pid,
        )
    if app is None:
        return _without_app(tree, root, target)
    return (
        _halted(app)
        or _several(tree, app, runtime)
        or _deaf(tree, root, app, runtime)
        or _zombies(tree)
        or ok(f"{runtime} runs as pid {app.pid}", pid=app.pid, state=app.state)
    )


def _without_app(tree: ProcessTree, root: Process, target: Target) -> Verdict:
    """Why no process is seen to be the app: it is hidden, not there yet, or not there."""
    runtime = target.runtime
    first, option = "PID 1", "healthagent.runtime"
    if not target.is_container:
        first, option = f"pid {root.pid}", "runtime"
    hidden = _hidden(tree, root)
    if hidden is not None:
        who = first if hidden is root else f"pid {hidden.pid}"
        return _halted(hidden) or unknown(
            "renamed",
            f"{who} calls itself {hidden.comm!r}, so that it cannot be seen whether it is "
            f"{runtime}; leave process.title alone",
            comm=hidden.comm,
        )
    unread = next(filter(is_unread, tree.processes), None)
    if unread is not None:
        return _halted(unread) or unknown(
            "unseen",
            f"what pid {unread.pid} ({unread.comm!r}) was started with could not be read, so that "
            f"it cannot be seen whether it is {runtime}; see dmesg for a file system that is gone",
        )
    if is_starting(root):
        return unknown("starting", f"{first} is still {root.comm!r}, which may yet start the app")
    other = next(filter(None, map(runtime_of, tree.processes)), None)
    below = f"no {runtime} runs below it"
    if other is not None and other != runtime_of(root):
        below = f"{other} runs below it, not {runtime}"
    declared = f"{option}={other}" if other else option
    return failed(
        "wrong_runtime",
        f"{first} is {called(root)!r}, and {below}; declare {declared}, or start the app "
        f"with {runtime}",
        comm=root.comm,
    )


def _hidden(tree: ProcessTree, root: Process) -> Process | None:
    """PID 1, or what an init as PID 1 runs, where its name does not tell which program it is."""
    first = tree.children(root.pid) if root.comm in INITS else (root,)
    return next(filter(is_renamed, first), None)


def is_unread(process: Process) -> bool:
    """True for one that lives, and therefore has arguments that could not be read."""
    return not process.cmdline and process.state not in "ZXx"


def is_starting(root: Process) -> bool:
    """True where an entry script, or the runtime's own first step, has only just begun."""
    first = root.comm in SHELLS or root.comm.startswith(("runc:", "docker-"))
    return first and root.age is not None and root.age < SETTLED


def _halted(app: Process) -> Verdict | None:
    match app.state:
        case "T" | "t":
            return failed(
                "stopped",
                f"pid {app.pid} is stopped (state {app.state}), by SIGSTOP or a "
                f"debugger; kill -CONT {app.pid} lets it go on",
                pid=app.pid,
                state=app.state,
            )
        case "Z" | "X" | "x":
            return failed("zombie", f"pid {app.pid} has ended (state {app.state})", pid=app.pid)
        case "D" if app.waits is not None and app.waits >= STUCK:
            return failed(
                "uninterruptible",
                f"pid {app.pid} has waited in the kernel (state D) for {app.waits:.0f} s; "
                "look at its disk or network file system",
                pid=app.pid,
            )
        case _:
            return None


def _several(tree: ProcessTree, app: Process, runtime: Runtime) -> Verdict | None:
    others = [
        process
        for process in tree.processes
        if process.pid != app.pid
        and is_runtime(process, runtime)
        and not is_launcher(process, tree)
        and process.state != "Z"
        and (process.age is None or process.age >= SETTLED)
    ]
    if not others:
        return None
    count = len(others) + 1
    pids = f"pids {app.pid}, {others[0].pid}"
    if all(is_worker_of(process, app) for process in others):
        return failed(
            "cluster",
            f"the app starts workers of its own ({count} {runtime} processes, {pids}); "
            "let it serve by itself, and scale by replicas",
            count=count,
        )
    return failed(
        "second_process",
        f"{count} {runtime} processes in one container ({pids}); run one, and scale by replicas",
        count=count,
    )


def _deaf(tree: ProcessTree, root: Process, app: Process, runtime: Runtime) -> Verdict | None:
    """SIGTERM would not reach the app, or the app would not hear it."""
    if app.age is not None and app.age < SETTLED:
        return None
    above = _between(tree, root, app)
    runner = next(filter(is_node_run, above), None)
    if runner is not None:
        return degraded(
            "sigterm_lost",
            f"node --run (pid {runner.pid}) does not pass SIGTERM on to the app, whatever its "
            "script says; start the app itself",
            pid=runner.pid,
            runtime=runtime,
        )
    shell = next(filter(_swallows, above), None)
    if shell is not None and shell.pid == root.pid:
        return degraded(
            "sigterm_lost",
            f"PID 1 is {shell.comm}, which does not pass SIGTERM on to the app: docker stop will "
            "kill it; start the app with exec",
            pid=shell.pid,
            runtime=runtime,
        )
    if shell is not None:
        return degraded(
            "sigterm_lost",
            f"{shell.comm} (pid {shell.pid}) stands between PID 1 and the app, "
            'so that SIGTERM ends the shell and not the app; write "start": "exec ..."',
            pid=shell.pid,
            runtime=runtime,
        )
    if runtime == "bun" and app.catches_sigterm is False and app.pid == root.pid:
        return degraded(
            "sigterm_ignored",
            "the app has no SIGTERM handler, and PID 1 ignores a signal it does "
            'not handle: docker stop will kill it; add process.on("SIGTERM", ...)',
            pid=app.pid,
        )
    return None


def _swallows(process: Process) -> bool:
    """True for a shell that waits for the app with no trap for SIGTERM. Where its handlers cannot
    be seen, one that was given a line to run says itself whether it sets a trap."""
    if process.comm not in SHELLS:
        return False
    if process.catches_sigterm is None:
        return "-c" in process.cmdline and "trap" not in " ".join(process.cmdline)
    return not process.catches_sigterm


def _between(tree: ProcessTree, root: Process, app: Process) -> list[Process]:
    """The processes from the root down to the app, the root included, the app left out."""
    if app.pid == root.pid:
        return []
    by_pid = {process.pid: process for process in tree.processes}
    path: list[Process] = []
    parent = by_pid.get(app.ppid)
    while parent is not None and parent not in path:
        path.append(parent)
        parent = by_pid.get(parent.ppid)
    return path


def _zombies(tree: ProcessTree) -> Verdict | None:
    dead = [process for process in tree.processes if process.state == "Z"]
    if len(dead) < MANY_ZOMBIES:
        return None
    return degraded(
        "zombies",
        f"{len(dead)} ended children were never waited for (the first is "
        f"{dead[0].comm!r}); wait for them in the app, or end what forks them",
        count=len(dead),
    )


CHECK = Check(
    name="process",
    groups=frozenset({Group.LIVENESS}),
    witness=Witness.REPLICA,
    needs=(ContainerState, ProcessTree, Exits),
    applies=applies,
    judge=judge,
)
