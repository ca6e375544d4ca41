"""Who polls /traefik, and what each has."""

from __future__ import annotations

import pytest

from healthagent.core.target import Target
from healthagent.surfaces.http.pollers import Pollers

TWO = b'{"servers":[{"url":"http://10.0.0.1:3000"},{"url":"http://10.0.0.2:3000"}]}'
ONE = b'{"servers":[{"url":"http://10.0.0.1:3000"}]}'


def at(address: str, port: int = 80, id_: str = "a" * 64) -> Target:
    return Target(id_, "app-1", "app", address=address, port=port)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def polled(
    pollers: Pollers, clock: Clock, body: bytes, times: int = 2, pause: float = 5.0, held: float = 0
) -> None:
    """Asks, each time after a pause, and is held for some seconds before it is answered."""
    for _ in range(times):
        clock.now += pause
        asked = clock.now
        clock.now += held
        pollers.note("traefik", body, asked)


def test_one_that_asked_once_is_no_router() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, TWO, times=1)
    assert pollers.told() == {}


def test_a_router_that_asks_no_more_is_missed_since_its_last_answer() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, TWO, times=20)
    clock.now += 12.0
    assert pollers.silence() is None, "it is given twice its usual cycle"
    clock.now += 2.0
    assert pollers.silence() == 14.0
    pollers.note("another", TWO, clock.now)
    clock.now += 5.0
    pollers.note("another", TWO, clock.now)
    assert pollers.silence() is None, "as one that was made anew, at another address"


@pytest.mark.parametrize("times", [0, 1, 12])
def test_somebody_who_looked_a_few_times_is_not_missed(times: int) -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, TWO, times=times)
    clock.now += 1000.0
    assert pollers.silence() is None


def test_what_it_has_it_has_since_it_was_first_sent_it() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, TWO)
    polled(pollers, clock, ONE)
    changed = clock.now - 5.0
    polled(pollers, clock, ONE, times=3)
    told = pollers.told()["traefik"]
    assert told.settled(at("10.0.0.2")) == changed
    assert (told.has(at("10.0.0.1")), told.has(at("10.0.0.2"))) == (True, False)


def test_a_body_that_differs_in_other_things_is_the_same_news() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, ONE)
    before = pollers.told()["traefik"]
    polled(pollers, clock, ONE.replace(b'"}', b'","weight":7}'))
    assert pollers.told()["traefik"] == before


def test_what_happens_to_one_server_changes_nothing_about_another() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    for _ in range(10):
        polled(pollers, clock, TWO, times=1)
        polled(pollers, clock, ONE, times=1)
    told = pollers.told()["traefik"]
    assert told.settled(at("10.0.0.1")) == 105.0, "it was there from the first poll on"
    assert told.settled(at("10.0.0.2")) == clock.now, "it left just now"


def test_when_a_server_left_is_forgotten_in_the_end() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, TWO)
    polled(pollers, clock, ONE, times=200)
    assert pollers.told()["traefik"].gone == {}


def test_a_poll_that_is_held_is_no_pause() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, ONE, times=3, pause=0.1, held=60.0)
    assert pollers.told()["traefik"].pause == pytest.approx(0.1)


def test_one_whose_poll_is_held_asks_still_though_it_asked_often_before() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, TWO, times=20)
    polled(pollers, clock, TWO, pause=0.1)
    with pollers.held("traefik"):
        clock.now += 60.0
        assert pollers.told(), "it hears of what happens as soon as it does"
        assert pollers.silence() is None
    clock.now += 4.0
    assert pollers.told() == {}, "that one is over, and none came after it"


def test_one_that_stopped_asking_is_let_go_after_its_usual_pause() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, ONE)
    clock.now += 9.0
    assert pollers.told(), "it may be late"
    clock.now += 9.0
    assert pollers.told() == {}


def test_one_that_is_sent_an_error_has_what_it_had() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, ONE)
    before = pollers.told()["traefik"]
    for _ in range(10):
        clock.now += 5.0
        pollers.keep("traefik", clock.now)
    assert pollers.told()["traefik"] == before, "it routes to it still"
    pollers.keep("stranger", clock.now)
    assert list(pollers.told()) == ["traefik"], "who was never sent anything has nothing"


def test_an_address_is_not_taken_for_one_that_begins_as_it_does() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, b'{"url":"http://10.0.0.11:3000"},{"url":"http://[fd00::1]:3000"}')
    told = pollers.told()["traefik"]
    assert not told.has(at("10.0.0.1"))
    assert told.has(at("10.0.0.11"))
    assert told.has(at("fd00::1"))


def test_local_processes_share_an_address_and_are_told_apart_by_their_port() -> None:
    clock = Clock()
    pollers = Pollers(clock)
    polled(pollers, clock, b'{"url":"http://127.0.0.1:3001"}')
    told = pollers.told()["traefik"]
    assert told.has(at("127.0.0.1", 3001, "static:app-1"))
    assert not told.has(at("127.0.0.1", 3002, "static:app-2"))
