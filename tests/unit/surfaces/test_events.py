"""The feed of transitions and acts: what is kept, what is resumed, who is let go."""

from __future__ import annotations

import orjson
import pytest

from healthagent.core.report import Report
from healthagent.core.transition import Transition, transitions
from healthagent.surfaces import step_text
from healthagent.surfaces.http import events
from healthagent.surfaces.http.events import Crowded, Feed, Places, Wanted, encode, mark
from tests.unit.surfaces.world import NOW, RESTARTED, World


def change(
    world: World, name: str = "app-1", after: str = "failed", service: str = "app"
) -> Transition:
    target = world.replica(name, service).target
    return Transition(NOW, target, "http", "ok", after, "status", "GET /readyz answered 503")


def test_an_event_is_written_as_the_standard_asks(world: World) -> None:
    feed = Feed("life")
    feed.publish(change(world))
    [event] = feed.kept()
    lines = encode(event, feed.life, lambda t: t).split(b"\n")
    assert lines[:2] == [b"id: life-1", b"event: transition"]
    assert lines[2].startswith(b'data: {"time":"2026-01-02T03:04:05.678Z","event":"transition"')
    assert lines[3:] == [b"", b""], "an empty line ends an event"


def test_a_mark_has_an_id_and_no_data() -> None:
    assert mark("life-7") == b"id: life-7\n\n", "with data it would be an event"


def test_who_had_nothing_yet_comes_back_with_an_id_that_misses_nothing(world: World) -> None:
    before, after = Feed("life"), Feed("next")
    last_id = before.newest
    for feed in (before, after):
        feed.publish(change(world))
        assert [event.number for event in feed.since(last_id)] == [1]


def test_an_act_is_an_event_by_its_own_name() -> None:
    feed = Feed("life")
    feed.publish(RESTARTED)
    [event] = feed.kept()
    assert encode(event, feed.life, lambda e: e).split(b"\n")[:3] == [
        b"id: life-1",
        b"event: act",
        b"data: " + orjson.dumps(step_text.document(RESTARTED)),
    ]


def test_recoveries_never_push_out_what_went_wrong(world: World) -> None:
    feed = Feed("life")
    feed.publish(change(world, after="failed"))
    feed.publish(*(change(world, after="ok") for _ in range(3 * events.KEPT)))
    kept = list(feed.kept())
    assert kept[0].entry == change(world, after="failed")
    assert len(kept) == events.KEPT + 1
    assert [event.number for event in kept] == sorted(event.number for event in kept)


def test_a_reader_resumes_after_the_last_event_it_had(world: World) -> None:
    feed = Feed("life")
    feed.publish(*(change(world, f"app-{n}") for n in range(1, 5)))
    assert [event.number for event in feed.since("life-2")] == [3, 4]


@pytest.mark.parametrize(
    "last_id",
    [
        "other-2",
        "life-x",
        "life",
        "",
        "\N{SUPERSCRIPT TWO}",
        pytest.param(f"life-{'9' * 5000}", id="more digits than int reads"),
    ],
)
def test_an_id_of_another_life_gets_all_that_is_kept(world: World, last_id: str) -> None:
    feed = Feed("life")
    feed.publish(*(change(world, f"app-{n}") for n in range(1, 4)))
    assert [event.number for event in feed.since(last_id)] == [1, 2, 3]


async def test_a_reader_gets_what_happens_while_it_reads(world: World) -> None:
    feed = Feed("life")
    with feed.subscribe() as subscription:
        feed.publish(change(world))
        event = await subscription.next()
    assert event is not None and event.number == 1


async def test_a_reader_that_falls_behind_is_lost_and_others_are_not(world: World) -> None:
    feed = Feed("life")
    with feed.subscribe() as slow, feed.subscribe() as quick:
        for _ in range(events.MOST_WAITING + 1):
            feed.publish(change(world))
            await quick.next()
        assert (slow.lost, quick.lost) == (True, False)


async def test_closing_ends_every_stream(world: World) -> None:
    feed = Feed("life")
    with feed.subscribe() as early:
        feed.close()
        with feed.subscribe() as late:
            assert await early.next() is None
            assert await late.next() is None


def test_only_so_many_may_follow_at_once_over_one_listener() -> None:
    first, public = Places(), Places()
    readers = [public.take() for _ in range(events.MOST_READERS)]
    for reader in readers:
        reader.__enter__()
    with pytest.raises(Crowded), public.take():
        pass
    with first.take():
        pass
    readers[0].__exit__(None, None, None)
    with public.take():
        pass


def test_a_reader_may_ask_for_some_targets_or_services_alone(world: World) -> None:
    app, job = change(world, "app-1"), change(world, "job-1", service="job")
    assert app in Wanted() and job in Wanted()
    assert app in Wanted(frozenset({"app-1"})) and job not in Wanted(frozenset({"app-1"}))
    assert app in Wanted(frozenset({app.target.id}))
    assert job in Wanted(services=frozenset({"job"})) and app not in Wanted(
        services=frozenset({"job"})
    )


def test_acts_are_asked_for_like_transitions() -> None:
    assert RESTARTED in Wanted()
    assert RESTARTED in Wanted(frozenset({"app-1"}), frozenset({"app"}))
    assert RESTARTED not in Wanted(frozenset({"app-2"}))
    assert RESTARTED not in Wanted(services=frozenset({"job"}))


def test_the_first_report_is_told_as_transitions(world: World) -> None:
    feed = Feed("life")
    report = world.report(world.frozen("app-1"), world.replica("app-2"))
    changes = transitions(Report(NOW, settled=False), report)
    feed.publish(*changes)
    assert [event.entry for event in feed.kept()] == list(changes)
    told = [(change.target.name, change.check, change.after) for change in changes]
    assert ("app-1", "process", "failed") in told
    assert ("app-1", "", "not live") in told
