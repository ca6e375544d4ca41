"""Where a container's processes are found, and what of them is read seldom, or beside the look."""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from healthagent.core.observation import ProcessTree, Unseen
from healthagent.core.target import Target
from healthagent.sources.procfs import ProcessTreeSource
from healthagent.sources.procfs.cmdlines import AGAIN
from healthagent.sources.procfs.queues import CLOSED, QUIET

ID = "0000" + "c" * 60
TARGET = Target(id=ID, name="app", service="app", port=3000)
AMPLE = 30.0
LISTENS = "   0: 00000000:0BB8 00000000:0000 0A 00000000:{:08X} 00:00000000 00000000 0 0 7\n"
TAKEN = "   1: 00000000:0BB8 0100007F:{0:04X} 01 00000000:{1:08X} 00:00000000 00000000 0 0 {0}\n"


class Proc:
    """A folder that reads like /proc."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 100.0

    def process(
        self,
        pid: int,
        *,
        container: str = ID,
        state: str = "S",
        ppid: int = 0,
        comm: str = "bun",
        script: str = "index.js",
    ) -> None:
        here = self.folder / str(pid)
        (here / "net").mkdir(parents=True, exist_ok=True)
        (here / "cgroup").write_text(f"0::/system.slice/docker-{container}.scope\n")
        (here / "stat").write_text(f"{pid} ({comm}) {state} {ppid} " + "0 " * 20)
        (here / "status").write_text("NSpid:\t7\t1\nSigCgt:\t4000\n")
        (here / "cmdline").write_text(f"{comm}\0{script}\0")

    def locked(self, pid: int) -> Path:
        """Let whoever reads what the process was started with wait: for who writes there. One that
        should not have waited is let go in the end, so that the test fails and does not hang."""
        there = self.folder / str(pid) / "cmdline"
        there.unlink()
        os.mkfifo(there)
        rescue = threading.Timer(AMPLE, _let_go, [there])
        rescue.daemon = True
        rescue.start()
        return there

    def waiting(self, pid: int, count: int, unread: Mapping[int, int] | None = None) -> None:
        """So many wait to be taken; of those who were, so many bytes wait, by inode."""
        taken = "".join(TAKEN.format(inode, size) for inode, size in (unread or {}).items())
        (self.folder / str(pid) / "net" / "tcp").write_text(LISTENS.format(count) + taken)

    def end(self, pid: int) -> None:
        (self.folder / str(pid)).rename(self.folder / f"ended-{pid}")

    def source(self, pid: int | None = 7) -> ProcessTreeSource:
        return ProcessTreeSource(lambda _: pid, proc=str(self.folder), clock=lambda: self.now)


def _let_go(there: Path) -> None:
    with suppress(OSError):  # nobody waits there, as it should be
        os.close(os.open(there, os.O_WRONLY | os.O_NONBLOCK))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


async def tree_of(source: ProcessTreeSource) -> ProcessTree:
    tree = await source.look(TARGET, AMPLE)
    assert isinstance(tree, ProcessTree), tree
    return tree


async def arguments(source: ProcessTreeSource) -> tuple[str, ...]:
    return (await tree_of(source)).processes[0].cmdline


def reading() -> set[threading.Thread]:
    """The threads that wait for arguments."""
    return {thread for thread in threading.enumerate() if thread.name == "cmdline"}


async def test_dockers_pid_is_the_root_where_the_hosts_processes_are_seen(proc: Proc) -> None:
    proc.process(7)
    root = (await tree_of(proc.source())).root
    assert root is not None
    assert (root.pid, root.ns_pid, root.catches_sigterm) == (7, 1, True)


async def test_a_sidecar_in_the_apps_pid_namespace_finds_it_as_pid_1(proc: Proc) -> None:
    proc.process(1)
    root = (await tree_of(proc.source(pid=4711))).root
    assert root is not None
    assert root.pid == 1


async def test_where_containers_are_not_seen_the_remedy_is_named(proc: Proc) -> None:
    proc.process(1, container="d" * 64)
    fact = await proc.source().look(TARGET, 1.0)
    assert isinstance(fact, Unseen)
    assert fact.remedy == "run it with pid: host"


async def test_a_pid_that_went_to_another_container_is_not_taken_for_this_one(proc: Proc) -> None:
    proc.process(7, container="d" * 64)
    assert isinstance(await proc.source().look(TARGET, 1.0), Unseen)


async def test_a_container_that_was_seen_and_ended_is_an_empty_tree(proc: Proc) -> None:
    proc.process(7)
    source = proc.source()
    await source.look(TARGET, 1.0)
    proc.end(7)
    assert await source.look(TARGET, 1.0) == ProcessTree(())


async def test_without_a_pid_nothing_is_looked_at(proc: Proc) -> None:
    assert isinstance(await proc.source(pid=None).look(TARGET, 1.0), Unseen)


async def test_children_stand_behind_their_parents(proc: Proc) -> None:
    proc.process(7)
    proc.process(9, ppid=8)
    proc.process(8, ppid=7)
    assert [process.pid for process in (await tree_of(proc.source())).processes] == [7, 8, 9]


async def test_arguments_that_cannot_be_read_hold_up_no_look(proc: Proc) -> None:
    proc.process(7, state="D")
    there = proc.locked(7)
    source = proc.source()
    before = reading()
    for _ in range(3):
        tree = await source.look(TARGET, 0.0)
        assert isinstance(tree, ProcessTree), "what else /proc tells of it is there to be read"
        assert [(p.comm, p.state, p.cmdline) for p in tree.processes] == [("bun", "D", ())]
    assert len(reading() - before) == 1, "a process that hangs costs one thread, not one a look"
    await asyncio.to_thread(there.write_bytes, b"bun\0index.js\0")
    assert await arguments(source) == ("bun", "index.js"), "it is read once it can be"


async def test_arguments_that_are_known_serve_while_they_cannot_be_read_again(proc: Proc) -> None:
    proc.process(7)
    source = proc.source()
    await tree_of(source)
    proc.now += AGAIN
    there = proc.locked(7)
    tree = await source.look(TARGET, 0.0)
    assert isinstance(tree, ProcessTree)
    assert tree.processes[0].cmdline == ("bun", "index.js")
    await asyncio.to_thread(there.write_bytes, b"")


async def test_arguments_of_a_program_that_another_followed_are_not_taken_for_its_own(
    proc: Proc,
) -> None:
    proc.process(7, comm="sh", script="start.sh")
    source = proc.source()
    assert await arguments(source) == ("sh", "start.sh")
    proc.process(7)
    assert await arguments(source) == ("bun", "index.js"), "exec() keeps the pid and its start"


async def test_arguments_of_a_program_that_one_of_its_name_followed_are_soon_seen(
    proc: Proc,
) -> None:
    proc.process(7)
    source = proc.source()
    await tree_of(source)
    proc.process(7, script="worker.js")
    proc.now += AGAIN
    await tree_of(source)
    await asyncio.gather(*(reading.done for reading in source._cmdlines._readings.values()))
    assert await arguments(source) == ("bun", "worker.js")


async def test_no_arguments_in_the_middle_of_exec_are_none_only_at_that_look(proc: Proc) -> None:
    proc.process(7)
    (proc.folder / "7" / "cmdline").write_bytes(b"")
    source = proc.source()
    assert await arguments(source) == ()
    proc.process(7)
    assert await arguments(source) == ("bun", "index.js")


async def test_a_zombie_has_no_arguments_though_they_were_known(proc: Proc) -> None:
    proc.process(7)
    source = proc.source()
    await tree_of(source)
    proc.process(7, state="Z")
    assert await arguments(source) == ()


async def test_the_socket_tables_of_one_that_seems_well_are_read_seldom(proc: Proc) -> None:
    proc.process(7)
    proc.waiting(7, 0)
    source = proc.source()
    assert (await tree_of(source)).accept_queue == {3000: 0}
    proc.waiting(7, 2)
    proc.now += QUIET - 1
    assert (await tree_of(source)).accept_queue == {3000: 0}, "each read costs milliseconds"
    proc.now += 1
    assert (await tree_of(source)).accept_queue == {3000: 2}


async def test_where_somebody_waited_the_next_look_reads_afresh(proc: Proc) -> None:
    source = proc.source()
    for state, waiting in (("R", 3), ("S", 2), ("S", 0)):
        proc.process(7, state=state)
        proc.waiting(7, waiting)
        proc.now += 1
        assert (await tree_of(source)).accept_queue == {3000: waiting}, "a crowd passes in no time"


async def test_where_no_answer_came_the_next_look_reads_afresh(proc: Proc) -> None:
    proc.process(7)
    proc.waiting(7, 0)
    source = proc.source()
    await tree_of(source)
    proc.waiting(7, 65)
    source.doubt(TARGET)
    assert (await tree_of(source)).accept_queue == {3000: 65}, "it sleeps, and its door is blocked"


async def test_where_the_port_refuses_what_listens_is_soon_read_afresh_and_not_each_time(
    proc: Proc,
) -> None:
    proc.process(7)
    source = proc.source()
    assert (await tree_of(source)).listeners == frozenset()
    proc.waiting(7, 0)
    for passed, expected in ((CLOSED - 1, set()), (1.0, {("0.0.0.0", 3000)})):
        proc.now += passed
        source.refused(TARGET)
        assert (await tree_of(source)).listeners == expected


async def test_what_the_first_thread_wanted_is_told_from_look_to_look(proc: Proc) -> None:
    proc.process(7)
    schedstat = proc.folder / "7" / "schedstat"
    source = proc.source()
    wanted = []
    for ran, waited in ((0, 0), (250_000_000, 500_000_000), (250_000_000, 500_000_000)):
        schedstat.write_text(f"{ran} {waited} 7\n")
        (process,) = (await tree_of(source)).processes
        wanted.append(process.wanted)
        proc.now += 1.0
    assert wanted == [None, 0.75, 0.0], "a first look has nothing to compare"


async def test_one_that_is_not_let_run_is_looked_at_as_one_that_runs(proc: Proc) -> None:
    proc.process(7)
    schedstat = proc.folder / "7" / "schedstat"
    source = proc.source()
    for waited in (0, 900_000_000, 1_800_000_000):
        schedstat.write_text(f"0 {waited} 7\n")
        proc.waiting(7, 9)
        tree = await tree_of(source)
        proc.now += 1.0
    assert tree.turned == math.inf, "it slept at each look, and wanted to run in between"


async def test_those_of_one_that_is_stopped_are_read_at_every_look(proc: Proc) -> None:
    proc.process(7)
    proc.waiting(7, 0)
    source = proc.source()
    await tree_of(source)
    proc.process(7, state="T")
    for waiting in (2, 3):
        proc.now += 1
        proc.waiting(7, waiting)
        assert (await tree_of(source)).accept_queue == {3000: waiting}


@pytest.mark.parametrize(
    ("waiting", "unread", "turned"),
    [
        pytest.param(9, {70: 16, 71: 16}, math.inf, id="nothing moved"),
        pytest.param(10, {70: 16, 71: 32}, math.inf, id="more came"),
        pytest.param(9, {71: 16}, math.inf, id="one hung up"),
        pytest.param(8, {70: 16, 71: 16}, 0.0, id="one fewer waits"),
        pytest.param(9, {70: 16, 71: 16, 72: 16}, 0.0, id="one was taken, another came"),
        pytest.param(9, {70: 16, 71: 0}, 0.0, id="one was read"),
    ],
)
async def test_only_what_the_app_itself_does_shows_that_its_loop_turns(
    proc: Proc, waiting: int, unread: Mapping[int, int], turned: float
) -> None:
    proc.process(7, state="R")
    proc.waiting(7, 9, {70: 16, 71: 16})
    source = proc.source()
    assert (await tree_of(source)).turned is None, "there is nothing to compare yet"
    proc.waiting(7, waiting, unread)
    assert (await tree_of(source)).turned == turned


async def test_a_sign_that_the_loop_turned_grows_old(proc: Proc) -> None:
    proc.process(7, state="R")
    source = proc.source()
    for waiting in (2, 1, 1):
        proc.waiting(7, waiting)
        proc.now += 3
        tree = await tree_of(source)
    assert tree.turned == 3.0


async def test_what_was_seen_before_it_was_well_again_is_compared_with_nothing(proc: Proc) -> None:
    source = proc.source()
    for state, waiting in (("R", 2), ("S", 0), ("R", 0)):
        proc.process(7, state=state)
        proc.waiting(7, waiting)
        tree = await tree_of(source)
    assert tree.turned is None


async def test_of_a_table_too_long_to_read_whole_only_known_connections_count(proc: Proc) -> None:
    proc.process(7, state="R")
    source = proc.source()
    crowd = dict.fromkeys(range(1000, 4000), 16)
    proc.waiting(7, 9, crowd)
    await tree_of(source)
    proc.waiting(7, 9, {999: 16} | crowd)
    assert (await tree_of(source)).turned == math.inf, "it may have been left out before"
    proc.waiting(7, 9, crowd | {1000: 0})
    assert (await tree_of(source)).turned == 0.0


async def test_where_there_are_no_socket_tables_nobody_waits(proc: Proc) -> None:
    proc.process(7)
    assert (await tree_of(proc.source())).accept_queue == {}


async def test_where_a_pid_file_names_no_process_there_is_none(tmp_path: Path) -> None:
    source = ProcessTreeSource(lambda _: 0, str(tmp_path))
    assert await source.look(TARGET, AMPLE) == ProcessTree(())
