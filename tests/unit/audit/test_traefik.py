"""What Traefik says that it routes to, read from its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from healthagent.audit.evidence import Router
from healthagent.audit.reading import traefik
from healthagent.core.observation import Unseen
from tests.web_servers import Answer, serving


@contextmanager
def api(*pages: Any) -> Iterator[str]:
    """An API that answers these pages, each of which names the next one, and the last the first."""

    def page(path: str) -> Answer:
        number = int(path.rpartition("page=")[2])
        following = {"X-Next-Page": str(number % len(pages) + 1)}
        return 200, following, json.dumps(pages[number - 1]).encode()

    with serving(page) as found:
        yield found


def service(*hosts: str, **rest: Any) -> dict[str, Any]:
    servers = [{"url": f"http://{host}"} for host in hosts]
    return {"loadBalancer": {"servers": servers}, "usedBy": ["app@http"]} | rest


def test_the_servers_of_every_page_count() -> None:
    with api([service("10.0.0.1:3000")], [service("10.0.0.2:3000")]) as url:
        found = traefik.read(url)

    assert isinstance(found, Router)
    assert found.servers == {"10.0.0.1:3000", "10.0.0.2:3000"}
    assert str(found.place) == url


def test_what_traefiks_own_check_took_out_or_no_router_uses_gets_no_requests() -> None:
    down = {"http://10.0.0.1:3000": "DOWN", "http://10.0.0.2:3000": "UP"}
    with api([
        service("10.0.0.1:3000", "10.0.0.2:3000", serverStatus=down),
        service("10.0.0.3:3000", usedBy=[]),
    ]) as url:  # fmt: skip
        found = traefik.read(url)

    assert isinstance(found, Router)
    assert found.servers == {"10.0.0.2:3000"}


@pytest.mark.parametrize("answer", [{}, "", [1], None])
def test_an_answer_that_is_not_traefiks_is_not_seen(answer: Any) -> None:
    with api(answer) as url:
        found = traefik.read(url)

    assert isinstance(found, Unseen)
    assert url in found.reason
    assert found.remedy == "name it with --traefik URL"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no url", "file:///etc"])
def test_an_api_that_is_not_there_is_not_seen(url: str) -> None:
    assert isinstance(traefik.read(url), Unseen)
