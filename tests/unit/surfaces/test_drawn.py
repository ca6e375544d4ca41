"""Drawing once for all who ask."""

from __future__ import annotations

import asyncio
import threading

from healthagent.surfaces.http.drawn import Drawn

WITHIN = 30.0


class Easel:
    """A number that changes, and drawings of it, each of which takes until it is let go on."""

    def __init__(self) -> None:
        self.number = 1
        self.begun: list[int] = []
        self.ended = 0
        self.at_work, self.go_on = threading.Event(), threading.Event()
        self.drawn = Drawn(lambda: self.number, self.draw)

    def draw(self, number: int) -> str:
        assert len(self.begun) == self.ended, "two are drawn at a time"
        self.begun.append(number)
        self.at_work.set()
        assert self.go_on.wait(WITHIN)
        self.ended += 1
        return f"a {number}"

    async def readers(self, count: int) -> list[asyncio.Task[str]]:
        """So many who wait for a drawing that has begun."""
        asking = [asyncio.create_task(self.drawn.newest()) for _ in range(count)]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(self.at_work.wait, WITHIN)
        return asking


async def test_all_who_ask_share_one_drawing_while_nothing_changes() -> None:
    easel = Easel()
    readers = await easel.readers(3)
    easel.go_on.set()
    assert await asyncio.gather(*readers, easel.drawn.newest()) == ["a 1"] * 4
    assert easel.begun == [1]


async def test_a_reader_who_leaves_ends_it_for_no_other() -> None:
    easel = Easel()
    first, second = await easel.readers(2)
    first.cancel()
    easel.go_on.set()
    assert await second == "a 1"


async def test_who_asks_after_a_change_gets_it_however_many_came_meanwhile() -> None:
    easel = Easel()
    before = await easel.readers(1)
    easel.number = 2
    after = await easel.readers(2)
    easel.number = 3
    easel.go_on.set()
    assert await asyncio.gather(*before, *after) == ["a 1", "a 3", "a 3"]
    assert easel.begun == [1, 3], "none is drawn for nobody"
