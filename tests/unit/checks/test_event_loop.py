"""In which way a silent process is stuck."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from healthagent.checks.event_loop import CHECK, TURNING
from healthagent.core.observation import (
    ContainerState,
    HttpError,
    Livez,
    Observation,
    Process,
    ProcessTree,
    Unseen,
)
from healthagent.core.target import Target
from healthagent.core.verdict import Status, Verdict

APP = Target(id="a", name="app-1", service="app", address="172.20.0.3", port=3000)
BUN = Process(pid=100, ppid=1, ns_pid=1, comm="bun", cmdline=("bun", "app.js"), state="S")
IDLE = ProcessTree((BUN,), cpu=0.01, accept_queue={3000: 0})
HIDDEN = Unseen("/proc is not the host's", "run the agent with pid: host")


def judged(answer: Livez | Unseen, tree: ProcessTree | Unseen = IDLE) -> Verdict:
    return CHECK.judge(Observation(APP, {Livez: answer, ProcessTree: tree}))


def silent(tree: ProcessTree | Unseen, error: HttpError = "timeout") -> Verdict:
    return judged(Livez("/livez", None, 0.8, error), tree)


def in_state(state: str, cpu: float | None = 0.0, queued: int = 0) -> ProcessTree:
    app = replace(BUN, state=state)
    return ProcessTree((app,), cpu=cpu, accept_queue={3000: queued}, turned=math.inf)


def test_an_answer_is_life() -> None:
    verdict = judged(Livez("/livez", 200, 0.001))
    assert (verdict.status, verdict.evidence) == (Status.OK, {"ms": 1.0})


def test_a_status_of_failure_is_the_replicas_own_word() -> None:
    verdict = judged(Livez("/livez", 500, 0.001, body="worker died"))
    assert (verdict.status, verdict.code) == (Status.FAILED, "status")
    assert verdict.reason == "GET /livez answered 500: worker died"


@pytest.mark.parametrize(
    ("tree", "code", "hint"),
    [
        (in_state("T"), "stopped", "kill -CONT 100"),
        (in_state("t"), "stopped", "state t"),
        (in_state("T", cpu=1.0), "stopped", "state T"),
        (in_state("R", cpu=None), "blocked", "state R"),
        (in_state("S", cpu=0.97), "blocked", "97% of a core"),
        (in_state("S", cpu=0.79), "deadlocked", "waits for something"),
        (in_state("S", cpu=None), "deadlocked", "state S"),
        (in_state("D"), "deadlocked", "waits in the kernel (state D)"),
        (ProcessTree(()), "silent", "no bun process was found"),
        (HIDDEN, "silent", "run the agent with pid: host"),
    ],
)
def test_the_kinds_of_silence_are_told_apart_by_what_the_process_does(
    tree: ProcessTree | Unseen, code: str, hint: str
) -> None:
    verdict = silent(tree)
    assert (verdict.status, verdict.code) == (Status.FAILED, code)
    assert "gave no answer within 0.8 s" in verdict.reason
    assert hint in verdict.reason


@pytest.mark.parametrize("tree", [in_state("D"), in_state("S"), HIDDEN])
def test_a_paused_container_is_paused_whatever_its_process_seems_to_do(
    tree: ProcessTree | Unseen,
) -> None:
    facts = {
        Livez: Livez("/livez", None, 0.8, "timeout"),
        ProcessTree: tree,
        ContainerState: ContainerState("paused", pid=100),
    }
    verdict = CHECK.judge(Observation(APP, facts))
    assert (verdict.status, verdict.code) == (Status.FAILED, "paused")
    assert "docker unpause" in verdict.reason


def test_the_app_below_a_launcher_is_the_one_that_is_judged() -> None:
    launcher = replace(BUN, cmdline=("bun", "run", "start"))
    app = replace(BUN, pid=101, ppid=100, state="T")
    assert silent(ProcessTree((launcher, app))).evidence["pid"] == 101


@pytest.mark.parametrize(
    ("turned", "status", "code"),
    [
        (0.0, Status.DEGRADED, "overloaded"),
        (TURNING, Status.DEGRADED, "overloaded"),
        (TURNING + 0.1, Status.FAILED, "blocked"),
        (math.inf, Status.FAILED, "blocked"),
        (None, Status.UNKNOWN, "busy"),
    ],
)
def test_a_busy_loop_is_blocked_only_where_it_was_seen_to_take_up_nothing(
    turned: float | None, status: Status, code: str
) -> None:
    verdict = silent(replace(in_state("R", cpu=1.0), turned=turned))
    assert (verdict.status, verdict.code) == (status, code)


def test_where_the_socket_tables_cannot_be_read_a_busy_loop_is_blocked() -> None:
    tree = replace(in_state("R"), accept_queue=None, turned=None)
    assert silent(tree).code == "blocked"


def test_connections_that_wait_to_be_accepted_are_evidence() -> None:
    assert silent(in_state("T", queued=7)).evidence["queued"] == 7


def test_a_full_accept_queue_makes_an_untaken_connection_the_replicas_silence() -> None:
    assert silent(in_state("T", queued=512), "unconnected").code == "stopped"


@pytest.mark.parametrize(
    "tree", [IDLE, HIDDEN, replace(IDLE, accept_queue=None), replace(IDLE, accept_queue={80: 9})]
)
def test_an_untaken_connection_with_no_queue_is_the_networks_and_unknown(
    tree: ProcessTree | Unseen,
) -> None:
    verdict = silent(tree, "unconnected")
    assert (verdict.status, verdict.code) == (Status.UNKNOWN, "unreachable")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("name", Status.UNKNOWN, "unreachable"),
        ("unreachable", Status.UNKNOWN, "unreachable"),
        ("refused", Status.FAILED, "not_listening"),
        ("reset", Status.FAILED, "reset"),
        ("invalid", Status.FAILED, "invalid"),
    ],
)
def test_other_ends_of_a_look_are_named(error: HttpError, status: Status, code: str) -> None:
    verdict = silent(IDLE, error)
    assert (verdict.status, verdict.code) == (status, code)


def test_a_look_that_failed_on_the_agents_side_is_unknown() -> None:
    assert judged(Unseen("the agent cannot connect")).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("target", "applies"),
    [(APP, True), (replace(APP, livez=None), False), (replace(APP, port=None), False)],
)
def test_only_a_declared_endpoint_is_judged(target: Target, applies: bool) -> None:
    assert CHECK.applies(target) is applies
