"""When Traefik has a change."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from healthagent.core.observation import Unseen
from healthagent.core.rotation import Told
from healthagent.core.target import Target
from healthagent.names import Names, Unresolved
from healthagent.supervisor import traefik
from healthagent.supervisor.traefik import UNROUTED, TraefikRouter

TARGET = Target("a" * 64, "app-1", "app", address="10.0.0.1", port=3000)
HERE = frozenset({"10.0.0.1:3000", "10.0.0.2:3000"})
GONE = frozenset({"10.0.0.2:3000"})
LONG_AGO = 60.0


def told(servers: frozenset[str], ago: float = LONG_AGO, pause: float = 5.0) -> Told:
    """What a router has that had both replicas before, and was told of these some seconds ago."""
    now = time.monotonic()
    both = Told(now - 2 * LONG_AGO).again(now - 2 * LONG_AGO, HERE)
    return both.again(now - ago, servers, pause)


async def settles(router: TraefikRouter, routed: bool, timeout: float = 0.3) -> bool | Unseen:
    return await router.settles(TARGET, routed, timeout)


async def test_it_has_a_change_once_it_was_sent_it_and_its_throttle_is_over() -> None:
    router = TraefikRouter(lambda: {"traefik": told(GONE)}, throttle=2.0)
    assert await settles(router, routed=False) is True
    assert await settles(router, routed=True) is False


async def test_it_may_still_hold_back_what_it_was_just_sent() -> None:
    sent = told(GONE, ago=0.0)
    throttled = TraefikRouter(lambda: {"traefik": sent}, throttle=60.0)
    assert await settles(throttled, routed=False) is False
    quick = TraefikRouter(lambda: {"traefik": sent}, throttle=0.001)
    assert await settles(quick, routed=False, timeout=20.0) is True


async def test_a_container_is_routed_to_by_whichever_of_its_addresses_traefik_goes() -> None:
    """The agent dials one on a network of its own, which need not be Traefik's."""
    apart = replace(TARGET, address="10.9.0.1", addresses=("10.9.0.1", "10.0.0.1"))
    serves = TraefikRouter(lambda: {"traefik": told(HERE)}, throttle=2.0)
    assert await serves.settles(apart, routed=True, timeout=0.3) is True
    assert await serves.settles(apart, routed=False, timeout=0.3) is False


async def test_all_that_poll_must_have_it() -> None:
    both = {"one": told(GONE), "two": told(HERE)}
    assert await settles(TraefikRouter(lambda: both), routed=False) is False


async def test_what_else_changes_meanwhile_delays_nothing() -> None:
    now = time.monotonic()
    seen = told(GONE).again(now, {*GONE, "10.0.0.9:3000"}, pause=5.0)
    router = TraefikRouter(lambda: {"traefik": seen}, throttle=2.0)
    assert await settles(router, routed=False) is True, "app-1 has been out of it for a minute"


async def test_somebody_who_looks_now_and_then_is_not_waited_for() -> None:
    asking = {"traefik": told(GONE), "curl": told(HERE, pause=30.0)}
    assert await settles(TraefikRouter(lambda: asking, poll=5.0), routed=False) is True


async def test_one_that_asks_less_often_than_was_declared_is_waited_for_all_the_same() -> None:
    slow = {"traefik": told(HERE, pause=30.0)}
    assert await settles(TraefikRouter(lambda: slow, poll=5.0), routed=False) is False


async def test_one_that_no_router_leads_to_is_not_waited_for_once_it_is_ready() -> None:
    polls = {"traefik": told(GONE)}
    router = TraefikRouter(lambda: polls, offered=lambda _: False)
    assert await settles(router, routed=True) == UNROUTED
    assert await settles(router, routed=False) is True
    on_no_network = Target("a" * 64, "worker-1", "worker")
    assert await router.settles(on_no_network, routed=True, timeout=0.1) == UNROUTED


async def test_where_nobody_polls_it_waits_as_long_as_a_poll_and_says_so() -> None:
    router = TraefikRouter(dict, throttle=0.01, poll=0.02)
    seen = await settles(router, routed=False, timeout=20.0)
    assert isinstance(seen, Unseen)
    assert "given 0.03 s" in seen.reason


async def test_one_without_an_address_is_routed_by_nobody() -> None:
    nowhere = Target("a" * 64, "app-1", "app")
    router = TraefikRouter(dict)
    assert await router.settles(nowhere, routed=False, timeout=0.1) is True
    assert await router.settles(nowhere, routed=True, timeout=0.1) is False


@dataclass
class Api:
    """Traefik's API as Traefik 3.7 answers: one page after another."""

    servers: list[str] = field(default_factory=list)
    provider: str = "http"
    down: list[str] = field(default_factory=list)
    used: bool = True
    url: str = ""
    broken: bool = False
    endless: bool = False
    strange: object = None

    async def services(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.Response(status=500)
        if self.endless:
            return web.json_response([], headers={"X-Next-Page": "2"})
        if self.strange is not None:
            return web.json_response(self.strange)
        if request.query["page"] == "1":
            internal = {"name": "api@internal", "provider": "internal"}
            return web.json_response([internal], headers={"X-Next-Page": "2"})
        urls = [{"url": f"http://{server}"} for server in self.servers]
        app: dict[str, object] = {"name": "app", "provider": self.provider}
        app["loadBalancer"] = {"servers": urls}
        if self.used:
            states = {each: "DOWN" if each in self.down else "UP" for each in self.servers}
            app["serverStatus"] = {f"http://{each}": state for each, state in states.items()}
        return web.json_response([app], headers={"X-Next-Page": "1"})


@pytest.fixture
async def api(
    aiohttp_server: Callable[[web.Application], Awaitable[TestServer]],
) -> AsyncIterator[Api]:
    found, app = Api(), web.Application()
    app.router.add_get("/api/http/services", found.services)
    server = await aiohttp_server(app)
    found.url = str(server.make_url(""))
    yield found


async def test_the_api_is_asked_where_it_is_known(api: Api) -> None:
    router = TraefikRouter(dict, api.url)
    api.servers = sorted(HERE)
    assert await settles(router, routed=True) is True
    assert await settles(router, routed=False) is False
    api.servers = sorted(GONE)
    assert await settles(router, routed=False) is True


async def test_under_the_docker_provider_it_is_out_once_traefik_finds_it_down(api: Api) -> None:
    router = TraefikRouter(dict, api.url)
    api.servers, api.provider = sorted(HERE), "docker"
    assert await settles(router, routed=False) is False, "it is sent requests still"
    api.down = ["10.0.0.1:3000"]
    assert await settles(router, routed=False) is True
    assert await settles(router, routed=True) is False
    api.down = ["10.0.0.2:3000"]
    assert await settles(router, routed=True) is True


async def test_a_service_that_no_router_uses_sends_nobody_requests(api: Api) -> None:
    api.servers, api.provider, api.used = sorted(HERE), "docker", False
    router = TraefikRouter(dict, api.url)
    assert await settles(router, routed=False) is True
    assert await settles(router, routed=True) == UNROUTED, "nor is it waited for until it does"


async def test_an_api_that_does_not_answer_is_unseen_with_its_reason(api: Api) -> None:
    api.broken = True
    seen = await settles(TraefikRouter(dict, api.url), routed=False)
    assert isinstance(seen, Unseen)
    assert "500" in seen.reason
    nobody = TraefikRouter(dict, "http://127.0.0.1:1")
    assert isinstance(await settles(nobody, routed=False), Unseen)


@pytest.mark.timeout(20)
async def test_pages_without_an_end_are_no_answer(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traefik, "ANSWER_WITHIN", 1.0)
    api.endless = True
    seen = await settles(TraefikRouter(dict, api.url), routed=False)
    assert "gives no answer: none within 1 s" in str(seen)


@pytest.mark.parametrize(
    "strange",
    [{}, ["app"], [{"loadBalancer": "app"}], [{"loadBalancer": {"servers": 1}}],
     [{"serverStatus": ["UP"]}], [{"loadBalancer": {"servers": ["app"]}}]],
)  # fmt: skip
async def test_what_is_not_traefiks_is_no_answer(api: Api, strange: object) -> None:
    api.strange = strange
    seen = await settles(TraefikRouter(dict, api.url), routed=False)
    assert isinstance(seen, Unseen)
    assert "gives no answer: that is no list" in seen.reason


async def test_the_name_of_an_api_is_looked_up_as_all_names_are(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aside from the event loop, whose own threads a lookup that hangs keeps from their end."""
    named = api.url.replace("127.0.0.1", "traefik.invalid")
    api.servers = sorted(HERE)
    known = TraefikRouter(dict, named, names=Names(lambda _: ("127.0.0.2", "127.0.0.1")))
    assert await settles(known, routed=True) is True
    unknown = TraefikRouter(dict, named, names=Names(lambda _: Unresolved("no such name")))
    assert "no such name" in str(await settles(unknown, routed=True))
    monkeypatch.setattr(traefik, "ANSWER_WITHIN", 0.1)
    let_go = threading.Event()
    hangs = TraefikRouter(dict, named, names=Names(lambda _: Unresolved(f"{let_go.wait()}")))
    try:
        assert "gives no answer: none within 0.1 s" in str(await settles(hangs, routed=True))
    finally:
        let_go.set()


@pytest.mark.parametrize("broken", [False, True])
async def test_an_api_is_told_of_without_its_password(api: Api, broken: bool) -> None:
    api.broken = broken
    guarded = api.url if broken else "http://127.0.0.1:1"
    router = TraefikRouter(dict, guarded.replace("//", "//admin:hunter2@"))
    seen = await settles(router, routed=False)
    assert isinstance(seen, Unseen)
    assert "http://***@127.0.0.1" in seen.reason
    assert "hunter2" not in seen.reason
