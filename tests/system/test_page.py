"""The status page in a real browser, beside the real stack: it stays true by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

from healthagent.core.verdict import degraded, failed
from provision import browser as chromium
from provision.errors import Unavailable
from tests.system.client import WITHIN
from tests.system.conftest import StartAgent
from tests.system.quickstart import Quickstart
from tests.unit.cli.conftest import RESTARTED, RunningAgent, report, server
from tests.unit.cli.conftest import replica as one

FLAGS = ("--disable-gpu", "--disable-quic", "--disable-background-networking")
UNBROKEN = "window.unbroken = true"
"""What no reload would leave."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        program = chromium.ensure()
    except Unavailable as error:
        pytest.skip(f"no Chromium: {error}")
    # Chromium's own sandbox refuses root.
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=[*FLAGS, *root])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab whose scripts must not fail, and whose policy must refuse nothing of its own."""
    expect.set_options(timeout=WITHIN * 1000)
    opened = browser.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if "Policy" in said.text else None)
    yield opened
    opened.close()
    assert not faults


@pytest.fixture
def told() -> Iterator[RunningAgent]:
    """An agent that shows what it is given, beside no stack."""
    running = RunningAgent()
    running.start()
    running.publish(report(one(1), one(2), one(3)))
    yield running
    running.stop()


def replica(page: Page, name: str) -> Locator:
    return page.locator("details").filter(has=page.get_by_text(name, exact=True))


def state(page: Page, name: str) -> Locator:
    return replica(page, name).locator("summary [data-state]")


def test_a_frozen_replica_falls_and_returns_before_the_readers_eyes(
    stack: Quickstart, page: Page
) -> None:
    name = stack.replicas[1]
    page.goto(stack.agent.url)
    page.evaluate(UNBROKEN)
    row = replica(page, name)
    row.locator("summary").click()
    with stack.frozen(name):
        expect(state(page, name)).to_have_text("not live")
        expect(row).to_contain_text("let it go on: kill -CONT")
        expect(page).to_have_title("2 of 3 ready - healthagent")
        expect(page.locator("#past li").filter(has_text=name).first).to_contain_text("not live")
    expect(state(page, name)).to_have_text("ready")
    expect(page).to_have_title("3 of 3 ready - healthagent")
    assert row.get_attribute("open") is not None, "what the reader unfolded stays so"
    assert page.evaluate("window.unbroken"), "it was loaded anew"


def test_an_agent_that_is_gone_is_told_and_what_it_last_said_stays(
    stack: Quickstart, page: Page, start_agent: StartAgent
) -> None:
    agent = start_agent()
    agent.client.wait_until_ready(stack.replicas, within=WITHIN)
    page.goto(agent.client.url)
    agent.terminate()
    expect(page.get_by_role("alert")).to_contain_text("has not answered since")
    expect(page).to_have_title("? - healthagent")
    expect(state(page, stack.replicas[0])).to_have_text("ready")
    start_agent(HEALTHAGENT_LISTEN=urlsplit(agent.client.url).netloc)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page).to_have_title("3 of 3 ready - healthagent")


def test_without_javascript_it_is_whole(stack: Quickstart, browser: Browser) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(stack.agent.url)
    for name in stack.replicas:
        expect(state(page, name)).to_have_text("ready")
    expect(page.locator("#connections")).to_contain_text("it fits")
    page.close()


def asked(page: Page, path: str) -> list[str]:
    """The requests for ``path`` from here on, as they come."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url) if path in request.url else None)
    return urls


def test_what_the_reader_is_at_stays_while_replicas_come_and_go(
    told: RunningAgent, page: Page
) -> None:
    page.goto(told.url)
    row = replica(page, "shop-app-2").locator("summary")
    row.focus()
    page.evaluate("getSelection().selectAllChildren(document.activeElement)")
    told.publish(report(one(2), one(4)))
    expect(replica(page, "shop-app-1")).to_have_count(0)
    expect(replica(page, "shop-app-4")).to_have_count(1)
    expect(row).to_be_focused()
    assert "shop-app-2" in page.evaluate("String(getSelection())")


def from_the_top(page: Page) -> list[str]:
    """The replicas' names as they are seen."""
    names: list[str] = page.locator("details").evaluate_all(
        "rows => rows.sort((one, other) => one.offsetTop - other.offsetTop)"
        ".map(row => row.querySelector('.name').textContent)"
    )
    return names


def test_on_a_small_screen_the_worst_of_many_is_seen_first(told: RunningAgent, page: Page) -> None:
    fleet = [one(n, id=f"{n:064x}") for n in range(1, 100)]
    broken = {"shop-app-57": {"process": failed("stopped", "pid 57 is stopped")}}
    limping = {"shop-app-8": {"pool": degraded("leak", "its pool leaks")}}
    other = one(100, id=f"{100:064x}", name="another-1", service="another")
    page.set_viewport_size({"width": 390, "height": 844})
    told.publish(report(other, *fleet))
    page.goto(told.url)
    row = replica(page, "shop-app-99").locator("summary")
    row.focus()
    told.publish(report(other, *fleet, seen=broken | limping))
    expect(replica(page, "shop-app-57")).to_contain_text("pid 57 is stopped")
    assert from_the_top(page)[:3] == ["shop-app-57", "shop-app-8", "shop-app-1"]
    expect(row).to_be_focused()
    page.evaluate("scrollTo(0, 0)")
    expect(replica(page, "shop-app-57")).to_be_in_viewport()
    told.publish(report(other, *fleet))
    expect(state(page, "shop-app-57")).to_have_text("ready")
    assert from_the_top(page)[:3] == ["another-1", "shop-app-1", "shop-app-2"]
    expect(row).to_be_focused()


def test_an_entry_stays_what_it_is_while_newer_ones_come(told: RunningAgent, page: Page) -> None:
    told.record(RESTARTED)
    page.goto(told.url)
    page.locator("#past li").first.evaluate("entry => { entry.mark = true }")
    told.record(RESTARTED)
    entries = page.locator("#past li").filter(has_text="restart")
    expect(entries).to_have_count(2)
    assert entries.nth(1).evaluate("entry => entry.mark")


def test_a_shared_failure_comes_and_goes_and_leaves_all_else_as_it_was(
    told: RunningAgent, page: Page
) -> None:
    page.goto(told.url)
    service = page.locator("#service-app")
    heads = service.locator(".heads").evaluate("row => row.outerHTML")
    down = {"postgres": failed("timeout", "db:5432 did not answer in time")}
    told.publish(report(one(1), seen={"shop-app-1": down}))
    expect(service.get_by_role("list")).to_contain_text("postgres timeout: db:5432")
    told.publish(report(one(1)))
    expect(service.get_by_role("list")).to_have_count(0)
    assert service.locator(".heads").evaluate("row => row.outerHTML") == heads


def test_a_time_of_another_day_has_its_date(told: RunningAgent, page: Page) -> None:
    page.goto(told.url)
    expect(page.locator("#past time").first).to_contain_text("2023")


def test_it_is_asked_for_anew_after_a_while_and_hidden_seldom(
    told: RunningAgent, page: Page
) -> None:
    page.clock.install()
    page.add_init_script(
        "Object.defineProperty(document, 'hidden', { get: () => Boolean(window.away) })"
    )
    page.goto(told.url)
    again = asked(page, told.url)
    page.clock.run_for(4000)
    assert not again, "it has just been loaded"
    told.publish(report(one(1), one(2)))
    page.evaluate("window.away = true; document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.run_for(30_000)
    expect(page).to_have_title("2 of 2 ready - healthagent")
    page.clock.run_for(25_000)
    assert len([url for url in again if "events" not in url]) <= 2


def test_events_that_were_refused_once_are_followed_later(told: RunningAgent, page: Page) -> None:
    page.clock.install()
    page.route("**/events", lambda route: route.fulfill(status=503), times=1)
    page.goto(told.url)
    with page.expect_request("**/events"):
        page.clock.run_for(6000)


def test_another_page_in_its_place_is_no_answer_and_a_newer_one_is_loaded(
    told: RunningAgent, page: Page
) -> None:
    page.clock.install()
    page.goto(told.url)
    page.route(f"{told.url}/", lambda route: route.fulfill(body="<title>Sign in</title>"))
    page.clock.run_for(6000)
    expect(page).to_have_title("? - healthagent")
    page.unroute(f"{told.url}/")
    page.route(f"{told.url}/", newer, times=1)
    with page.expect_event("load"):
        page.clock.run_for(6000)
    expect(page).to_have_title("3 of 3 ready - healthagent")


def newer(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace('"use strict"', '"use strict" '))


def test_a_narrow_screen_is_wide_enough(told: RunningAgent, page: Page) -> None:
    shares = server(*((f"shop-app-{number}", "app", 8, 3) for number in (1, 2, 3)))
    told.publish(report(one(1), one(2), one(3), budgets=(shares,)))
    page.set_viewport_size({"width": 320, "height": 600})
    page.goto(told.url)
    replica(page, "shop-app-2").locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for text in ("event_loop", "it fits"):
        cell = page.get_by_role("cell", name=text, exact=True).locator("visible=true")
        assert cell.evaluate("cell => cell.getClientRects()[0].height") < 40, "it is on one line"


def test_on_a_phone_no_reason_is_cut_off(told: RunningAgent, page: Page) -> None:
    silent = failed("timeout", "GET /readyz gave no answer within 0.8 s; the app took the request")
    told.publish(report(one(1), seen={"shop-app-1": {"http": silent}}))
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(told.url)
    replica(page, "shop-app-1").locator("summary").click()
    more = replica(page, "shop-app-1").locator(".more")
    assert more.evaluate("more => more.scrollWidth <= more.clientWidth"), "nothing to its right"
    reason = more.get_by_role("cell", name=silent.reason)
    assert reason.evaluate("cell => cell.clientWidth") > 300, "it has the width of the screen"


def test_signs_are_not_read_aloud(told: RunningAgent, page: Page) -> None:
    page.goto(told.url)
    assert page.get_by_role("status").aria_snapshot() == "- status: 3 ready"
