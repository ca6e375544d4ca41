"""The HTTP surface as its clients meet it, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import resource
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from healthagent.core.notice import Notice
from healthagent.core.report import Report, ServiceReport
from healthagent.core.target import Traffic
from healthagent.core.transition import transitions
from healthagent.errors import ConfigurationError
from healthagent.surfaces.http import HttpSurface, stream
from healthagent.surfaces.http import events as feed
from healthagent.surfaces.http.events import MOST_READERS
from healthagent.surfaces.http.openapi import PATHS, SCHEMAS
from tests.contract.surfaces.traefik import free_ports
from tests.unit.surfaces.world import NOW, RESTARTED, Replica, World

SOON = 30.0
DIGITS = "9" * 5000
NOBODY = Report(NOW, settled=True)


class Clock:
    """A monotonic clock that a test may turn forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Agent:
    """A surface that is served, and a client of both of its listeners."""

    surface: HttpSurface
    clock: Clock
    client: aiohttp.ClientSession
    base: str
    public: str

    async def get(self, path: str, base: str = "", **kwargs: Any) -> tuple[int, str]:
        async with self.client.get((base or self.base) + path, **kwargs) as response:
            return response.status, await response.text()

    async def document(self, path: str, base: str = "") -> Any:
        _, text = await self.get(path, base)
        return json.loads(text)


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    clock = Clock()
    surface = HttpSurface(("127.0.0.1", 0), ("127.0.0.1", 0), clock)
    async with surface.serve() as bound, aiohttp.ClientSession() as client:
        assert bound.public is not None
        urls = [f"http://{host}:{port}" for host, port in (bound.listen, bound.public)]
        yield Agent(surface, clock, client, *urls)


def here(replica: Replica) -> Replica:
    """The replica at the address that the test's own requests come from."""
    return replica.but(addresses=("127.0.0.1",))


# Probes


async def test_the_agent_lives_from_the_start_and_is_ready_once_settled(
    agent: Agent, world: World
) -> None:
    assert await agent.get("/livez") == (200, "ok")
    status, text = await agent.get("/readyz")
    assert status == 503
    assert "[-]settled failed: not every replica has been judged yet" in text
    agent.surface.publish(world.report(world.replica("app-1")), ())
    assert await agent.get("/readyz?verbose") == (
        200,
        "[+]reports ok\n[+]settled ok\nreadyz check passed\n",
    )


async def test_an_agent_whose_reports_stop_is_not_live(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(world.replica("app-1")), ())
    agent.clock.now += 11
    status, text = await agent.get("/livez")
    assert (status, text.splitlines()[0]) == (503, "[-]reports failed: the last report is 11 s old")
    assert (await agent.document("/health"))["status"] == "fail"
    assert (await agent.get("/targets/app-1/readyz"))[0] == 200, "the last known state holds"


@pytest.mark.parametrize("public", [False, True])
async def test_a_replica_is_probed_by_name_id_and_prefix(
    agent: Agent, world: World, public: bool
) -> None:
    report = world.report(world.frozen("app-1"), world.replica("app-2"))
    agent.surface.publish(report, ())
    base = agent.public if public else agent.base
    for target, status in zip(report.targets, (503, 200), strict=True):
        for reference in (target.target.name, target.target.id, target.target.id[:12]):
            for question in ("livez", "readyz", "readyz/process"):
                path = f"/targets/{reference}/{question}"
                assert (await agent.get(path, base))[0] == status, path


async def test_head_gives_the_status_and_no_body(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(world.frozen("app-1"), world.replica("app-2")), ())
    for path in ("/targets/app-1/readyz", "/targets/app-2/readyz", "/health", "/events"):
        async with agent.client.get(agent.base + path) as got:
            expected = got.status
        async with agent.client.head(agent.base + path) as response:
            assert (response.status, await response.read()) == (expected, b""), path


async def test_checks_may_be_excluded(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(world.frozen("app-1"), world.replica("app-2")), ())
    path = "/targets/app-1/readyz?exclude=process&exclude=event_loop&verbose"
    status, text = await agent.get(path)
    assert status == 200
    assert "[+]process excluded: ok" in text


async def test_a_replica_asks_about_itself(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(here(world.frozen("app-1")), world.replica("app-2")), ())
    forged = {"X-Forwarded-For": "10.0.0.2", "Forwarded": "for=10.0.0.2"}
    for path in ("/self/livez", "/self/readyz"):
        assert (await agent.get(path, headers=forged))[0] == 503, path


async def test_who_is_no_replica_gets_no_opinion(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(world.replica("app-1")), ())
    status, text = await agent.get("/self/readyz")
    assert (status, json.loads(text)["detail"]) == (404, "no target has the address 127.0.0.1")


async def test_an_agent_that_just_started_has_no_opinion_about_readiness(
    agent: Agent, world: World
) -> None:
    unseen = here(Replica(world.replica("app-1").target, looked_at=False))
    agent.surface.publish(world.report(unseen, settled=False), ())
    status, text = await agent.get("/self/readyz")
    assert status == 404, "503 would say that the replica has failed"
    assert "has not judged app-1 yet" in json.loads(text)["detail"]
    assert (await agent.get("/self/livez"))[0] == 200


async def test_an_agent_that_just_started_has_no_opinion_about_a_service_short_of_its_quorum(
    agent: Agent, world: World
) -> None:
    unseen = Replica(world.replica("app-1").target, looked_at=False)
    agent.surface.publish(world.report(unseen, world.frozen("app-2"), settled=False), ())
    async with agent.client.get(agent.base + "/services/app/readyz") as response:
        assert response.status == 404, "503 would say that the service has failed"
        assert response.headers["Retry-After"] == "1"
        assert "has not judged app yet" in (await response.json())["detail"]
    agent.surface.publish(world.report(unseen, world.replica("app-2"), settled=False), ())
    assert (await agent.get("/services/app/readyz"))[0] == 200, "its quorum is there already"
    agent.surface.publish(world.report(world.frozen("app-2"), settled=False), ())
    assert (await agent.get("/services/app/readyz"))[0] == 503, "all that it has was judged"


async def test_a_service_is_asked_for_its_quorum(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(world.frozen("app-1"), world.replica("app-2")), ())
    assert (await agent.get("/services/app/readyz"))[0] == 200
    agent.surface.publish(world.report(world.frozen("app-1"), world.refusing("app-2")), ())
    status, text = await agent.get("/services/app/readyz")
    assert (status, text.splitlines()[-1]) == (
        503,
        "readyz check failed (0 of 2 ready, quorum 1)",
    )


# Errors


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nothing", 404, "GET / lists what there is"),
        ("/traefik?wait=abc", 400, "wait"),
        ("/targets/000/livez", 404, "the beginning of an id takes 4 characters at least"),
        ("/targets/app-9/livez", 404, "known: app-1"),
        ("/targets/app-1/readyz/nosuch", 404, "app-1 has no check 'nosuch'; it has: exit, process"),
        ("/services/none/readyz", 404, "known: app"),
        ("/events?replay=x", 400, "write a whole number"),
        ("/events?follow=no", 400, "write true or false"),
        pytest.param(f"/events?replay={DIGITS}", 400, "18 digits at most", id="too many to replay"),
        pytest.param(f"/history?most={DIGITS}", 400, "from 1 to 10000", id="too many of history"),
    ],
)
async def test_errors_are_problems_that_say_what_to_do(
    agent: Agent, world: World, path: str, status: int, words: str
) -> None:
    agent.surface.publish(world.report(world.replica("app-1")), ())
    async with agent.client.get(agent.base + path) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        problem = await response.json()
    assert problem["status"] == status
    assert words in problem["detail"]


async def test_another_method_is_a_problem_that_names_the_right_one(agent: Agent) -> None:
    async with agent.client.post(agent.base + "/livez") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
        assert response.content_type == "application/problem+json"


async def test_with_no_host_it_answers_over_ipv4_and_over_ipv6() -> None:
    """On a network that has IPv6 alone, and to the command line beside it all the same."""
    (port,) = free_ports(1)
    async with HttpSurface(("", port)).serve(), aiohttp.ClientSession() as client:
        for host in ("127.0.0.1", "[::1]"):
            async with client.get(f"http://{host}:{port}/livez") as answer:
                assert answer.status == 200


async def test_an_address_in_use_is_told_with_its_key(agent: Agent) -> None:
    port = int(agent.base.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=rf"listen = 127.0.0.1:{port}: Address already in"):
        async with HttpSurface(("127.0.0.1", port)).serve():
            pass


# Documents


async def test_documents_are_as_openapi_describes_them(agent: Agent, world: World) -> None:
    notice = Notice("app-1", "cannot be read", "write a count")
    report = world.report(world.frozen("app-1"), world.replica("app-2"), notices=(notice,))
    agent.surface.publish(report, transitions(NOBODY, report))
    health = await agent.document("/health")
    assert faults(health, "Health") == []
    assert health.keys() == SCHEMAS["Health"]["properties"].keys()
    assert faults(await agent.document("/budget"), "Budget") == []
    assert faults(await agent.document("/nothing"), "Problem") == []
    agent.surface.record(RESTARTED)
    [first, *_, last] = await events(agent, "/events?replay=100&follow=false")
    assert faults(first["data"], "Transition") == []
    assert faults(last["data"], "Act") == []


async def test_health_fails_with_an_error_status_and_only_then(agent: Agent, world: World) -> None:
    for replicas, status in (
        ([world.replica("app-1")], 200),
        ([world.frozen("app-1"), world.replica("app-2")], 200),
        ([world.frozen("app-1")], 503),
    ):
        agent.surface.publish(world.report(*replicas), ())
        async with agent.client.get(agent.base + "/health") as response:
            assert response.status == status
            assert response.content_type == "application/health+json"


async def test_metrics_are_scraped(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(world.replica("app-1")), ())
    status, text = await agent.get("/metrics")
    assert status == 200
    assert 'healthagent_target_ready{service="app",target="app-1"} 1.0' in text


class Overheard(tuple[ServiceReport, ...]):
    """The services of a report, which know in which threads they were gone through."""

    def __iter__(self) -> Iterator[ServiceReport]:
        self.__dict__.setdefault("threads", set()).add(threading.get_ident())
        return super().__iter__()


@pytest.mark.parametrize("path", ["/metrics", "/health"])
async def test_what_is_told_of_all_replicas_is_drawn_beside_the_event_loop(
    agent: Agent, world: World, path: str
) -> None:
    report = world.report(world.replica("app-1"))
    services = Overheard(report.services)
    agent.surface.publish(replace(report, services=services), ())
    services.__dict__["threads"].clear()
    assert (await agent.get(path))[0] == 200
    assert services.__dict__["threads"]
    assert threading.get_ident() not in services.__dict__["threads"]


@pytest.mark.parametrize("path", ["/health", "/metrics", "/openapi.json"])
async def test_who_is_connected_is_answered_though_no_file_descriptor_is_left(
    agent: Agent, path: str
) -> None:
    assert (await agent.get("/livez"))[0] == 200, "it stays connected from here on"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with socket.socket() as lowest_free:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free.fileno(), hard))
        status, _ = await agent.get(path)
    assert status == 200


@pytest.mark.parametrize("accept", ["*/*", "application/openmetrics-text; version=1.0.0"])
async def test_metrics_come_in_a_form_that_is_described(agent: Agent, accept: str) -> None:
    described = PATHS["/metrics"]["responses"]["200"]["content"]
    headers = {"Accept": accept}
    async with agent.client.get(agent.base + "/metrics", headers=headers) as response:
        assert response.content_type in described


async def test_the_index_and_the_description_list_what_this_listener_has(agent: Agent) -> None:
    for base, has_traefik in ((agent.base, True), (agent.public, False)):
        _, index = await agent.get("/", base)
        paths = (await agent.document("/openapi.json", base))["paths"]
        listed = [line.split()[0] for line in index.splitlines()]
        assert listed == list(paths)
        assert ("/traefik" in paths) is has_traefik


# The public listener


@pytest.mark.parametrize("public", [False, True])
async def test_a_browser_gets_the_page_and_who_asks_for_no_html_the_list(
    agent: Agent, world: World, public: bool
) -> None:
    agent.surface.publish(world.report(world.frozen("app-1")), ())
    base = agent.public if public else agent.base
    async with agent.client.get(base, headers={"Accept": "text/html,*/*;q=0.8"}) as response:
        html = await response.text()
        assert (response.status, response.content_type) == (200, "text/html")
        assert response.headers["Vary"] == "Accept, Accept-Encoding"
        assert response.headers["Content-Encoding"] == "gzip", "it is many times as long"
        assert "script-src 'sha256-" in response.headers["Content-Security-Policy"]
    assert "not live" in html
    assert ("pid 100" in html) is not public, "reasons are for operators"
    plain = {"Accept": "text/html", "Accept-Encoding": "identity"}
    assert await agent.get("/", base, headers=plain) == (200, html)
    async with agent.client.get(base) as response:
        assert response.content_type == "text/plain", "curl asks for */*"


async def test_a_public_listener_has_no_route_that_tells_more_than_states(agent: Agent) -> None:
    for path in ("/budget", "/traefik", "/metrics"):
        assert (await agent.get(path, agent.public))[0] == 404, path


async def test_a_public_listener_gives_no_reasons(agent: Agent, world: World) -> None:
    report = world.report(here(world.frozen("app-1")), world.refusing("app-2"))
    agent.surface.publish(report, transitions(NOBODY, report))
    paths = ("/health", "/self/livez", "/targets/app-2/readyz", "/events?replay=99&follow=false")
    for path in paths:
        _, text = await agent.get(path, agent.public)
        leaked = re.findall(r"stopped|SIGSTOP|warming up|10\.0\.0|postgres:5432", text)
        assert leaked == [], path
    assert (await agent.get("/self/livez", agent.public))[0] == 503


async def test_no_answer_names_the_software_below(agent: Agent) -> None:
    for path in ("/livez", "/nothing", "/events"):
        async with agent.client.get(agent.public + path) as response:
            assert response.headers["Server"] == "healthagent", path


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"HELP\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: agent\r\nX-Long: " + b"x" * 10_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: agent\r\n\r\n",
    ],
    ids=["a TLS hello", "no HTTP", "a long header", "a long path"],
)
async def test_who_speaks_no_http_is_told_so_without_a_word_of_the_software_or_in_the_log(
    agent: Agent, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = agent.public.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with contextlib.closing(writer):
        writer.write(sent)
        async with asyncio.timeout(SOON):
            head, *rest = (await reader.read()).decode().splitlines()
    assert head.startswith("HTTP/1.") and " 400 " in head
    assert "Server: healthagent" in rest
    assert [record.message for record in caplog.records] == [], "what others send is no fault"


async def test_a_body_that_is_not_packed_as_it_says_leaves_no_word_in_the_log(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = agent.public.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with contextlib.closing(writer):
        head = b"GET /livez HTTP/1.1\r\nHost: agent\r\nContent-Encoding: gzip\r\n"
        writer.write(head + b"Content-Length: 3\r\n\r\nabc")
        async with asyncio.timeout(SOON):
            assert b" 200 " in await reader.readline()
            await reader.read()  # to the end: what is left of the request is read after the answer
    assert [record.message for record in caplog.records] == [], "what others send is no fault"


# Traefik


async def test_traefik_waits_for_the_first_judgement_and_no_longer(
    agent: Agent, world: World
) -> None:
    asking = asyncio.create_task(agent.get("/traefik"))
    answered, _ = await asyncio.wait({asking}, timeout=0.1)
    assert not answered, "an error now would make Traefik ask less often"
    agent.surface.publish(world.report(world.replica("app-1")), ())
    status, text = await asking
    assert status == 200
    assert json.loads(text)["http"]["services"]["app"]["loadBalancer"]["servers"] == [
        {"url": "http://10.0.0.1:3000"}
    ]


async def test_an_unsettled_agent_gives_traefik_an_error_that_freezes_routing(
    agent: Agent, world: World
) -> None:
    agent.surface.publish(world.report(world.replica("app-1"), settled=False), ())
    status, text = await agent.get("/traefik")
    assert status == 503
    assert "keeps the configuration" in json.loads(text)["detail"]


async def test_a_fault_in_rendering_gives_traefik_an_error_and_ends_nothing(
    agent: Agent, world: World
) -> None:
    odd = world.replica("app-1").but(traffic=Traffic(response=math.nan))
    agent.surface.publish(world.report(odd), ())
    status, text = await agent.get("/traefik")
    assert status == 503
    assert "keeps the configuration" in json.loads(text)["detail"]
    assert (await agent.get("/targets/app-1/readyz"))[0] == 200
    agent.surface.publish(world.report(world.replica("app-1")), ())
    assert (await agent.get("/traefik"))[0] == 200


async def test_an_unchanged_configuration_is_not_sent_again(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(world.replica("app-1")), ())
    async with agent.client.get(agent.base + "/traefik") as response:
        known = {"If-None-Match": response.headers["ETag"]}
    assert await agent.get("/traefik", headers=known) == (304, "")
    agent.surface.publish(world.report(world.frozen("app-1")), ())
    assert (await agent.get("/traefik", headers=known))[0] == 200


async def test_a_poll_that_may_wait_is_answered_as_soon_as_there_is_news(
    agent: Agent, world: World
) -> None:
    """Traefik names no ETag: what it has is known by its connection."""
    agent.surface.publish(world.report(world.replica("app-1")), ())
    assert "10.0.0.1" in (await agent.get("/traefik?wait=60s"))[1], "a first poll is not held"
    held = asyncio.create_task(agent.get("/traefik?wait=60s"))
    agent.surface.publish(world.report(world.replica("app-1")), ())
    answered, _ = await asyncio.wait({held}, timeout=0.1)
    assert not answered, "a report that changes nothing is no news"
    agent.surface.publish(world.report(world.frozen("app-1")), ())
    assert "10.0.0.1" not in (await asyncio.wait_for(held, SOON))[1]


async def test_a_poll_that_may_wait_gets_at_once_what_its_connection_has_not_had(
    agent: Agent, world: World
) -> None:
    agent.surface.publish(world.report(world.replica("app-1")), ())
    await agent.get("/traefik?wait=60s")
    agent.surface.publish(world.report(world.frozen("app-1")), ())
    assert "10.0.0.1" not in (await asyncio.wait_for(agent.get("/traefik?wait=60s"), SOON))[1]
    async with aiohttp.ClientSession() as other, asyncio.timeout(SOON):
        for _ in range(2):
            async with other.get(agent.base + "/traefik") as response:
                assert response.status == 200, "who does not ask to wait does not"
    async with (
        asyncio.timeout(SOON),
        aiohttp.ClientSession() as new,
        new.get(agent.base + "/traefik?wait=60s") as response,
    ):
        assert response.status == 200, "a Traefik that was restarted has nothing yet"


async def test_who_waits_at_a_poll_is_no_router_that_asks_no_more(world: World) -> None:
    """Right after much news its polls were short, and this one is long."""
    now, asked = 100.0, asyncio.Event()

    def clock() -> float:
        asked.set()
        return now

    surface = HttpSurface(("127.0.0.1", 0), clock=clock)
    async with aiohttp.ClientSession() as client, asyncio.timeout(SOON), surface.serve() as bound:
        url = f"http://{bound.listen[0]}:{bound.listen[1]}/traefik?wait=60s"
        surface.publish(world.report(world.replica("app-1")), ())
        async with client.get(url):
            now += 0.1
        for replica in (world.frozen("app-1"), world.replica("app-1")):
            surface.publish(world.report(replica), ())
            async with client.get(url):
                now += 0.1
        asked.clear()
        held = asyncio.create_task(client.get(url))
        await asked.wait()
        now += 30.0
        assert "127.0.0.1" in surface.told
        surface.publish(world.report(world.frozen("app-1")), ())
        (await held).release()


async def test_a_poll_that_waits_does_not_keep_the_agent_from_stopping(world: World) -> None:
    surface = HttpSurface(("127.0.0.1", 0))
    async with aiohttp.ClientSession() as client:
        async with asyncio.timeout(SOON), surface.serve() as bound:
            url = f"http://{bound.listen[0]}:{bound.listen[1]}/traefik?wait=60s"
            surface.publish(world.report(world.replica("app-1")), ())
            async with client.get(url) as first:
                before = await first.text()
            held = asyncio.create_task(client.get(url))
            await asyncio.wait({held}, timeout=0.1)
        async with await held as response:
            assert await response.text() == before, "the last that it says is true"


async def test_a_poll_waits_no_longer_than_it_asked_to(agent: Agent, world: World) -> None:
    agent.surface.publish(world.report(world.replica("app-1")), ())
    for _ in range(2):
        assert (await asyncio.wait_for(agent.get("/traefik?wait=50ms"), SOON))[0] == 200
    status, text = await agent.get("/traefik?wait=soon")
    assert status == 400
    assert "wait='soon' cannot be read" in json.loads(text)["detail"]


async def test_labels_that_traefik_would_refuse_are_notices(agent: Agent, world: World) -> None:
    bad = world.replica("app-1").but(routing={"traefik.http.routers.a.priority": "high"})
    agent.surface.publish(world.report(bad), ())
    [first, *others] = (await agent.document("/health"))["notices"]
    assert agent.surface.notices_of_routing() == len([first, *others])
    assert first["text"] == (
        "app-1: traefik.http.routers.a.priority='high' is no whole number; write a whole number"
    )


# Events


async def test_events_are_streamed_as_they_happen(agent: Agent, world: World) -> None:
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    async with agent.client.get(agent.base + "/events") as response:
        assert response.content_type == "text/event-stream"
        agent.surface.publish(sick, transitions(well, sick))
        event = await next_event(response)
    assert (event["data"]["check"], event["data"]["after"]) == ("process", "failed")


async def test_a_reader_that_comes_back_misses_nothing(agent: Agent, world: World) -> None:
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    agent.surface.publish(sick, transitions(well, sick))
    before = await events(agent, "/events?replay=2&follow=false")
    agent.surface.publish(well, transitions(sick, well))
    last = {"Last-Event-ID": before[-1]["id"]}
    after = await events(agent, "/events?follow=false", headers=last)
    assert [e["data"]["after"] for e in after] == ["ok", "ok", "ready"]


async def test_a_reader_that_had_nothing_yet_misses_nothing_either(
    agent: Agent, world: World
) -> None:
    well, sick = world.report(world.replica("app-1")), world.report(world.frozen("app-1"))
    async with agent.client.get(agent.base + "/events") as response:
        lines = [line async for line in _block(response)]
    assert [line.partition(": ")[0] for line in lines] == ["id"], "no event, but a place to resume"
    agent.surface.publish(sick, transitions(well, sick))
    last = {"Last-Event-ID": lines[0].partition(": ")[2]}
    after = await events(agent, "/events?follow=false", headers=last)
    assert [e["data"]["after"] for e in after] == ["failed", "failed", "not live"]


async def test_events_are_filtered_by_target_and_service(agent: Agent, world: World) -> None:
    report = world.report(world.replica("app-1"), world.replica("job-2", "job"))
    agent.surface.publish(report, transitions(NOBODY, report))
    for query, names in (
        ("target=app-1", {"app-1"}),
        (f"target={report.targets[0].target.id[:4]}", {"app-1"}),
        (f"target={report.targets[0].target.id[:3]}", set()),
        ("service=job", {"job-2"}),
        ("", {"app-1", "job-2"}),
    ):
        found = await events(agent, f"/events?replay=100&follow=false&{query}")
        assert {e["data"]["target"] for e in found} == names, query


async def test_a_stop_ends_open_streams(world: World) -> None:
    surface = HttpSurface(("127.0.0.1", 0))
    async with aiohttp.ClientSession() as client, contextlib.AsyncExitStack() as served:
        bound = await served.enter_async_context(surface.serve())
        url = "http://{}:{}/events".format(*bound.listen)
        readers = [await client.get(url) for _ in range(3)]
        async with asyncio.timeout(SOON):
            await served.aclose()
        for reader in readers:
            ended = await reader.read()
            assert re.fullmatch(rb"id: [0-9a-f]{8}-0\n\n", ended), "the stream ends cleanly"


async def test_readers_that_leave_make_room_for_others(agent: Agent) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as crowd:
        for _ in range(MOST_READERS):
            await crowd.get(agent.base + "/events")
        status, text = await agent.get("/events")
        assert (status, json.loads(text)["status"]) == (503, 503)
    async with asyncio.timeout(SOON):
        while await may_follow(agent) != 200:
            pass


async def test_a_crowd_at_the_public_listener_keeps_no_operator_from_the_first(
    agent: Agent,
) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as crowd:
        for _ in range(MOST_READERS):
            await crowd.get(agent.public + "/events")
        assert await may_follow(agent, agent.public) == 503
        assert await may_follow(agent, agent.base) == 200


async def test_who_asks_for_the_past_alone_needs_no_place(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_READERS", 0)
    assert await may_follow(agent) == 503
    assert (await agent.get("/events?follow=false"))[0] == 200


async def test_a_reader_that_does_not_read_is_let_go_without_a_word_in_the_log(
    agent: Agent, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feed, "MOST_READERS", 1)
    monkeypatch.setattr(stream, "WRITE_WITHIN", 0.05)
    monkeypatch.setattr(stream, "encode", lambda *_: bytes(16 * 2**20))  # more than sockets hold
    report = world.report(world.frozen("app-1"))
    agent.surface.publish(report, transitions(NOBODY, report))
    host, port = agent.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as idle:
        idle.send(b"GET /events?replay=1 HTTP/1.1\r\nHost: agent\r\n\r\n")
        async with asyncio.timeout(SOON):
            while await may_follow(agent) != 503:
                pass
            while await may_follow(agent) != 200:
                pass
    assert [record.message for record in caplog.records] == [], "a reader that goes is no fault"


async def may_follow(agent: Agent, base: str = "") -> int:
    """The status that a reader who follows would get."""
    async with agent.client.head((base or agent.base) + "/events") as response:
        return response.status


async def next_event(response: aiohttp.ClientResponse) -> dict[str, Any]:
    async with asyncio.timeout(SOON):
        while True:
            lines = [line async for line in _block(response)]
            if any(line.startswith("data: ") for line in lines):
                return _event(lines)


async def _block(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    while line := (await response.content.readline()).decode().rstrip("\n"):
        yield line


async def events(agent: Agent, path: str, **kwargs: Any) -> list[dict[str, Any]]:
    """All events of a stream that ends by itself."""
    _, text = await agent.get(path, **kwargs)
    return [_event(block.splitlines()) for block in text.split("\n\n") if block]


def _event(lines: list[str]) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in lines)
    return {**fields, "data": json.loads(fields["data"])}


def faults(value: Any, schema: str | dict[str, Any], at: str = "$") -> list[str]:
    """Where a value is not as a schema says: as much of JSON Schema as the description uses."""
    if isinstance(schema, str):
        return faults(value, SCHEMAS[schema], at)
    if "$ref" in schema:
        return faults(value, schema["$ref"].rpartition("/")[2], at)
    if "anyOf" in schema:
        tried = [faults(value, one, at) for one in schema["anyOf"]]
        return min(tried, key=len)
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r} is none of {schema['enum']}"]
    kinds: dict[str, type | tuple[type, ...]] = {
        "object": dict, "array": list, "string": str, "boolean": bool,
        "integer": int, "null": type(None),
    }  # fmt: skip
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return [f"{at}: {value!r} is no {schema['type']}"]
    found = [f"{at}.{name}: missing" for name in schema.get("required", []) if name not in value]
    for name, of in schema.get("properties", {}).items():
        found += faults(value[name], of, f"{at}.{name}") if name in value else []
    if "additionalProperties" in schema:
        for name, item in value.items():
            found += faults(item, schema["additionalProperties"], f"{at}.{name}")
    for index, item in enumerate(value if "items" in schema else []):
        found += faults(item, schema["items"], f"{at}[{index}]")
    return found
