"""The Engine's ``top`` is read as processes, and only those of the container itself."""

from __future__ import annotations

from healthagent.sources.docker.top import descendants, parse

TITLES = ["PID", "PPID", "STAT", "TIME", "ELAPSED", "COMMAND"]
APP = ["70", "60", "Ssl", "12", "90", "bun run start"]
CHILD = ["71", "70", "Rl", "8", "89", "/usr/local/bin/bun build/index.js"]
EXECED = ["99", "55", "S", "0", "1", "healthprobe --ready"]
ZOMBIE = ["72", "71", "Z", "0", "5", "[git] <defunct>"]


def told(*processes: list[str]) -> dict[str, list[str] | list[list[str]]]:
    return {"Titles": TITLES, "Processes": list(processes)}


def test_a_row_tells_state_age_arguments_and_cpu() -> None:
    (row,) = parse(told(CHILD))
    process = row.process
    assert (process.pid, process.ppid, process.state) == (71, 70, "R")
    assert (process.comm, process.age, row.cpu) == ("bun", 89.0, 8)
    assert process.cmdline == ("/usr/local/bin/bun", "build/index.js")


def test_what_ps_cannot_tell_is_not_known() -> None:
    (row,) = parse(told(APP))
    assert (row.process.ns_pid, row.process.catches_sigterm) == (None, None)


def test_a_zombie_has_a_name_and_no_arguments() -> None:
    (row,) = parse(told(ZOMBIE))
    assert (row.process.comm, row.process.cmdline, row.process.state) == ("git", (), "Z")


def test_what_docker_exec_started_is_not_of_the_replicas_tree() -> None:
    rows = parse(told(EXECED, ZOMBIE, CHILD, APP))
    assert [row.process.pid for row in descendants(rows, 70)] == [70, 71, 72], "parents first"


def test_a_tree_whose_root_has_ended_is_empty() -> None:
    assert descendants(parse(told(CHILD)), 70) == []


def test_an_answer_without_processes_is_empty() -> None:
    assert parse({"Titles": TITLES, "Processes": None}) == []


def test_a_row_cut_short_is_left_out() -> None:
    assert parse(told(["70", "60"], APP))[0].process.pid == 70
