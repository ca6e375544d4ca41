"""What is still to be asked for."""

from __future__ import annotations

from healthagent.sources.docker.wanted import Wanted


def test_one_that_is_wanted_while_it_waits_is_asked_for_once() -> None:
    wanted = Wanted()
    for id_ in ("a", "b", "a"):
        wanted.put(id_)
    each = wanted.each()
    assert [next(each), next(each)] == ["a", "b"]
    wanted.close()
    assert next(each, None) is None


def test_one_that_is_wanted_while_it_is_asked_for_is_asked_for_once_more_after_that() -> None:
    wanted = Wanted()
    one, other = wanted.each(), wanted.each()
    wanted.put("a")
    assert next(one) == "a"
    for id_ in ("a", "a", "b"):
        wanted.put(id_)
    assert next(other) == "b", "by one at a time"
    assert next(one) == "a", "what is known of it may be older than the event"
    wanted.close()
    assert next(one, None) is None
    assert next(other, None) is None


def test_who_waits_is_told_when_it_is_closed() -> None:
    wanted = Wanted()
    wanted.put("a")
    wanted.close()
    assert list(wanted.each()) == []
