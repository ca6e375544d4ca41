"""The Engine's ``top`` is read as processes, and only those of the container itself."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Mapping
from typing import Any

import pytest

from healthagent.core.observation import ProcessTree, Unseen
from healthagent.core.ps import family
from healthagent.core.target import Target
from healthagent.sources.docker import DockerTop
from healthagent.sources.docker.top import FRESH, parse

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
    rows = [row.process for row in parse(told(EXECED, ZOMBIE, CHILD, APP))]
    assert [process.pid for process in family(70, rows)] == [70, 71, 72], "parents first"


def test_a_tree_whose_root_has_ended_is_empty() -> None:
    assert family(70, [row.process for row in parse(told(CHILD))]) == []


def test_an_answer_without_processes_is_empty() -> None:
    assert parse({"Titles": TITLES, "Processes": None}) == []


def test_a_row_cut_short_is_left_out() -> None:
    assert parse(told(["70", "60"], APP))[0].process.pid == 70


TARGET = Target("a" * 64, "app-1", "app")
AMPLE = 30.0


class Top(DockerTop):
    """Asks an Engine that answers one request after the other, each once :meth:`answers` says what,
    about a container whose first process is ``pid``."""

    def __init__(self) -> None:
        self.pid, self.now, self.asked, self._answered = 70, 100.0, 0, 0
        self._begun: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._told = [queue.SimpleQueue[Mapping[str, Any]]() for _ in range(9)]
        super().__init__("unix:///none", lambda _: self.pid, lambda: self.now)

    def answers(self, *processes: list[str]) -> None:
        self._told[self._answered].put(told(*processes))
        self._answered += 1

    def _top(self, id_: str) -> Mapping[str, Any]:
        self.asked += 1
        self._begun.put(None)
        return self._told[self.asked - 1].get(timeout=AMPLE)

    async def begun(self) -> asyncio.Task[tuple[int, ...]]:
        """A look whose request is on its way."""
        look = asyncio.ensure_future(self.seen())
        await asyncio.to_thread(self._begun.get, timeout=AMPLE)
        return look

    async def seen(self) -> tuple[int, ...]:
        """The pids that a look tells."""
        tree = await self.look(TARGET, AMPLE)
        assert isinstance(tree, ProcessTree), tree
        return tuple(process.pid for process in tree.processes)


@pytest.fixture
def top() -> Top:
    return Top()


async def test_one_answer_serves_looks_at_once_and_for_some_seconds(top: Top) -> None:
    looks = asyncio.gather(top.seen(), top.seen())
    top.answers(APP)
    assert set(await looks) == {(70,)}
    assert await top.seen() == (70,)
    assert top.asked == 1, "the Engine runs ps for each request"


async def test_an_answer_that_came_too_late_for_its_look_serves_the_next(top: Top) -> None:
    assert isinstance(await top.look(TARGET, 0.0), Unseen), "it has no time at all"
    top.answers(APP)
    assert await top.seen() == (70,)
    assert top.asked == 1


async def test_an_answer_to_a_look_that_was_cancelled_grows_old_as_any(top: Top) -> None:
    (await top.begun()).cancel()
    waits = asyncio.ensure_future(top.seen())
    top.answers(APP)
    assert await waits == (70,)
    top.now += FRESH
    top.answers(APP, CHILD)
    assert await top.seen() == (70, 71), "what it was in its time says nothing of now"


async def test_an_answer_that_nobody_waited_for_is_old_after_an_hour(top: Top) -> None:
    (await top.begun()).cancel()
    top.answers(APP)
    await asyncio.gather(*top._running.values())
    top.now += 3600
    top.answers(APP, CHILD)
    assert await top.seen() == (70, 71), "what it was in its time says nothing of now"


async def test_an_answer_about_the_life_before_is_none_about_this_one(top: Top) -> None:
    (await top.begun()).cancel()
    top.pid = 80
    look = await top.begun()
    top.answers(APP)
    top.answers(["80", *APP[1:]])
    assert await look == (80,), "each life of a container is asked about by itself"


async def test_that_the_process_is_in_no_answer_is_asked_again(top: Top) -> None:
    top.answers(EXECED)
    assert await top.seen() == ()
    top.answers(APP)
    assert await top.seen() == (70,), "docker top answered for another life of the container"


async def test_a_process_is_as_old_as_it_is_now_whenever_the_answer_was_given(top: Top) -> None:
    top.answers(APP, CHILD)
    await top.seen()
    top.now += 4
    tree = await top.look(TARGET, AMPLE)
    assert isinstance(tree, ProcessTree)
    assert [process.age for process in tree.processes] == [94.0, 93.0]
    assert top.asked == 1, "by the answer of four seconds ago"
