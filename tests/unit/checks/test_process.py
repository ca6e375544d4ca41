"""What a container's process tree means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.checks.process import CHECK
from healthagent.core.exits import End, Exits, Sent
from healthagent.core.observation import (
    ContainerState,
    Fact,
    Observation,
    Process,
    ProcessTree,
    Unseen,
)
from healthagent.core.target import Runtime, Target
from healthagent.core.verdict import Status, Verdict

APP = Target(id="c" * 64, name="app-1", service="app")
NODE = replace(APP, runtime="node")
RUNNING = ContainerState(status="running", pid=100)
BUN = Process(
    pid=100, ppid=1, ns_pid=1, comm="bun", cmdline=("bun", "build/index.js"), state="S",
    catches_sigterm=True, age=60.0,
)  # fmt: skip


def below(parent: Process, pid: int, *cmdline: str, comm: str = "") -> Process:
    return replace(BUN, pid=pid, ppid=parent.pid, ns_pid=pid, cmdline=cmdline,
                   comm=comm or cmdline[0])  # fmt: skip


def judged(
    *processes: Process, target: Target = APP, state: ContainerState | Unseen = RUNNING
) -> Verdict:
    return judged_from(ProcessTree(processes), target, state)


def judged_from(
    tree: ProcessTree | Unseen, target: Target = APP, state: ContainerState | Unseen = RUNNING
) -> Verdict:
    facts: dict[type[Fact], Fact | Unseen] = {ContainerState: state, ProcessTree: tree}
    return CHECK.judge(Observation(target, facts))


def said(verdict: Verdict) -> tuple[Status, str]:
    return verdict.status, verdict.code


def test_the_runtime_alone_as_pid_1_is_ok() -> None:
    assert said(judged(BUN)) == (Status.OK, "ok")


@pytest.mark.parametrize("state", ["T", "t"])
def test_a_stopped_process_is_named_stopped_with_what_lets_it_go_on(state: str) -> None:
    verdict = judged(replace(BUN, state=state))
    assert said(verdict) == (Status.FAILED, "stopped")
    assert "kill -CONT 100" in verdict.reason


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_process_that_ended_fails(state: str) -> None:
    assert said(judged(replace(BUN, state=state))) == (Status.FAILED, "zombie")


def test_a_wait_in_the_kernel_fails_once_it_lasts() -> None:
    """A busy disk puts any process into state D for moments."""
    for waits in (None, 0.0, 4.9):
        assert judged(replace(BUN, state="D", waits=waits)).status is Status.OK, f"after {waits} s"
    stuck = judged(replace(BUN, state="D", waits=7.2))
    assert said(stuck) == (Status.FAILED, "uninterruptible")
    assert "for 7 s" in stuck.reason


def test_another_runtime_than_the_declared_one_fails() -> None:
    node = replace(BUN, comm="node", cmdline=("node", "server.js"))
    verdict = judged(node)
    assert said(verdict) == (Status.FAILED, "wrong_runtime")
    assert said(judged(node, target=NODE)) == (Status.OK, "ok")


def test_node_is_called_node_whatever_its_first_thread_is_called() -> None:
    node = replace(BUN, comm="MainThread", cmdline=("node", "server.js"))
    assert judged(node, target=NODE).reason == "node runs as pid 100"
    assert judged(node).reason.startswith(
        "PID 1 is 'node', and no bun runs below it; declare healthagent.runtime=node, or"
    )


@pytest.mark.parametrize("first", [("tini", "--", "node", "server.js"), ("sh", "start.sh")])
def test_another_runtime_below_what_starts_it_is_named_too(first: tuple[str, ...]) -> None:
    init = replace(BUN, comm=first[0], cmdline=first)
    verdict = judged(init, below(init, 101, "node", "server.js", comm="MainThread"))
    assert said(verdict) == (Status.FAILED, "wrong_runtime")
    assert "node runs below it, not bun; declare healthagent.runtime=node" in verdict.reason


@pytest.mark.parametrize(
    ("comm", "cmdline"),
    [("npm start", ("npm start",)), ("npm", ("npm", "start"))],  # by /proc, and by docker top
)
def test_npm_is_node_and_starts_the_app(comm: str, cmdline: tuple[str, ...]) -> None:
    """It overwrites its name and arguments with what it was asked for."""
    npm = replace(BUN, comm=comm, cmdline=cmdline)
    shell = below(npm, 101, "sh", "-c", "node server.js")
    app = replace(below(npm, 102, "node", "server.js", comm="MainThread"))
    assert said(judged(npm, target=NODE)) == (Status.OK, "ok"), "it has not started it yet"
    assert said(judged(npm, app, target=NODE)) == (Status.OK, "ok"), "no second process"
    stopped = replace(app, ppid=shell.pid, state="T")
    assert said(judged(npm, shell, stopped, target=NODE)) == (Status.FAILED, "stopped")
    verdict = judged(npm, app)
    assert said(verdict) == (Status.FAILED, "wrong_runtime"), "nothing hides that it is no Bun"
    assert "declare healthagent.runtime=node" in verdict.reason


def test_node_that_watches_its_files_runs_the_app_as_its_child_and_is_no_cluster() -> None:
    watching = replace(BUN, comm="MainThread", cmdline=("node", "--watch", "server.js"))
    app = below(watching, 101, "/usr/local/bin/node", "server.js", comm="MainThread")
    assert said(judged(watching, app, target=NODE)) == (Status.OK, "ok")
    assert said(judged(watching, replace(app, state="T"), target=NODE)) == (
        Status.FAILED,
        "stopped",
    )


@pytest.mark.parametrize("comm", ["sh", "docker-entrypoi", "runc:[2:INIT]"])
def test_an_entry_script_has_time_to_start_the_app(comm: str) -> None:
    script = replace(BUN, comm=comm, cmdline=("/bin/sh", "/entrypoint.sh"), age=0.3)
    assert said(judged(script)) == (Status.UNKNOWN, "starting")
    assert said(judged(replace(script, age=60.0))) == (Status.FAILED, "wrong_runtime")


@pytest.mark.parametrize(
    ("comm", "cmdline"),
    [
        ("PM2 v6.0.13: Go", ("PM2 v6.0.13: God Daemon (/root/.pm2)",)),
        ("PM2", ("PM2", "v6.0.13:", "God", "Daemon", "(/root/.pm2)")),  # as docker top tells it
        ("node", ("node", "/usr/local/bin/pm2-runtime", "app.js")),
        ("node", ("node", "--max-old-space-size=512", "node_modules/pm2/bin/pm2", "start")),
        ("bun", ("bun", "--bun", "node_modules/.bin/pm2-runtime", "app.js")),
        ("bun", ("bun", "run", "pm2-runtime")),
        ("bun", ("bun", "/app/node_modules/pm2/lib/ProcessContainerForkBun.js")),
        ("pm2-runtime", ("/usr/bin/pm2-runtime", "app.js")),
    ],
)
def test_pm2_anywhere_in_the_tree_fails(comm: str, cmdline: tuple[str, ...]) -> None:
    manager = below(BUN, 101, *cmdline, comm=comm)
    assert said(judged(BUN, manager)) == (Status.FAILED, "pm2")
    assert said(judged(replace(manager, pid=100, ppid=1))) == (Status.FAILED, "pm2")


def test_an_app_that_only_speaks_of_pm2_is_none() -> None:
    speaks = replace(BUN, cmdline=("bun", "migrate.js", "--from", "pm2"))
    assert said(judged(speaks)) == (Status.OK, "ok")


def test_a_second_application_process_fails() -> None:
    worker = below(BUN, 101, "bun", "worker.js")
    assert said(judged(BUN, worker)) == (Status.FAILED, "second_process")


@pytest.mark.parametrize("script", ["build/index.js", "./build/index.js", "/app/build/index.js"])
def test_workers_that_run_the_apps_own_script_are_a_cluster(script: str) -> None:
    workers = [below(BUN, 101 + n, "/usr/local/bin/bun", script, comm="bun") for n in range(2)]
    verdict = judged(BUN, *workers)
    assert said(verdict) == (Status.FAILED, "cluster")
    assert verdict.evidence["count"] == 3


def test_a_process_that_renamed_itself_is_not_held_to_be_another_runtime() -> None:
    titled = replace(BUN, comm="next-server (v1", cmdline=("next-server (v15.1.0)",))
    assert said(judged(titled)) == (Status.UNKNOWN, "renamed")
    assert judged(titled).reason.startswith("PID 1 calls itself 'next-server (v1'")
    assert said(judged(replace(titled, state="T"))) == (Status.FAILED, "stopped")


def test_what_renamed_itself_below_an_init_is_not_held_to_be_another_runtime() -> None:
    init = replace(BUN, comm="docker-init", cmdline=("/sbin/docker-init", "--", "bun", "app.js"))
    titled = below(init, 101, "shop")
    assert said(judged(init, titled)) == (Status.UNKNOWN, "renamed")
    assert judged(init, titled).reason.startswith("pid 101 calls itself 'shop'")
    assert said(judged(init, replace(titled, state="T"))) == (Status.FAILED, "stopped")
    assert said(judged(init, below(init, 101, "nginx", "-g"))) == (Status.FAILED, "wrong_runtime")


def test_a_process_whose_arguments_could_not_be_read_is_not_held_to_be_another_runtime() -> None:
    unread = replace(BUN, comm="MainThread", cmdline=())
    assert said(judged(unread, target=NODE)) == (Status.UNKNOWN, "unseen")
    assert said(judged(below(BUN, 101, "tini", "--", "node"), unread, target=NODE)) == (
        Status.UNKNOWN,
        "unseen",
    )
    stuck = replace(unread, state="D", waits=60.0)
    assert said(judged(stuck, target=NODE)) == (Status.FAILED, "uninterruptible")


def test_a_process_whose_arguments_could_not_be_read_is_known_by_its_name() -> None:
    assert said(judged(replace(BUN, cmdline=()))) == (Status.OK, "ok")


def test_a_title_that_begins_with_the_runtime_still_tells_it() -> None:
    titled = replace(BUN, comm="node /home/bun/", cmdline=("node /home/bun/app/app.js",))
    assert said(judged(titled, target=NODE)) == (Status.OK, "ok")


def test_a_child_that_only_just_began_is_no_second_application_process() -> None:
    brief = replace(below(BUN, 101, "bun", "-e", "1"), age=0.2)
    assert said(judged(BUN, brief)) == (Status.OK, "ok")


@pytest.mark.parametrize(
    "cmdline",
    [
        ("bun", "run", "start"),
        ("bun", "--bun", "run", "start"),
        ("bun", "start"),
        ("node", "/usr/bin/yarn", "start"),
    ],
)
def test_what_only_starts_the_app_is_no_second_process(cmdline: tuple[str, ...]) -> None:
    launcher = replace(BUN, comm=cmdline[0], cmdline=cmdline)
    app = below(launcher, 101, cmdline[0], "build/index.js")
    runtime: Runtime = "node" if cmdline[0] == "node" else "bun"
    assert said(judged(launcher, app, target=replace(APP, runtime=runtime))) == (Status.OK, "ok")


def test_an_app_that_forks_a_shell_is_no_launcher() -> None:
    hook = below(BUN, 101, "/bin/sh", "-c", "sleep 5", comm="sh")
    verdict = judged(replace(BUN, state="T"), hook)
    assert said(verdict) == (Status.FAILED, "stopped")


def test_a_stopped_app_below_bun_run_is_seen() -> None:
    launcher = replace(BUN, cmdline=("bun", "run", "start"))
    app = replace(below(launcher, 101, "bun", "build/index.js"), state="T")
    assert said(judged(launcher, app)) == (Status.FAILED, "stopped")


def with_shell_between(catches: bool | None, line: str = "bun build/index.js") -> Verdict:
    launcher = replace(BUN, cmdline=("bun", "run", "start"))
    shell = replace(below(launcher, 101, "/bin/sh", "-c", line, comm="sh"), catches_sigterm=catches)
    return judged(launcher, shell, below(shell, 102, "bun", "build/index.js"))


@pytest.mark.parametrize("catches", [False, None])
def test_a_shell_between_bun_run_and_the_app_loses_sigterm(catches: bool | None) -> None:
    verdict = with_shell_between(catches)
    assert said(verdict) == (Status.DEGRADED, "sigterm_lost")
    assert '"start": "exec ..."' in verdict.reason


@pytest.mark.parametrize("first", ["node", "tini"])
def test_node_run_passes_no_signal_on_whatever_its_script_does(first: str) -> None:
    """So that ``exec`` in the script, the cure below ``bun run``, is none here."""
    runner = replace(BUN, comm="node", cmdline=("node", "--run", "start"))
    root = replace(BUN, comm="tini", cmdline=("tini", "--", "node", "--run", "start"))
    if first == "tini":
        runner = replace(runner, pid=101, ppid=100)
    app = replace(BUN, pid=102, ppid=runner.pid, comm="MainThread", cmdline=("node", "server.js"))
    tree = (runner, app) if first == "node" else (root, runner, app)
    verdict = judged(*tree, target=NODE)
    assert said(verdict) == (Status.DEGRADED, "sigterm_lost")
    assert "start the app itself" in verdict.reason and "exec" not in verdict.reason


def test_a_shell_as_pid_1_keeps_sigterm_to_itself() -> None:
    shell = replace(BUN, comm="sh", cmdline=("sh", "start.sh"), catches_sigterm=False)
    verdict = judged(shell, below(shell, 101, "bun", "build/index.js"))
    assert said(verdict) == (Status.DEGRADED, "sigterm_lost")
    assert "start the app with exec" in verdict.reason


@pytest.mark.parametrize("init", ["docker-init", "tini", "dumb-init"])
def test_an_init_passes_sigterm_on_without_a_handler(init: str) -> None:
    """It waits for signals, which the kernel does not call caught."""
    first = replace(BUN, comm=init, cmdline=(init, "--", "bun", "app.js"), catches_sigterm=False)
    assert said(judged(first, below(first, 101, "bun", "app.js"))) == (Status.OK, "ok")


def test_a_script_whose_handlers_cannot_be_seen_is_not_said_to_have_none() -> None:
    shell = replace(BUN, comm="sh", cmdline=("sh", "start.sh"), catches_sigterm=None)
    assert said(judged(shell, below(shell, 101, "bun", "app.js"))) == (Status.OK, "ok")


def test_a_shell_that_traps_sigterm_may_pass_it_on() -> None:
    assert said(with_shell_between(catches=True)) == (Status.OK, "ok")
    trap = "trap 'kill $!' TERM; bun build/index.js & wait"
    assert said(with_shell_between(catches=None, line=trap)) == (Status.OK, "ok")


def test_bun_without_a_handler_ignores_sigterm() -> None:
    deaf = replace(BUN, catches_sigterm=False)
    assert said(judged(deaf)) == (Status.DEGRADED, "sigterm_ignored")


def test_an_app_that_only_just_began_has_time_to_set_up_its_handlers() -> None:
    starting = replace(BUN, catches_sigterm=False, age=2.0)
    assert said(judged(starting)) == (Status.OK, "ok")


def test_only_pid_1_ignores_what_it_does_not_handle() -> None:
    launcher = replace(BUN, cmdline=("bun", "run", "start"))
    init = replace(BUN, comm="docker-init", cmdline=("/sbin/docker-init", "--", "bun", "app.js"))
    for parent in (launcher, init):
        app = replace(below(parent, 101, "bun", "app.js"), catches_sigterm=False)
        assert said(judged(parent, app)) == (Status.OK, "ok")


def test_a_handler_that_cannot_be_seen_is_not_held_against_the_app() -> None:
    assert said(judged(replace(BUN, catches_sigterm=None))) == (Status.OK, "ok")


def test_nodes_own_handler_proves_nothing_and_is_not_judged() -> None:
    node = replace(BUN, comm="node", cmdline=("node", "server.js"), catches_sigterm=False)
    assert said(judged(node, target=NODE)) == (Status.OK, "ok")


def test_zombies_that_pile_up_degrade() -> None:
    dead = [replace(below(BUN, 200 + n, "healthprobe"), state="Z") for n in range(5)]
    assert said(judged(BUN, *dead[:4])) == (Status.OK, "ok")
    assert said(judged(BUN, *dead)) == (Status.DEGRADED, "zombies")


@pytest.mark.parametrize(
    ("status", "code"),
    [("paused", "paused"), ("restarting", "restarting"), ("exited", "exited"), ("dead", "exited")],
)
def test_a_container_that_does_not_run_fails_conclusively(status: str, code: str) -> None:
    state = replace(RUNNING, status=status)  # type: ignore[arg-type]
    verdict = judged(state=state)
    assert said(verdict) == (Status.FAILED, code)
    assert verdict.conclusive


def test_an_oom_kill_is_named() -> None:
    state = ContainerState(status="exited", exit_code=137, oom_killed=True)
    assert "memory" in judged(state=state).reason


def test_a_stop_on_purpose_reads_as_one() -> None:
    stopped = End(at=1.0, exit_code=143, asked=True, signals=(Sent(15, 0.9),))
    facts: dict[type[Fact], Fact | Unseen] = {
        ContainerState: ContainerState("exited", exit_code=143),
        Exits: Exits(2.0, (stopped,)),
    }
    verdict = CHECK.judge(Observation(APP, facts))
    assert said(verdict) == (Status.FAILED, "exited")
    assert verdict.reason == "the container does not run: stopped on purpose (exit 143)"


def test_a_container_that_could_not_start_says_why() -> None:
    state = ContainerState("created", exit_code=127, error='exec: "/nope": no such file')
    verdict = judged(state=state)
    assert said(verdict) == (Status.FAILED, "created")
    assert verdict.conclusive
    assert 'exec: "/nope"' in verdict.reason


def test_a_container_that_nobody_started_yet_waits_and_has_not_failed() -> None:
    verdict = judged(state=ContainerState("created"))
    assert said(verdict) == (Status.UNKNOWN, "waiting")
    assert "depends on" in verdict.reason


def test_what_cannot_be_seen_is_unknown_with_the_grant_that_would_help() -> None:
    blind = Unseen("the host's processes cannot be seen", "run the agent with pid: host")
    verdict = judged_from(blind)
    assert said(verdict) == (Status.UNKNOWN, "unseen")
    assert "pid: host" in verdict.reason
    assert said(judged(BUN, state=Unseen("no socket"))) == (Status.UNKNOWN, "unseen")


def test_a_container_that_vanishes_while_it_is_looked_at_is_unknown() -> None:
    assert said(judged()) == (Status.UNKNOWN, "vanished")


def test_a_local_process_that_is_gone_fails_conclusively() -> None:
    local = replace(APP, id="static:app", pid=100)
    verdict = judged(target=local)
    assert said(verdict) == (Status.FAILED, "gone")
    assert verdict.conclusive


def test_a_local_process_that_its_pid_file_does_not_name_fails_and_may_yet_be_named() -> None:
    local = replace(APP, id="static:app", pid=0, pidfile="/run/app.pid")
    verdict = judged(target=local)
    assert said(verdict) == (Status.FAILED, "gone")
    assert "/run/app.pid holds no pid" in verdict.reason
    assert not verdict.conclusive, "a file that is being written is empty for a moment"


def test_a_local_process_whose_pid_file_cannot_be_read_is_unknown() -> None:
    local = replace(APP, id="static:app", pidfile="/run/app.pid")
    hidden = Unseen("the pid of its first process is not known")
    assert said(judged_from(hidden, local)) == (Status.UNKNOWN, "unseen")


def test_a_local_process_of_another_runtime_is_called_by_its_pid_and_the_key_is_named() -> None:
    python = replace(BUN, comm="python3", cmdline=("python3", "app.py"))
    reason = judged(python, target=replace(APP, id="static:app", pid=100)).reason
    assert reason.startswith("pid 100 is 'python3', and no bun runs below it; declare runtime,")


def test_it_applies_where_there_is_a_process_to_look_at() -> None:
    assert CHECK.applies(APP)
    assert CHECK.applies(replace(APP, id="static:app", pid=1))
    assert CHECK.applies(replace(APP, id="static:app", pidfile="/run/app.pid"))
    assert not CHECK.applies(replace(APP, id="static:url"))
