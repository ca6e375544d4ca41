"""What is kept of acts and transitions outlives the agent, and a file that fails is no outage."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from healthagent.core.action import Outcome, Step
from healthagent.core.notice import Notice
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.core.transition import Transition
from healthagent.supervisor.history import (
    DRAIN_AGAIN,
    FILE,
    UNDONE,
    Earlier,
    History,
    located,
)
from healthagent.supervisor.notices import Notices
from healthagent.supervisor.store import VERSION, Bounds, Store

NOW = time.time()
STEP = Step(
    NOW, "a1", "restart", "supervisor", "app", "app-2", Outcome.BEGUN, "it is dead", {"pid": 7}
)
CHANGE = Transition(
    NOW + 1, Target("c" * 64, "app-2", "app"), "http", "ok", "failed", "status", "503", {"ms": 1.5}
)
BY_HAND = Drain("alice", "a new disk", NOW, lasting=True)


@asynccontextmanager
async def opened(
    path: Path | None, notices: list[Notice] | None = None
) -> AsyncIterator[tuple[History, Earlier]]:
    told: list[Notice] = [] if notices is None else notices
    history = History(path, told.append)
    try:
        yield history, await history.open()
    finally:
        assert await history.settled(), "the disk is far too slow"
        await history.aclose()


async def kept(history: History) -> list[object]:
    entries = await history.entries("", 0.0, 1000)
    assert entries is not None
    return list(entries)


class TestWhatIsKept:
    async def test_all_of_it_is_there_in_the_agents_next_life(self, tmp_path: Path) -> None:
        async with opened(tmp_path / FILE) as (history, earlier):
            assert earlier == Earlier()
            history.add(STEP)
            history.add(CHANGE)
            history.add_evidence("a1", {"log": "it hung"})
            history.keep_drains({"c" * 64: BY_HAND})
        async with opened(tmp_path / FILE) as (history, earlier):
            assert await kept(history) == [STEP, CHANGE]
            assert await history.evidence("a1") == {"log": "it hung"}
            assert await history.evidence("a2") is None
            assert earlier.drains == {"c" * 64: BY_HAND}
            assert earlier.steps == (STEP,)

    async def test_since_when_a_replica_is_dead_is_told_to_the_next_life(
        self, tmp_path: Path
    ) -> None:
        fell = replace(CHANGE, check="", before="ready", after="not live")
        async with opened(tmp_path / FILE) as (history, _):
            history.add(fell)
            history.add(replace(CHANGE, at=NOW + 9))
        async with opened(tmp_path / FILE) as (_, earlier):
            assert earlier.died == {CHANGE.target.id: fell.at}

    async def test_in_memory_it_is_there_as_long_as_the_agent(self) -> None:
        async with opened(None) as (history, _):
            history.add(STEP)
            assert await kept(history) == [STEP]

    async def test_it_can_be_asked_by_name_and_time(self, tmp_path: Path) -> None:
        other = replace(STEP, target="", service="web", verb="roll", at=NOW + 2)
        async with opened(tmp_path / FILE) as (history, _):
            for entry in (STEP, CHANGE, other):
                history.add(entry)
            assert await history.entries("app-2", 0.0, 10) == [STEP, CHANGE]
            assert await history.entries("web", 0.0, 10) == [other]
            assert await history.entries("", NOW + 1, 10) == [CHANGE, other]
            assert await history.entries("", 0.0, 2) == [CHANGE, other], "the last ones"

    async def test_only_drains_of_now_are_kept(self, tmp_path: Path) -> None:
        async with opened(tmp_path / FILE) as (history, _):
            history.keep_drains({"a": BY_HAND, "b": BY_HAND})
            history.keep_drains({"b": BY_HAND})
        async with opened(tmp_path / FILE) as (_, earlier):
            assert list(earlier.drains) == ["b"]

    async def test_nobody_else_can_read_the_file(self, tmp_path: Path) -> None:
        async with opened(tmp_path / FILE):
            assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


class TestBounds:
    @pytest.fixture
    def store(self) -> Store:
        return Store(None, Bounds(steps=3, transitions=2, evidence=2, bytes_of_each=100_000))

    def test_the_oldest_goes_and_steps_outlive_transitions(self, store: Store) -> None:
        with store.transaction():
            for number in range(10):
                store.add(replace(STEP, at=float(number)))
                store.add(replace(CHANGE, at=float(number)))
                store.add_evidence(f"a{number}", "{}")
            store.prune()
        told = store.entries()
        assert [e.at for e in told if isinstance(e, Step)] == [7.0, 8.0, 9.0]
        assert [e.at for e in told if isinstance(e, Transition)] == [8.0, 9.0]
        assert [store.evidence(f"a{n}") for n in (7, 8, 9)] == [None, "{}", "{}"]

    def test_so_does_what_is_too_large_in_sum(self, store: Store) -> None:
        with store.transaction():
            store.add_evidence("a1", "x" * 60_000)
            store.add_evidence("a2", "x" * 60_000)
            store.prune()
        assert store.evidence("a1") is None
        assert store.evidence("a2") is not None

    async def test_the_file_does_not_grow_without_end(self, tmp_path: Path) -> None:
        store = Store(tmp_path / FILE, Bounds(evidence=5))
        sizes = []
        for number in range(60):
            with store.transaction():
                store.add_evidence(str(number), "x" * 100_000)
                store.prune()
            sizes.append((tmp_path / FILE).stat().st_size)
        assert sizes[-1] == sizes[10]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # of another thread
            await asyncio.sleep(0.01)


class TestWhereTheFileFails:
    async def degrades(self, path: Path, word: str, remedy: str, *, unread: bool = True) -> None:
        notices: list[Notice] = []
        async with opened(path, notices) as (history, _):
            history.add(STEP)
            assert await kept(history) == [STEP], "it goes on in memory"
            await until(lambda: bool(notices))
            history.add(CHANGE)
            assert await kept(history) == [STEP, CHANGE]
        (notice,) = notices
        assert notice.value == str(path)
        assert word in str(notice) and remedy in notice.remedy, str(notice)
        assert (UNDONE in notice.problem) == unread, str(notice)
        assert (DRAIN_AGAIN in notice.remedy) == unread, str(notice)

    async def fills_up(self, history: History) -> None:
        """SQLite's own limit of pages, in place of a disk: tests/contract has a real one."""
        history._tell(lambda store: store._connection.execute("PRAGMA max_page_count = 8"))
        assert await history.settled()
        history.add_evidence("big", {"log": "x" * 100_000})

    async def test_a_corrupt_file_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / FILE
        path.write_bytes(b"no database at all " * 500)
        before = path.read_bytes()
        await self.degrades(path, "file is not a database", "move it away")
        assert path.read_bytes() == before

    async def test_a_page_that_was_overwritten(self, tmp_path: Path) -> None:
        path = tmp_path / FILE
        async with opened(path) as (history, _):
            for _ in range(300):
                history.add(STEP)
        with path.open("r+b") as file:
            file.seek(3 * 4096)
            file.write(os.urandom(3 * 4096))
        await self.degrades(path, "it is damaged", "move it away")

    async def test_no_such_directory(self, tmp_path: Path) -> None:
        path = tmp_path / "missing" / FILE
        remedy = f"user id {os.geteuid()} may write to"
        await self.degrades(path, "unable to open", remedy, unread=False)

    async def test_a_second_agent_on_the_same_file(self, tmp_path: Path) -> None:
        async with opened(tmp_path / FILE) as (history, _):
            history.add(CHANGE)
            await self.degrades(tmp_path / FILE, "locked", "a file of its own")
            assert await kept(history) == [CHANGE]

    async def test_it_writes_nothing_there_where_it_outlives_the_first(
        self, tmp_path: Path
    ) -> None:
        async with opened(tmp_path / FILE) as (first, _):
            first.add(CHANGE)
            assert await first.settled()
            second = History(tmp_path / FILE)
            await second.open()
            second.add(STEP)
            assert await second.settled()
        await second.aclose()
        async with opened(tmp_path / FILE) as (history, _):
            assert await kept(history) == [CHANGE]

    async def test_a_file_of_a_later_version(self, tmp_path: Path) -> None:
        connection = sqlite3.connect(tmp_path / FILE)
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.close()
        await self.degrades(tmp_path / FILE, "its schema is 2", "start the version")

    async def test_a_disk_that_fills_up_later_costs_nothing_that_was_kept(
        self, tmp_path: Path
    ) -> None:
        notices: list[Notice] = []
        async with opened(tmp_path / FILE, notices) as (history, _):
            history.add(STEP)
            await self.fills_up(history)
            history.add(CHANGE)
            assert await kept(history) == [STEP, CHANGE]
            assert await history.evidence("big") == {"log": "x" * 100_000}
            await until(lambda: bool(notices))
        assert len(notices) == 1 and "full" in notices[0].problem

    async def test_what_was_undrained_meanwhile_stays_so_where_there_is_room_when_the_agent_ends(
        self, tmp_path: Path
    ) -> None:
        async with opened(tmp_path / FILE) as (history, _):
            history.keep_drains({"c" * 64: BY_HAND})
            await self.fills_up(history)
            history.keep_drains({})
            history.add(STEP)
        async with opened(tmp_path / FILE) as (history, earlier):
            assert earlier == Earlier(steps=(STEP,))
            assert await history.evidence("big") == {"log": "x" * 100_000}

    async def test_where_there_is_room_again_it_goes_back_to_the_file_by_itself(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("healthagent.supervisor.history.AGAIN", 0.05)
        notices: list[Notice] = []
        gone: list[Notice] = []
        history = History(tmp_path / FILE, notices.append, gone.append)
        await history.open()
        history.keep_drains({"c" * 64: BY_HAND})
        await self.fills_up(history)
        history.add(STEP)
        history.keep_drains({})
        await until(lambda: bool(gone))
        assert gone == notices and len(notices) == 1, "told once, and taken back"
        history.add(CHANGE)
        assert await kept(history) == [STEP, CHANGE]
        left = tmp_path / "as a kill would leave it"
        shutil.copy(tmp_path / FILE, left)
        await history.aclose()
        async with opened(left) as (history, earlier):
            assert earlier == Earlier(steps=(STEP,))
            assert await kept(history) == [STEP, CHANGE]

    async def test_a_file_that_it_does_not_know_whole_is_never_gone_back_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it held would be lost."""
        monkeypatch.setattr("healthagent.supervisor.history.AGAIN", 0.0)
        async with opened(tmp_path / FILE) as (first, _):
            first.add(CHANGE)
            assert await first.settled()
            second = History(tmp_path / FILE)
            await second.open()
        second.add(STEP)
        for _ in range(3):
            assert await kept(second) == [STEP]
        await second.aclose()
        async with opened(tmp_path / FILE) as (history, _):
            assert await kept(history) == [CHANGE]


def sqlite_error(name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError(f"there is {name}")
    error.sqlite_errorname = name
    return error


class TestWhereTheFileFailsAtTheStart:
    @pytest.fixture(autouse=True)
    async def before(self, tmp_path: Path) -> None:
        async with opened(tmp_path / FILE) as (history, _):
            history.add(STEP)
            history.keep_drains({"c" * 64: BY_HAND})

    def refuse(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        """No file can be used from now on, in place of a disk: tests/contract has a real one."""

        def store(path: Path | None) -> Store:
            if path is not None:
                raise error
            return Store(None)

        monkeypatch.setattr("healthagent.supervisor.history.Store", store)

    async def begins_anew(self, path: Path) -> Notice:
        """What is told of a file of which nothing is gone by; the history works all the same."""
        notices: list[Notice] = []
        async with opened(path, notices) as (history, earlier):
            assert earlier == Earlier()
            history.add(CHANGE)
            assert await kept(history) == [CHANGE]
            await until(lambda: bool(notices))
        return notices[0]

    @pytest.mark.parametrize(
        "error",
        [
            sqlite_error("SQLITE_FULL"),
            sqlite_error("SQLITE_IOERR_WRITE"),
            sqlite_error("SQLITE_READONLY"),
            sqlite_error("SQLITE_CANTOPEN"),
            PermissionError("its mode is another user's to change"),
        ],
        ids=str,
    )
    async def test_what_it_holds_is_gone_by_all_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        self.refuse(monkeypatch, error)
        notices: list[Notice] = []
        async with opened(tmp_path / FILE, notices) as (_, earlier):
            assert earlier == Earlier({"c" * 64: BY_HAND}, (STEP,))
            await until(lambda: bool(notices))
        (notice,) = notices
        assert "in memory alone until it can be written there" in notice.problem
        assert UNDONE not in notice.problem

    async def test_where_it_cannot_be_gone_by_the_notice_says_what_that_undoes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        size = (tmp_path / FILE).stat().st_size
        with (tmp_path / FILE).open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(size - 4096))
        self.refuse(monkeypatch, sqlite_error("SQLITE_FULL"))
        notice = await self.begins_anew(tmp_path / FILE)
        assert UNDONE in notice.problem and DRAIN_AGAIN in notice.remedy

    async def test_a_file_without_a_byte_holds_nothing_and_undoes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / FILE).write_bytes(b"")
        self.refuse(monkeypatch, sqlite_error("SQLITE_FULL"))
        notice = await self.begins_anew(tmp_path / FILE)
        assert UNDONE not in notice.problem

    async def test_drains_that_came_too_late_stay_undone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        history = History(tmp_path / FILE)
        with monkeypatch.context() as hasty:
            hasty.setattr("healthagent.supervisor.history.ANSWER", 0.0)
            assert await history.open() == Earlier()
        assert await history.settled()
        await history.aclose()
        async with opened(tmp_path / FILE) as (_, earlier):
            assert earlier == Earlier(steps=(STEP,))


class TestWhatCannotBeDone:
    async def test_it_fails_alone_and_the_rest_is_kept(self, tmp_path: Path) -> None:
        notices: list[Notice] = []
        async with opened(tmp_path / FILE, notices) as (history, _):
            history.keep_drains({"c" * 64: BY_HAND})
            history.keep_drains({"c" * 64: replace(BY_HAND, why=object())})  # type: ignore[arg-type]
            history.add(replace(STEP, at=object()))  # type: ignore[arg-type]
            history.add(CHANGE)
            assert await kept(history) == [CHANGE]
        async with opened(tmp_path / FILE) as (_, earlier):
            assert earlier.drains == {"c" * 64: BY_HAND}
        assert notices == [], "the file is well"

    async def test_who_asked_is_told_why(self) -> None:
        async with opened(None) as (history, _):
            with pytest.raises(TypeError, match="no such thing"):
                await history._ask(_fails)
            history.add(STEP)
            assert await kept(history) == [STEP]

    async def test_what_is_not_understood_keeps_no_agent_down(self, tmp_path: Path) -> None:
        async with opened(tmp_path / FILE) as (history, _):
            history.keep_drains({"c" * 64: BY_HAND})
        connection = sqlite3.connect(tmp_path / FILE)
        connection.execute("UPDATE drains SET document = '{'")
        connection.commit()
        connection.close()
        notices: list[Notice] = []
        async with opened(tmp_path / FILE, notices) as (history, earlier):
            assert earlier == Earlier()
            history.add(STEP)
            assert await kept(history) == [STEP]
        assert "could not be read at the start (what it holds is not" in notices[0].problem

    async def test_a_file_that_gives_no_answer_is_told_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        notices: list[Notice] = []
        history = History(tmp_path / FILE, notices.append)
        with monkeypatch.context() as hasty:
            hasty.setattr("healthagent.supervisor.history.ANSWER", 0.0)
            assert await history.open() == Earlier()
        assert "it gave no answer within 0 s" in notices[0].problem
        assert await history.settled(), "it goes on once the file is there"
        await history.aclose()


def _fails(store: Store) -> None:
    raise TypeError(f"no such thing in {store}")


WRITER = """
import sys
from pathlib import Path
from tests.unit.supervisor.test_history import STEP
from healthagent.supervisor.store import Store
store = Store(Path(sys.argv[1]))
number = 0
while True:
    with store.transaction():
        for _ in range(2):
            store.add(STEP.__class__(**{**{f: getattr(STEP, f) for f in STEP.__slots__},
                                        "text": str(number)}))
            store.add_evidence(str(number), "x" * 50_000)
    number += 1
    print(number, flush=True)
"""


def test_a_kill_in_the_middle_of_a_write_leaves_whole_transactions(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 5:
                break
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait(10)
    store = Store(path)
    texts = [step.text for step in store.steps(0.0)]
    assert len(texts) >= 10
    assert texts == [str(number) for number in range(len(texts) // 2) for _ in range(2)]
    store.close()


async def test_a_notice_of_it_takes_no_other_ones_place() -> None:
    notices = Notices()
    told = Notice("history", "could not be read", ""), Notice("history", "cannot be used", "")
    for notice in told:
        notices.add(notice)
    assert (await anext(notices.sightings())).notices == told
    notices.remove(told[1])
    assert (await anext(notices.sightings())).notices == told[:1]


class TestWhereItIs:
    def test_a_directory_or_a_file(self, tmp_path: Path) -> None:
        assert located(tmp_path) == tmp_path / FILE
        assert located(tmp_path / "mine.db") == tmp_path / "mine.db"

    @pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ESTALE])
    def test_one_that_cannot_be_looked_at_is_for_who_opens_it_to_complain_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
    ) -> None:
        def fails(*_: object, **__: object) -> None:
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(os, "stat", fails)
        assert located(tmp_path) == tmp_path

    def test_the_default_directory_where_it_is_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("healthagent.supervisor.history.DEFAULT_DIRECTORY", tmp_path)
        assert located(None) == tmp_path / FILE
        monkeypatch.setattr("healthagent.supervisor.history.DEFAULT_DIRECTORY", tmp_path / "no")
        assert located(None) is None
