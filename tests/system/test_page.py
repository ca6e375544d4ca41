"""The status page in a real browser, beside the real stack: it stays true by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from provision import browser as chromium
from provision.errors import Unavailable
from tests.system.client import WITHIN
from tests.system.conftest import StartAgent
from tests.system.quickstart import Quickstart

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
    expect(state(page, stack.replicas[0])).to_have_text("ready")
    start_agent(HEALTHAGENT_LISTEN=urlsplit(agent.client.url).netloc)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_without_javascript_it_is_whole(stack: Quickstart, browser: Browser) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(stack.agent.url)
    for name in stack.replicas:
        expect(state(page, name)).to_have_text("ready")
    expect(page.locator("#connections")).to_contain_text("it fits")
    page.close()
