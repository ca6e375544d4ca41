"""The history on disks that are full, and that may not be written to: real file systems."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from healthagent.core.notice import Notice
from healthagent.supervisor.history import FILE, Earlier, History
from tests.unit.supervisor.test_history import BY_HAND, CHANGE, STEP

pytestmark = pytest.mark.may_skip
SIZE = 128 << 10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 kB."""
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "healthagent-test", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("only root, where it may mount, has a small disk")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


async def told(notices: list[Notice]) -> Notice:
    async with asyncio.timeout(30):
        while not notices:  # noqa: ASYNC110  # another thread complains
            await asyncio.sleep(0.01)
    (notice,) = notices
    return notice


async def test_a_disk_that_fills_up(disk: Path) -> None:
    notices: list[Notice] = []
    history = History(disk / FILE, notices.append)
    await history.open()
    history.add(STEP)
    assert await history.settled()
    for number in range(20):
        history.add_evidence(str(number), {"log": "x" * 20_000})
    history.add(CHANGE)
    assert await history.entries("", 0.0, 9) == [STEP, CHANGE], "what was kept is taken along"
    assert await history.evidence("19") == {"log": "x" * 20_000}
    notice = await told(notices)
    assert "full" in notice.problem and notice.remedy.startswith("make room on its disk")
    await history.aclose()

    after = History(disk / FILE, notices.append)
    await after.open()
    assert await after.entries("", 0.0, 9) == [STEP], "what was written before is not lost"
    await after.aclose()


async def test_a_disk_that_is_full_when_the_agent_starts(disk: Path) -> None:
    before = History(disk / FILE)
    await before.open()
    before.add(STEP)
    before.keep_drains({"c" * 64: BY_HAND})
    assert await before.settled()
    await before.aclose()
    fill(disk / "full")
    notices: list[Notice] = []
    history = History(disk / FILE, notices.append)
    assert await history.open() == Earlier({"c" * 64: BY_HAND}, (STEP,))
    history.keep_drains({})
    assert await history.settled()
    assert (await told(notices)).remedy.startswith("make room on its disk")
    (disk / "full").unlink()
    await history.aclose()

    after = History(disk / FILE)
    assert await after.open() == Earlier(steps=(STEP,)), "what was undrained meanwhile stays so"
    await after.aclose()


async def test_a_disk_that_is_full_for_a_while(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthagent.supervisor.history.AGAIN", 0.1)
    notices: list[Notice] = []
    gone: list[Notice] = []
    history = History(disk / FILE, notices.append, gone.append)
    await history.open()
    history.keep_drains({"c" * 64: BY_HAND})
    assert await history.settled()
    fill(disk / "full")
    history.add_evidence("a1", {"log": "x" * 20_000})
    history.keep_drains({})
    history.add(STEP)
    assert await history.settled()
    notice = await told(notices)
    assert "restart" not in notice.remedy, "that there is room is enough"
    (disk / "full").unlink()
    assert await told(gone) == notice
    history.add(CHANGE)
    assert await history.settled()
    shutil.copy(disk / FILE, disk / "as a kill would leave it")
    await history.aclose()

    after = History(disk / "as a kill would leave it")
    assert await after.open() == Earlier(steps=(STEP,)), "what was undrained meanwhile stays so"
    assert await after.entries("", 0.0, 9) == [STEP, CHANGE]
    await after.aclose()


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@pytest.mark.parametrize("used_before", [True, False])
async def test_a_disk_that_may_not_be_written_to(disk: Path, used_before: bool) -> None:
    if used_before:
        before = History(disk / FILE)
        await before.open()
        before.add(STEP)
        assert await before.settled()
        await before.aclose()
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,ro", str(disk)], check=True)
    notices: list[Notice] = []
    history = History(disk / FILE, notices.append)
    await history.open()
    history.add(replace(STEP, act="a2"))
    expected = [STEP] if used_before else []
    assert await history.entries("", 0.0, 9) == [*expected, replace(STEP, act="a2")]
    notice = await told(notices)
    assert f"user id {os.geteuid()}" in notice.remedy
    await history.aclose()
    assert len(notices) == 1
