"""Of several sources the first that can see answers, within one deadline."""

from __future__ import annotations

from healthagent.core.observation import ProcessTree, Unseen
from healthagent.core.target import Target
from healthagent.sources.fake import FakeSource
from healthagent.sources.first_seen import FirstSeen

TARGET = Target(id="static:app", name="app", service="app")
TREE = ProcessTree(())


async def test_the_preferred_source_answers_where_it_can_see() -> None:
    preferred, other = FakeSource(ProcessTree, {TARGET.id: TREE}), FakeSource(ProcessTree)
    assert await FirstSeen(preferred, other).look(TARGET, 1.0) is TREE
    assert other.looks == [], "the costlier source is spared"


async def test_the_next_one_answers_where_it_cannot() -> None:
    preferred, other = FakeSource(ProcessTree), FakeSource(ProcessTree, {TARGET.id: TREE})
    assert await FirstSeen(preferred, other).look(TARGET, 1.0) is TREE


async def test_where_none_sees_the_preferred_ones_remedy_stands() -> None:
    hidden, gone = Unseen("hidden", "pid: host"), Unseen("gone")
    preferred = FakeSource(ProcessTree, {TARGET.id: hidden})
    other = FakeSource(ProcessTree, {TARGET.id: gone})
    assert await FirstSeen(preferred, other).look(TARGET, 1.0) is hidden


async def test_the_kind_is_the_preferred_ones() -> None:
    assert FirstSeen(FakeSource(ProcessTree)).kind is ProcessTree
