"""The status page as the agent writes it; ``tests/system/test_page.py`` opens it in a browser."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from html import unescape
from typing import Any

import pytest

from healthagent.core.notice import Notice
from healthagent.core.ports import Entry
from healthagent.core.report import Report
from healthagent.core.rotation import Drain
from healthagent.core.transition import transitions
from healthagent.surfaces import entry_text, page
from healthagent.surfaces.http import budget, health
from healthagent.surfaces.http.view import StatesAlone
from tests.unit.surfaces.world import NOW, RESTARTED, World

NOTICE = Notice("app-1", "cannot be read", "write a count", key="healthagent.rise", value="<x>")
MARKUP = "<script>alert('I am a reason')</script>"


def drawn(
    report: Report,
    notices: tuple[Notice, ...] = (),
    entries: Sequence[Entry] = (),
    stale_for: float | None = None,
    routes: Sequence[str] = ("/health",),
) -> str:
    return page.render(
        health.document(report, notices, stale_for),
        budget.document(report.budgets),
        [
            {**entry_text.document(entry), "number": number}
            for number, entry in reversed([*enumerate(entries, 1)])
        ],
        routes,
    )


def text(html: str) -> str:
    """What stands on it, its markup, style and script aside, and without its line breaks."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_each_replica_has_its_state_and_reason_and_what_to_do(world: World) -> None:
    shown = text(drawn(world.report(world.frozen("app-1"), world.replica("app-2"))))
    assert "app 1 of 2 ready quorum 1" in shown
    assert "app-1 not live 0s 2/8 healthy process stopped: pid 100 is stopped (state T)" in shown
    for said in ("It gets no traffic.", "let it go on: kill -CONT 100", "Docker calls it healthy"):
        assert said in shown, f"below the row stands what explain says: {said}"


def test_that_somebody_is_at_a_replica_stands_before_its_fault(world: World) -> None:
    seen = world.report(world.frozen("app-1"))
    service = seen.services[0]
    drained = replace(service.targets[0], drain=Drain("supervisor", "restart", NOW))
    at_it = replace(seen, services=(replace(service, targets=(drained,)),))
    shown = text(drawn(at_it))
    assert "drained by supervisor: restart; process stopped: pid 100 is stopped" in shown
    assert "which is under way" in shown


def test_what_all_replicas_suffer_from_stands_above_them(world: World) -> None:
    shown = text(drawn(world.report(world.without_database("app-1"))))
    assert "app 0 of 1 ready quorum 1 postgres refused: nothing listens at postgres:5432" in shown


def test_what_others_wrote_stays_text(world: World) -> None:
    html = drawn(world.report(world.refusing("app-1", MARKUP)), (NOTICE,))
    assert MARKUP in text(html)
    assert "<script>alert" not in html and "<x>" not in html


def test_its_policy_names_its_own_blocks_and_nothing_else(world: World) -> None:
    html = drawn(world.report(world.replica("app-1")))
    for tag in ("style", "script"):
        (block,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.S)
        digest = b64encode(sha256(block.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page.CONTENT_SECURITY_POLICY
    assert not re.search(r"\son\w+=|style=", html), "inline handlers and styles would be refused"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "1 not live, 1 ready"),
        ({"notices": (NOTICE,)}, "1 not live, 1 ready, 1 warning"),
        ({"notices": (NOTICE, NOTICE)}, "1 not live, 1 ready, 2 warnings"),
        (
            {"stale_for": 12.0},
            "the agent is stuck: it has made no report since 03:04:05 UTC",
        ),
    ],
)
def test_its_first_line_is_how_all_of_it_is(world: World, given: dict[str, Any], says: str) -> None:
    html = drawn(world.report(world.frozen("app-1"), world.replica("app-2")), **given)
    assert text(html).split("healthagent ", 2)[2].startswith(f"{says} as of")


def test_a_service_below_its_quorum_comes_first(world: World) -> None:
    assert "app: 0 of 1 ready, quorum 1" in text(drawn(world.report(world.frozen("app-1"))))


def test_an_agent_that_just_started_says_so(world: World) -> None:
    shown = text(drawn(world.report(world.frozen("app-1"), settled=False)))
    assert "has not judged every replica yet" in shown


def test_before_the_first_report_it_claims_no_time_and_no_count() -> None:
    html = drawn(Report(0.0, settled=False))
    assert "<title>healthagent</title>" in html
    assert not re.search(r"00:00:00|as of|1970", text(html))


def test_where_nothing_is_watched_it_says_how_to_begin() -> None:
    shown = text(drawn(Report(NOW, settled=True)))
    assert "No replica is watched. Label a service healthagent.enable=true." in shown
    assert "Nothing since the agent started." in shown


def test_connections_stand_there_where_a_server_is_known(world: World) -> None:
    report = world.report(world.replica("app-1"))
    (server,) = budget.document(report.budgets)["servers"]
    counts = (server["held"], server["planned"], server["planned"] + server["surge"])
    row = " ".join(map(str, (server["server"], *counts, server["allowed"], "it fits")))
    assert row in text(drawn(report))


def test_what_happened_last_stands_first_and_no_more_than_a_screen_of_it(world: World) -> None:
    before, after = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    changes = transitions(before, after)
    shown = text(drawn(after, entries=(*changes, *[RESTARTED] * page.ENTRIES)))
    assert shown.count("restart app-1 by supervisor done ready again") == page.ENTRIES
    past = text(drawn(after, entries=(RESTARTED, *changes))).partition("What happened")[2]
    assert past.index("not live") < past.index("restart app-1")


def test_what_happened_on_another_day_has_its_date(world: World) -> None:
    report = world.report(world.replica("app-1"))
    shown = text(drawn(report, entries=(replace(RESTARTED, at=NOW - 86_400), RESTARTED)))
    assert "What happened 03:04:05 UTC restart app-1" in shown
    assert "2026-01-01 03:04:05 UTC restart app-1" in shown


def test_of_what_happened_it_tells_whole_replicas_and_each_by_its_number(world: World) -> None:
    after = world.report(world.frozen("app-1"))
    changes = transitions(world.report(world.replica("app-1")), after)
    (whole,) = (number for number, change in enumerate(changes, 1) if not change.check)
    shown = re.findall(r'<li id="event-(\d+)"', drawn(after, entries=changes))
    assert len(changes) > 1 and shown == [str(whole)]


def test_it_points_to_the_routes_that_its_listener_has(world: World) -> None:
    html = drawn(world.report(world.replica("app-1")), routes=("/", "/health", "/openapi.json"))
    assert re.findall(r'href="([\w.]+)"', html) == ["health", "openapi.json"]


def test_the_public_sees_states_alone(world: World) -> None:
    view = StatesAlone()
    frozen = world.report(world.frozen("app-1"), world.replica("app-2"))
    changes = transitions(world.report(world.replica("app-1")), frozen)
    html = drawn(view.report(frozen), entries=[view.entry(change) for change in changes])
    assert "app-1 not live" in text(html)
    without = text(drawn(view.report(world.report(world.without_database("app-1")))))
    assert "app 0 of 1 ready quorum 1 postgres Replica State" in without
    assert "5432" not in without
    for secret in ("10.0.0.", "pid 100", "SIGSTOP", "kill -CONT", "postgres:5432", "restarts"):
        assert secret not in html
