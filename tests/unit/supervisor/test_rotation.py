"""Who is out of rotation on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from healthagent.core.rotation import Drain
from healthagent.supervisor import Drains
from tests.unit.supervisor.scenes import report, well

BY_HAND = Drain("ops", "a new disk", 1.0)


async def test_the_reader_learns_at_once_and_after_every_change() -> None:
    drains = Drains()
    told = drains.drains()
    assert await anext(told) == {}
    drains.add("a", BY_HAND)
    assert await anext(told) == {"a": BY_HAND}
    drains.remove("a")
    assert await anext(told) == {}


async def test_a_change_between_two_looks_is_not_lost() -> None:
    drains = Drains()
    told = drains.drains()
    await anext(told)
    drains.add("a", BY_HAND)
    drains.add("b", BY_HAND)
    assert set(await asyncio.wait_for(anext(told), 30.0)) == {"a", "b"}


async def test_who_drained_it_first_is_remembered() -> None:
    drains = Drains()
    drains.add("a", BY_HAND)
    drains.add("a", Drain("roll", "", 2.0))
    assert drains["a"] == BY_HAND


def test_lasting_drains_are_kept_beyond_the_agents_life() -> None:
    kept: list[Mapping[str, Drain]] = []
    lasting = replace(BY_HAND, lasting=True)
    drains = Drains({"a": lasting}, kept.append)
    assert drains["a"] == lasting
    drains.add("b", Drain("roll", "", 2.0))
    assert kept == [], "the drain of an act ends with it"
    drains.add("b", lasting)
    assert kept[-1] == {"a": lasting, "b": lasting}
    drains.remove("a")
    drains.remove("a")
    assert kept[-1] == {"b": lasting}
    assert len(kept) == 2


def test_an_act_takes_back_its_own_drain_alone() -> None:
    drains, own = Drains(), Drain("supervisor", "", 1.0)
    drains.add("a", own)
    drains.add("a", replace(BY_HAND, lasting=True))
    drains.remove("a", only=own)
    assert drains["a"] == replace(BY_HAND, lasting=True), "somebody wants it out for good"


def test_kept_drains_of_replicas_that_are_gone_go_once_all_are_judged() -> None:
    lasting, kept = replace(BY_HAND, lasting=True), list[Mapping[str, Drain]]()
    here = report(well("app-1"))
    drains = Drains({here.targets[0].target.id: lasting, "gone": lasting}, kept.append)
    drains.publish(replace(here, settled=False, services=()), ())
    assert kept == [], "who is not found yet may still be"
    drains.publish(here, ())
    assert list(kept[-1]) == [here.targets[0].target.id]
    drains.add("new", lasting)
    drains.publish(here, ())
    assert drains["new"] == lasting, "what a roll puts in its place may not be seen yet"


def test_the_drain_of_a_replica_that_is_removed_later_goes_with_it() -> None:
    lasting, kept = replace(BY_HAND, lasting=True), list[Mapping[str, Drain]]()
    both, one = report(well("app-1"), well("app-2")), report(well("app-1"))
    stays, goes = (target.target.id for target in both.targets)
    drains = Drains(keep=kept.append)
    drains.add(stays, lasting)
    drains.add(goes, lasting)
    for seen in (one, both):
        drains.publish(seen, ())
        assert drains[goes] == lasting, "who was never seen is not gone"
    drains.publish(one, ())
    assert list(kept[-1]) == [stays]
    assert drains[goes] is None


def test_a_drain_says_who_and_why() -> None:
    assert str(BY_HAND) == "drained by ops: a new disk"
    assert str(Drain("roll", "", 2.0)) == "drained by roll"
    assert str(Drain("", "", 2.0)) == "drained", "what a public listener tells"
