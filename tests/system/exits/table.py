"""The table: what is done to which container, and which reason must then stand where."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from examples.quickstart.tour import condition
from provision import images
from provision.engine import Engine
from tests.system.exits.image import BASH, SOURCE, TAG


@dataclass(frozen=True, slots=True)
class Box:
    """One container, and the Engine that runs it."""

    name: str
    engine: Engine

    def docker(self, *arguments: str) -> str:
        return self.engine.docker(*arguments)

    @property
    def pid(self) -> int:
        """Its first process', as the host counts."""
        return int(self.engine.inspect(self.name)["State"]["Pid"])


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
    the other; Docker's exit code is ``exit_code``. What is ``None`` is left out. It is tried up to
    ``attempts`` times. One that listens needs a ``network`` that nobody shares, "none". ``image``
    holds Bun and an older Node beside the app."""

    what: str
    command: str
    after: tuple[Seen, ...]
    exit_code: int | None = None
    before: Seen | None = None
    act: Act | None = None
    options: str = ""
    runtime: str = "bun"
    attempts: int = 1
    network: str = "host"
    image: str = TAG


def stop(box: Box) -> None:
    """Once the app has its handlers: a process is seen before it has any."""

    def waits() -> condition.Seen:
        said = box.docker("logs", box.name)
        return condition.Seen("waits" in said, said)

    condition.until("the app says that it waits", waits, within=60)
    box.docker("stop", "--time", "1", box.name)


def kill(box: Box) -> None:
    box.docker("kill", box.name)


def pause(box: Box) -> None:
    box.engine.pause(box.name)


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
NOT_PASSED_ON = Seen("process", "sigterm_lost", "does not pass SIGTERM on")
SHELL_FIRST = Seen("process", "sigterm_lost", "start the app with exec")
GONE = Seen("process", "exited", "does not run")
KILLED = Seen("exit", "killed", "did not come through Docker")
TOO_LATE = Seen("exit", "killed_after_grace", "ignored SIGTERM, or was frozen, and was killed")
UNCLEAN = Seen("exit", "unclean_stop", "exit 7")
OOM = Seen("exit", "oom_killed", "want of memory")
CRASHED = Seen("exit", "crashed")
ERROR = Seen("exit", "error", "exit 1")
BY_ITSELF = Seen("exit", "ended", "by itself with exit 0")
LOOP = Seen("exit", "crash_loop")
PM2 = Seen("process", "pm2")

SMALL = "--memory 96m --memory-swap 96m"
LATE = 3
"""Attempts where the Engine's *oom* is needed. A part of it that watches the memory tells it: of
some 800 it told two 0.1 s and 0.2 s after the container's end, and one was never known."""

INIT = "--init"
WITH_BASH = f"--env PATH={BASH}"
WITH_APP = f"--volume {SOURCE}:/app:ro --workdir /app"
PM2_RUNTIME = "node_modules/pm2/bin/pm2-runtime"


def on_purpose(code: int) -> tuple[Seen, Seen]:
    said = f"stopped on purpose (exit {code})"
    return Seen("process", "exited", said), Seen("exit", "ok", said)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to start the app: ``column`` heads what is said of it in docs/reasons.md, ``command``
    gets the app's own words behind it, and ``before`` stands of it while it runs."""

    column: str
    command: str
    before: Seen = WELL
    options: str = ""
    runtime: str = "bun"


DIRECT = Way("`bun app.js`", "bun app.js")
RUN_SH = Way("`bun run`, sh", "bun run start", CUT_OFF)
RUN_BASH = Way("`bun run`, bash", "bun run start", options=WITH_BASH)
EXEC_SH = Way("`exec`, sh", "bun run exec")
EXEC_BASH = Way("`exec`, bash", "bun run exec", options=WITH_BASH)
NODE = Way("`node app.js`", "node --stack-size=60000 app.js", runtime="node")
"""With a limit of V8's own, in kB, beyond the stack that the kernel gives: so it can be overrun."""

WAYS = (DIRECT, RUN_SH, RUN_BASH, EXEC_SH, EXEC_BASH, NODE)


@dataclass(frozen=True, slots=True)
class End:
    """How one way ends: Docker's exit code, what is seen, and what was seen before, where that is
    not what always is with this way."""

    exit_code: int
    after: tuple[Seen, ...]
    before: Seen | None = None

    @property
    def cell(self) -> str:
        """As docs/reasons.md writes it."""
        (named,) = (seen for seen in self.after if seen.check == "exit")
        return f"{self.exit_code} `{named.code}`"


@dataclass(frozen=True, slots=True)
class Ending:
    """What happens to the app, whose first words are ``mode``, and how each of ``WAYS`` ends."""

    what: str
    mode: str
    ends: tuple[End, End, End, End, End, End]
    act: Act | None = None
    options: str = ""
    attempts: int = 1

    @property
    def line(self) -> list[str]:
        """Its line of the table in docs/reasons.md."""
        return [self.what, *(end.cell for end in self.ends)]

    def rows(self) -> Iterator[Row]:
        for way, end in zip(WAYS, self.ends, strict=True):
            before = (end.before or way.before) if self.act else None
            yield Row(
                f"{way.column.replace('`', '')}: {self.what.replace('`', '')}",
                f"{way.command} {self.mode}", end.after, end.exit_code, before, self.act,
                f"{self.options} {way.options}", way.runtime, self.attempts,
            )  # fmt: skip


STOPPED, FINISHED = End(143, on_purpose(143)), End(0, on_purpose(0))
FAILED = End(7, (UNCLEAN,))
DROPPED, DROPPED_BY_BUN = End(137, (TOO_LATE,)), End(137, (TOO_LATE,), DEAF)
SIGKILLED = End(137, (GONE, KILLED))
STARVED = End(137, (OOM,))
ERRED = End(1, (ERROR,))
ILL, ABORTED, FAULTED = End(132, (CRASHED,)), End(134, (CRASHED,)), End(139, (CRASHED,))

ENDINGS = (
    #                         bun app.js   run, sh  run, bash   exec, sh exec, bash      node
    Ending("stop, no handler", "idle",
           (DROPPED_BY_BUN, STOPPED, STOPPED, STOPPED, STOPPED, DROPPED), stop),
    Ending("stop, handler exits 0", "handler 0",
           (FINISHED, STOPPED, FINISHED, FINISHED, FINISHED, FINISHED), stop),
    Ending("stop, handler exits 7", "handler 7",
           (FAILED, STOPPED, FAILED, FAILED, FAILED, FAILED), stop),
    Ending("SIGKILL", "handler 0", (SIGKILLED,) * 6, from_outside(signal.SIGKILL)),
    Ending("out of memory", "grow", (STARVED,) * 6, options=SMALL, attempts=LATE),
    Ending("uncaught error", "throw", (ERRED,) * 6),
    Ending("unhandled rejection", "reject", (ERRED,) * 6),
    Ending("segmentation fault of the app", "segv",
           (ILL, FAULTED, FAULTED, FAULTED, FAULTED, FAULTED)),
    Ending("`process.abort()`", "abort",
           (ILL, ABORTED, ABORTED, ABORTED, ABORTED, FAULTED)),
    Ending("stop with an init, no handler", "idle", (STOPPED,) * 6, stop, INIT),
)  # fmt: skip

BESIDE = (
    Row("bun ends by itself", "bun app.js exit 0", (BY_ITSELF,), 0),
    Row("bun is killed through Docker", "bun app.js handler 0", on_purpose(137), 137, WELL, kill),
    Row("bun run crashes itself", "bun run start handler 0", (CRASHED,), 132, CUT_OFF,
        from_outside(signal.SIGSEGV)),
    Row("bun run gets SIGTERM from the host", "bun run start handler 0",
        (Seen("exit", "terminated", "SIGTERM"),), 143, CUT_OFF, from_outside(signal.SIGTERM)),
)  # fmt: skip
"""Ends that one way alone can come to, or that say nothing about the way."""

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
    Row("node --run stays in front", "node --run exec:node -- handler", (TOO_LATE,), 137,
        NOT_PASSED_ON, stop, WITH_APP, "node", image=images.NODE.tag),
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
    Row("a port that bun shares", "bun app.js reuse", (Seen("process", "cluster"),),
        network="none"),
    Row("node watches its files", "node --watch app.js handler", (WELL,), runtime="node"),
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
    *(row for ending in ENDINGS for row in ending.rows()),
    *BESIDE, *ENTRY, *CRASH_LOOP, *PROCESSES,
)  # fmt: skip
