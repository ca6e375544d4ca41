"""In which way a silent process is stuck."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from healthagent.checks.event_loop import CHECK, FEW, LITTLE, SPARE, TURNING
from healthagent.core.observation import (
    Address,
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


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        (IDLE, "slow"),
        (HIDDEN, "slow"),
        (replace(IDLE, cpu=None), "slow"),
        (in_state("S", cpu=0.79), "slow"),
        (in_state("S", cpu=0.8), "overloaded"),
        (in_state("S", queued=1), "overloaded"),
    ],
)
def test_an_answer_that_nearly_came_too_late_tells_whether_the_loop_has_too_much_to_do(
    tree: ProcessTree | Unseen, code: str
) -> None:
    late = APP.timing.timeout / 2
    assert judged(Livez("/livez", 200, late - 0.001), tree).status is Status.OK
    verdict = judged(Livez("/livez", 200, late), tree)
    assert (verdict.status, verdict.code) == (Status.DEGRADED, code)
    assert ("1 connections wait" in verdict.reason) is (tree == in_state("S", queued=1))


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
    facts = {Livez: Livez("/livez", None, 0.8, "timeout"), ProcessTree: tree}

    def judged_in(state: ContainerState) -> Verdict:
        return CHECK.judge(Observation(APP, {**facts, ContainerState: state}))

    verdict = judged_in(ContainerState("paused", pid=100))
    assert (verdict.status, verdict.code) == (Status.FAILED, "paused")
    assert "docker unpause" in verdict.reason
    assert judged_in(ContainerState("running", pid=100)).code != "paused"


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


@pytest.mark.parametrize("turned", [0.0, math.inf, None])
@pytest.mark.parametrize(("state", "cpu"), [("R", 0.1), ("S", 1.0)], ids=["its turn", "a child"])
def test_a_loop_that_has_little_to_do_is_not_busy_whatever_runs_beside_it(
    state: str, cpu: float, turned: float | None
) -> None:
    def told(wanted: float) -> str:
        app = replace(BUN, state=state, wanted=wanted)
        return silent(ProcessTree((app,), cpu, {3000: 0}, turned)).code

    assert told(LITTLE - 0.1) == "deadlocked"
    assert told(0.9) == {0.0: "overloaded", math.inf: "blocked", None: "busy"}[turned]


@pytest.mark.parametrize(
    ("turned", "code"), [(TURNING, "overloaded"), (math.inf, "deadlocked"), (None, "deadlocked")]
)
def test_one_that_waits_for_its_disk_and_takes_up_requests_in_between_is_behind(
    turned: float | None, code: str
) -> None:
    app = replace(BUN, state="D", wanted=0.01)
    verdict = silent(ProcessTree((app,), 0.01, {3000: 2}, turned))
    assert verdict.code == code
    assert ("waits for files" in verdict.reason) is (code == "overloaded")


def test_a_loop_that_is_not_let_run_is_busy_in_whichever_state_it_is_found() -> None:
    app = replace(BUN, state="S", wanted=0.9)
    assert silent(ProcessTree((app,), 0.1, {3000: 0}, math.inf)).code == "blocked"


@pytest.mark.parametrize("error", ["timeout", "reset"])
def test_a_process_that_can_open_no_file_more_takes_no_connection(error: HttpError) -> None:
    def told(open_: int) -> Verdict:
        app = replace(BUN, state="R", files=(open_, 1024))
        return silent(ProcessTree((app,), 1.0, {3000: 3}, math.inf), error)

    verdict = told(1024)
    assert (verdict.status, verdict.code) == (Status.FAILED, "no_files")
    assert "1024 files and connections open and may have 1024" in verdict.reason
    assert told(1024 - SPARE).code == "no_files", "Node keeps one in reserve"
    assert told(1023 - SPARE).code != "no_files"


RESOLVER = ("127.0.0.11", 40001)
"""Docker's own, in each container on a network of Compose's."""


@pytest.mark.parametrize(
    ("listeners", "said"),
    [
        ({("127.0.0.1", 3000)}, "port 3000 is open on 127.0.0.1 alone"),
        ({("127.0.0.1", 3000), ("::1", 3000)}, "on 127.0.0.1 and ::1 alone"),
        ({("0.0.0.0", 8080), ("::", 9464)}, "nothing listens on port 3000, but on 8080, 9464;"),
        (set(), "nothing listens on port 3000"),
        ({("0.0.0.0", 3000)}, "nothing listens on port 3000"),
        ({("0.0.0.0", 1 + n) for n in range(FEW + 1)}, "nothing listens on port 3000"),
    ],
    ids=["IPv4's loopback", "both loopbacks", "others", "none", "no more", "a host's"],
)
def test_a_closed_port_is_told_with_what_listens_instead(
    listeners: set[Address], said: str
) -> None:
    verdict = silent(replace(IDLE, listeners=frozenset(listeners | {RESOLVER})), "refused")
    assert (verdict.status, verdict.code) == (Status.FAILED, "not_listening")
    assert said in verdict.reason
    assert "40001" not in verdict.reason
    assert verdict.reason == said or not said.endswith("3000")


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


@pytest.mark.parametrize(
    ("error", "code"),
    [("refused", "not_listening"), ("reset", "reset"), ("unreachable", "unreachable")],
)
def test_other_ends_of_a_look_are_named_where_processes_cannot_be_seen(
    error: HttpError, code: str
) -> None:
    assert silent(HIDDEN, error).code == code


def test_who_waits_to_be_taken_makes_no_silence_of_an_answer() -> None:
    assert judged(Livez("/livez", 503, 0.001), in_state("S", queued=7)).code == "status"


def test_open_files_explain_neither_an_answer_nor_an_agent_on_another_network() -> None:
    full = replace(IDLE, processes=(replace(BUN, files=(1024, 1024)),))
    assert judged(Livez("/livez", 503, 0.001), full).code == "status"
    assert silent(full, "unreachable").status is Status.UNKNOWN


def test_a_look_that_failed_on_the_agents_side_is_unknown() -> None:
    assert judged(Unseen("the agent cannot connect")).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("target", "applies"),
    [(APP, True), (replace(APP, livez=None), False), (replace(APP, port=None), False)],
)
def test_only_a_declared_endpoint_is_judged(target: Target, applies: bool) -> None:
    assert CHECK.applies(target) is applies
