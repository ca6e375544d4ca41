"""The table: what is done to which container, and which reason must then stand where."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.system.exits.image import BASH


@dataclass(frozen=True, slots=True)
class Box:
    """One container, and the Docker client."""

    name: str
    docker: Callable[..., str]

    @property
    def pid(self) -> int:
        """Its first process', as the host counts."""
        return int(self.docker("inspect", "--format", "{{.State.Pid}}", self.name))


Act = Callable[[Box], object]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check is to say: its code, and some words of its reason."""

    check: Literal["process", "exit"]
    code: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """``command`` runs; ``before`` is seen; ``act`` is done; each of ``after`` is seen, one behind
    the other; Docker's exit code is ``exit_code``. What is ``None`` is left out."""

    what: str
    command: str
    after: tuple[Seen, ...]
    exit_code: int | None = None
    before: Seen | None = None
    act: Act | None = None
    options: str = ""
    runtime: str = "bun"


def stop(box: Box) -> None:
    box.docker("stop", "--time", "1", box.name)


def kill(box: Box) -> None:
    box.docker("kill", box.name)


def pause(box: Box) -> None:
    box.docker("pause", box.name)


def unpause(box: Box) -> None:
    box.docker("unpause", box.name)


def freeze(box: Box) -> None:
    box.docker("kill", "--signal", "STOP", box.name)


def from_outside(number: signal.Signals) -> Act:
    """A signal from the host, of which Docker knows nothing."""

    def send(box: Box) -> None:
        os.kill(box.pid, number)

    return send


def inside(command: str) -> Act:
    def execute(box: Box) -> None:
        box.docker("exec", box.name, *command.split())

    return execute


WELL = Seen("process", "ok")
DEAF = Seen("process", "sigterm_ignored", "docker stop will kill it")
CUT_OFF = Seen("process", "sigterm_lost", "stands between PID 1 and the app")
SHELL_FIRST = Seen("process", "sigterm_lost", "start the app with exec")
GONE = Seen("process", "exited", "does not run")
KILLED = Seen("exit", "killed", "did not come through Docker")
TOO_LATE = Seen("exit", "killed_after_grace", "ignored SIGTERM and was killed")
UNCLEAN = Seen("exit", "unclean_stop", "exit 7")
OOM = Seen("exit", "oom_killed", "want of memory")
CRASHED = Seen("exit", "crashed")
ERROR = Seen("exit", "error", "exit 1")
BY_ITSELF = Seen("exit", "ended", "by itself with exit 0")
LOOP = Seen("exit", "crash_loop")
PM2 = Seen("process", "pm2")

SMALL = "--memory 96m --memory-swap 96m"
INIT = "--init"
WITH_BASH = f"--env PATH={BASH}"
PM2_RUNTIME = "node_modules/pm2/bin/pm2-runtime"


def on_purpose(code: int) -> tuple[Seen, Seen]:
    said = f"stopped on purpose (exit {code})"
    return Seen("process", "exited", said), Seen("exit", "ok", said)


BUN = (
    Row("bun without a handler is stopped", "bun app.js idle", (TOO_LATE,), 137, DEAF, stop),
    Row("bun handles a stop", "bun app.js handler 0", on_purpose(0), 0, WELL, stop),
    Row("bun fails in its shutdown", "bun app.js handler 7", (UNCLEAN,), 7, WELL, stop),
    Row("bun is killed", "bun app.js handler 0", (GONE, KILLED), 137, WELL,
        from_outside(signal.SIGKILL)),
    Row("bun takes too much memory", "bun app.js grow", (OOM,), 137, options=SMALL),
    Row("bun throws", "bun app.js throw", (ERROR,), 1),
    Row("bun rejects", "bun app.js reject", (ERROR,), 1),
    Row("bun crashes", "bun app.js handler 0", (CRASHED,), 132, WELL,
        from_outside(signal.SIGSEGV)),
    Row("bun aborts", "bun app.js abort", (CRASHED,), 132),
    Row("bun under an init has no handler", "bun app.js idle", on_purpose(143), 143, WELL, stop,
        INIT),
    Row("bun ends by itself", "bun app.js exit 0", (BY_ITSELF,), 0),
    Row("bun is killed through Docker", "bun app.js handler 0", on_purpose(137), 137, WELL, kill),
)  # fmt: skip

BUN_RUN_WITH_DASH = (
    Row("sh, no handler", "bun run idle", on_purpose(143), 143, CUT_OFF, stop),
    Row("sh, a handler", "bun run handler0", on_purpose(143), 143, CUT_OFF, stop),
    Row("sh, a handler that fails", "bun run handler7", on_purpose(143), 143, CUT_OFF, stop),
    Row("sh, exec", "bun run exec7", (UNCLEAN,), 7, WELL, stop),
    Row("sh, killed", "bun run handler0", (KILLED,), 137, CUT_OFF, from_outside(signal.SIGKILL)),
    Row("sh, out of memory", "bun run grow", (OOM,), 137, options=SMALL),
    Row("sh, throws", "bun run throw", (ERROR,), 1),
    Row("sh, the app crashes", "bun run segv", (CRASHED,), 139),
    Row("sh, bun run crashes", "bun run handler0", (CRASHED,), 132, CUT_OFF,
        from_outside(signal.SIGSEGV)),
    Row("sh, aborts", "bun run abort", (CRASHED,), 134),
    Row("sh, under an init", "bun run handler7", on_purpose(143), 143, CUT_OFF, stop, INIT),
    Row("sh, SIGTERM from the host", "bun run handler0",
        (Seen("exit", "terminated", "SIGTERM"),), 143, CUT_OFF, from_outside(signal.SIGTERM)),
)  # fmt: skip

BUN_RUN_WITH_BASH = (
    Row("bash, no handler", "bun run idle", on_purpose(143), 143, WELL, stop, WITH_BASH),
    Row("bash, a handler", "bun run handler0", on_purpose(0), 0, WELL, stop, WITH_BASH),
    Row("bash, a handler that fails", "bun run handler7", (UNCLEAN,), 7, WELL, stop, WITH_BASH),
    Row("bash, exec", "bun run exec7", (UNCLEAN,), 7, WELL, stop, WITH_BASH),
    Row(
        "bash, killed",
        "bun run handler0",
        (KILLED,),
        137,
        WELL,
        from_outside(signal.SIGKILL),
        WITH_BASH,
    ),
    Row("bash, out of memory", "bun run grow", (OOM,), 137, options=f"{SMALL} {WITH_BASH}"),
    Row("bash, throws", "bun run throw", (ERROR,), 1, options=WITH_BASH),
    Row("bash, the app crashes", "bun run segv", (CRASHED,), 139, options=WITH_BASH),
    Row("bash, aborts", "bun run abort", (CRASHED,), 134, options=WITH_BASH),
    Row(
        "bash, under an init",
        "bun run idle",
        on_purpose(143),
        143,
        WELL,
        stop,
        f"{INIT} {WITH_BASH}",
    ),
)

NODE = (
    Row("node without a handler is stopped", "node app.js idle", (TOO_LATE,), 137, WELL, stop,
        runtime="node"),
    Row("node handles a stop", "node app.js handler 0", on_purpose(0), 0, WELL, stop,
        runtime="node"),
    Row("node fails in its shutdown", "node app.js handler 7", (UNCLEAN,), 7, WELL, stop,
        runtime="node"),
    Row("node is killed", "node app.js idle", (KILLED,), 137, WELL, from_outside(signal.SIGKILL),
        runtime="node"),
    Row("node takes too much memory", "node app.js grow", (OOM,), 137, options=SMALL,
        runtime="node"),
    Row("node throws", "node app.js throw", (ERROR,), 1, runtime="node"),
    Row("node rejects", "node app.js reject", (ERROR,), 1, runtime="node"),
    Row("node aborts", "node app.js abort", (CRASHED,), 139, runtime="node"),
    Row("node under an init has no handler", "node app.js idle", on_purpose(143), 143, WELL, stop,
        INIT, "node"),
)  # fmt: skip

ENTRY = (
    Row("no such program", "", (Seen("process", "created", "never ran"),
        Seen("exit", "not_found", "/nope")), 127, options="--entrypoint /nope"),
    Row("no program at all", "", (Seen("exit", "not_executable", "permission denied"),), 126,
        options="--entrypoint /etc/passwd"),
    Row("a shell finds no program", "sh -c nope", (Seen("exit", "not_found", "127"),), 127),
    Row("a shell may not run it", "sh -c /etc/passwd", (Seen("exit", "not_executable", "126"),),
        126),
    Row("a shell stays in front", "sh -c 'bun app.js handler; true'", (TOO_LATE,), 137,
        SHELL_FIRST, stop),
    Row("another runtime than declared", "node app.js handler",
        (Seen("process", "wrong_runtime", "declare healthagent.runtime"),)),
)  # fmt: skip

CRASH_LOOP = (
    Row("errors again and again", "bun app.js throw", (
        Seen("exit", "crash_loop", "it ended with exit 1"),
        Seen("exit", "crash_loop", "Docker tries again in "),
        Seen("process", "restarting", "starts it again"),
    ), options="--restart always"),
    Row("ends by itself again and again", "bun app.js exit 0",
        (Seen("exit", "crash_loop", "by itself with exit 0"),), options="--restart unless-stopped"),
    Row("Docker gives up", "bun app.js throw",
        (Seen("exit", "crash_loop", "Docker does not start it again"),), 1,
        options="--restart on-failure:3"),
    Row("recovers", "bun app.js recovers 3", (
        Seen("exit", "crash_loop", "counts as recovered once it has run for 10 s"),
        Seen("exit", "ok", "before that: it ended with exit 1"),
    ), options="--restart always"),
    Row("one end is no loop", "bun app.js recovers 1",
        (Seen("exit", "ok", "before that: it ended with exit 1"),), options="--restart always"),
)  # fmt: skip

PROCESSES = (
    Row("pm2-runtime on node", f"node {PM2_RUNTIME} app.js -- handler", (PM2,), runtime="node"),
    Row("pm2-runtime on bun", f"bun {PM2_RUNTIME} app.js -- handler", (PM2,)),
    Row("pm2-runtime with a cluster", f"node {PM2_RUNTIME} app.js -i 2 -- handler", (PM2,),
        runtime="node"),
    Row("pm2's daemon, started later", "bun app.js handler", (PM2,), None, WELL,
        inside("node node_modules/pm2/bin/pm2 start worker.js")),
    Row("a second process", "bun app.js second", (Seen("process", "second_process"),)),
    Row("a cluster of node", "node app.js cluster", (Seen("process", "cluster"),), runtime="node"),
    Row("a cluster of bun", "bun app.js cluster", (Seen("process", "cluster"),)),
    Row("a port that bun shares", "bun app.js reuse", (Seen("process", "cluster"),)),
    Row("orphans of bun", "bun app.js orphans", (Seen("process", "zombies", "6 ended"),)),
    Row("orphans of node", "node app.js orphans", (Seen("process", "zombies", "6 ended"),),
        runtime="node"),
    Row("paused", "bun app.js handler", (Seen("process", "paused"),), None, WELL, pause),
    Row("frozen", "bun app.js handler", (Seen("process", "stopped", "kill -CONT"),), None, WELL,
        freeze),
)  # fmt: skip

NEIGHBOUR = Row("a neighbour with short-lived children", "bun app.js brief", (WELL,))
"""Well from the first look to the last, whatever happens beside it."""

ROWS = (
    *BUN, *BUN_RUN_WITH_DASH, *BUN_RUN_WITH_BASH, *NODE, *ENTRY, *CRASH_LOOP, *PROCESSES,
)  # fmt: skip
