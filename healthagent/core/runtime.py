"""Which of a replica's processes is the app, and what the others are.

A process is known by its name and its command line alone: its program (/proc/PID/exe) and its
variables can be read only with CAP_SYS_PTRACE (proc_pid_exe(5)). What a command line tells is
remembered, since it seldom changes from one look to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise, takewhile
from pathlib import PurePath
from typing import get_args

from healthagent.core.observation import Process, ProcessTree
from healthagent.core.target import Runtime

SHELLS = frozenset({"sh", "dash", "bash", "ash", "busybox"})
INITS = frozenset({"docker-init", "tini", "dumb-init", "s6-svscan"})
PM2 = frozenset({"pm2", "pm2-runtime", "pm2-docker", "pm2-dev"})

_REMEMBERED = 1024
"""Command lines, of the newest."""

_PACKAGE_MANAGERS = frozenset({"npm", "npx", "yarn", "pnpm", "npm-cli.js", "yarn.js", "pnpm.cjs"})

_FILES = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"})
"""What either runtime runs as it is."""


def application(tree: ProcessTree, runtime: Runtime) -> Process | None:
    """The process that is the app: the first of the declared runtime that is no mere launcher,
    or the launcher where there is nothing below it yet."""
    ours = [process for process in tree.processes if is_runtime(process, runtime)]
    apps = [process for process in ours if not is_launcher(process, tree)]
    return next(iter(apps or ours), None)


def is_runtime(process: Process, runtime: Runtime) -> bool:
    """By its name or its first word: who sets ``process.title`` may keep the one or the other, as
    PM2 does when it calls a worker ``node /app/index.js``. npm keeps neither, and is Node."""
    if process.comm == runtime:
        return True
    program = _program(process.cmdline)
    return program == runtime or (runtime == "node" and program == "npm")


def runtime_of(process: Process) -> Runtime | None:
    """Which runtime a process is, if it is any."""
    return next((each for each in get_args(Runtime) if is_runtime(process, each)), None)


def started_by(command: Iterable[str]) -> Runtime | None:
    """Which runtime a command starts the app with, where that is certain beforehand: it names one
    alone, and gives it a file. What a script starts, or a program of another name, is not known."""
    words = [word for part in command for word in part.split()]
    names = [PurePath(word).name for word in words]
    named: list[Runtime] = [each for each in get_args(Runtime) if each in names]
    if len(named) != 1:
        return None
    asked = next(_scripts(tuple(words[names.index(named[0]) :])), "")
    return named[0] if PurePath(asked).suffix in _FILES else None


def called(process: Process) -> str:
    """What people call a process. The kernel's name of it is that of its first thread, which
    Node 24 calls ``MainThread``."""
    return runtime_of(process) or process.comm


def is_renamed(process: Process) -> bool:
    """True for one that may have given itself its name: it then reads as a program without
    arguments, and nothing tells which program it is. npm's name for itself tells: ``npm start``."""
    alone = len(process.cmdline) == 1 and process.comm == process.cmdline[0][: len(process.comm)]
    return alone and runtime_of(process) is None


def is_launcher(process: Process, tree: ProcessTree) -> bool:
    """True for what only starts the app and waits for it: ``bun run SCRIPT``, ``yarn start``,
    ``node --watch FILE``.

    It is told by what it was asked to run, which is no file, and by the app or a shell below it.
    """
    return _may_launch(process.cmdline) and any(
        runtime_of(child) is not None or child.comm in SHELLS
        for child in tree.children(process.pid)
    )


def is_node_run(process: Process) -> bool:
    """``node --run SCRIPT``: a launcher that passes no signal on, also to a script that begins with
    ``exec`` (measured with Node 24)."""
    return "--run" in _flags(process.cmdline) and is_runtime(process, "node")


def is_pm2(process: Process) -> bool:
    """PM2 in any of its guises: the daemon, which calls itself ``PM2 vX: God Daemon``, its
    commands, and the files of its own that it starts apps with."""
    return _is_called_as_pm2(process.comm, process.cmdline)


def is_worker_of(process: Process, app: Process) -> bool:
    """True for a child of the app that runs the app's own script: a worker of ``node:cluster``, or
    one that shares the port by ``reusePort``."""
    mine, theirs = next(_scripts(process.cmdline), ""), next(_scripts(app.cmdline), "")
    return process.ppid == app.pid and theirs != "" and _whole(mine).endswith(_whole(theirs))


def _whole(script: str) -> str:
    """A path that can be compared from its end: workers are told the whole of it."""
    return f"/{PurePath(script)}"


@lru_cache(_REMEMBERED)
def _program(cmdline: tuple[str, ...]) -> str:
    return PurePath(cmdline[0].split(" ")[0]).name if cmdline else ""


@lru_cache(_REMEMBERED)
def _may_launch(cmdline: tuple[str, ...]) -> bool:
    """True where what it was asked to run is no file, or a file that is run by a child of its own:
    that is how Node watches, while Bun starts itself anew."""
    asked, program, flags = next(_scripts(cmdline), ""), _program(cmdline), _flags(cmdline)
    return (
        asked == "run"
        or "--run" in flags
        or program == "npm"
        or (program == "node" and any(flag.startswith("--watch") for flag in flags))
        or PurePath(asked).name in _PACKAGE_MANAGERS
        or (asked != "" and not PurePath(asked).suffix and "/" not in asked)
    )


@lru_cache(_REMEMBERED)
def _is_called_as_pm2(comm: str, cmdline: tuple[str, ...]) -> bool:
    title = cmdline[0] if cmdline else comm
    if comm.startswith("PM2 ") or title.startswith("PM2") or PurePath(title).name in PM2:
        return True
    return any(_is_of_pm2(PurePath(script)) for script in _scripts(cmdline))


def _is_of_pm2(script: PurePath) -> bool:
    parts = script.parts
    return script.name in PM2 or ("node_modules", "pm2") in pairwise(parts)


def _flags(cmdline: tuple[str, ...]) -> tuple[str, ...]:
    """The runtime's own, which stand before what it was asked to run."""
    return tuple(takewhile(lambda word: word.startswith("-"), cmdline[1:]))


def _scripts(cmdline: tuple[str, ...]) -> Iterator[str]:
    """The word that the runtime was asked to run, and what follows a ``run``."""
    words = [word for word in cmdline[1:] if not word.startswith("-")]
    yield from words[:1]
    if words[:1] in (["run"], ["x"], ["exec"]):
        yield from words[1:2]
