"""A name that hangs keeps no other waiting, and costs one thread however often it is asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from healthagent.names import Found, Names, Unresolved, look_up
from tests.files import no_file_left

FOUND = ("10.0.0.2", "fd00::2")


class Resolver:
    """Knows every name but those that begin with ``no``; one called ``hangs`` only once let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, name: str) -> Found:
        self.asked.append(name)
        if name == "hangs":
            self.let_go.wait()
        return Unresolved("unknown") if name.startswith("no") else FOUND


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.let_go.set()


async def given_up(names: Names) -> None:
    """Somebody who asked for the name that hangs, and waits for it no longer."""
    asking = asyncio.create_task(names.addresses("hangs"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled(), "who gives up must be let go at once"


@pytest.mark.parametrize("host", ["10.0.0.2", "::1", "fe80::1%eth0"])
async def test_an_address_is_its_own_and_nobody_is_asked(resolver: Resolver, host: str) -> None:
    assert await Names(resolver).addresses(host) == (host,)
    assert resolver.asked == []


async def test_all_who_ask_for_a_name_meanwhile_share_one_lookup(resolver: Resolver) -> None:
    names = Names(resolver)
    asking = [asyncio.create_task(names.addresses("hangs")) for _ in range(9)]
    await asyncio.sleep(0)
    resolver.let_go.set()
    assert await asyncio.gather(*asking) == [FOUND] * 9
    assert resolver.asked == ["hangs"], "one lookup for all"


async def test_one_that_hangs_keeps_no_other_name_waiting(resolver: Resolver) -> None:
    names = Names(resolver)
    for _ in range(99):
        await given_up(names)
    assert await names.addresses("db") == FOUND
    assert resolver.asked == ["hangs", "db"], "a name has one thread, however often it is asked for"


async def test_a_lookup_goes_on_for_those_who_come_after(resolver: Resolver) -> None:
    names = Names(resolver)
    await given_up(names)
    later = asyncio.create_task(names.addresses("hangs"))
    await asyncio.sleep(0)
    resolver.let_go.set()
    assert await later == FOUND
    assert resolver.asked == ["hangs"], "who comes after takes up the lookup that runs"


async def test_what_was_found_is_known_for_a_moment(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(resolver)
    await names.addresses("db")
    await names.addresses("db")
    assert resolver.asked == ["db"], "a name that was found just now is not looked up again"
    monkeypatch.setattr("healthagent.names.KNOWN", 0.0)
    await names.addresses("cache")
    await asyncio.sleep(0)
    await names.addresses("cache")
    assert resolver.asked == ["db", "cache", "cache"], "an address may move: it is asked for anew"


async def test_what_was_found_last_is_told_at_once_and_asked_for_anew_meanwhile(
    resolver: Resolver,
) -> None:
    names = Names(resolver)
    assert names.last("db") == ()
    assert names.last("hangs") == names.last("hangs") == (), "nobody waits"
    assert await names.addresses("db") == FOUND
    assert names.last("db") == FOUND
    assert names.last("10.0.0.2") == ("10.0.0.2",)
    assert resolver.asked == ["db", "hangs"], "one lookup each"


async def test_a_name_without_an_address_is_told_to_all_and_asked_for_anew(
    resolver: Resolver,
) -> None:
    names = Names(resolver)
    both = await asyncio.gather(
        names.addresses("nowhere"), names.addresses("nowhere"), return_exceptions=True
    )
    assert [str(each) for each in both if isinstance(each, Unresolved)] == ["unknown"] * 2
    with pytest.raises(Unresolved):
        await names.addresses("nowhere")
    assert resolver.asked == ["nowhere"] * 2, "it may have an address by now"


def test_what_cannot_be_a_name_has_no_address() -> None:
    for name in ("no..name", "x" * 64, "zero\0byte"):
        assert isinstance(look_up(name), Unresolved), name


async def test_a_name_that_nobody_could_look_up_is_not_called_unknown() -> None:
    """No file descriptor is left to ask with."""
    names = Names()
    await names.addresses("localhost")  # what takes a file the first time has been read
    with no_file_left(), pytest.raises(OSError, match="Too many open files"):
        await names.addresses("db.invalid")


def test_this_machine_has_one() -> None:
    found = look_up("localhost")
    assert isinstance(found, tuple), found
    assert {"127.0.0.1", "::1"} & set(found)


def test_the_end_of_the_event_loop_waits_for_no_lookup(resolver: Resolver) -> None:
    asyncio.run(given_up(Names(resolver)))
    (pending,) = (thread for thread in threading.enumerate() if thread.name == "name hangs")
    assert pending.daemon, "the interpreter must not wait for it either"
    resolver.let_go.set()
    pending.join()
