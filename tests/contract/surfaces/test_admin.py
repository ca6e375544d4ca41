"""Who may act over which listener, and what the answer to it is."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from healthagent.core.credentials import Credentials
from healthagent.core.observation import Unseen
from healthagent.errors import ConfigurationError
from healthagent.surfaces.http import Admin, HttpSurface
from healthagent.surfaces.http.openapi import ACTS
from tests.unit.supervisor.stage import Stage

TOKEN = "a-token-that-nobody-guesses"
SOON = 30.0


@dataclass
class Answer:
    status: int
    body: str
    type: str
    headers: dict[str, str]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines() if line]

    @property
    def detail(self) -> str:
        return str(json.loads(self.body)["detail"])


@dataclass
class Agent:
    """An agent with both listeners and the socket, and three replicas."""

    stage: Stage
    socket: Path
    surface: HttpSurface
    url: str = ""
    public_url: str = ""
    token: Credentials | Unseen | None = None

    async def post(self, path: str, body: Any = None, token: str | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return await _ask(None, f"{self.url}{path}", body, headers)

    async def over_socket(self, path: str, body: Any = None, method: str = "POST") -> Answer:
        return await _ask(str(self.socket), f"http://agent{path}", body, {}, method)


async def _ask(
    path: str | None, url: str, body: Any, headers: dict[str, str], method: str = "POST"
) -> Answer:
    connector = aiohttp.UnixConnector(path) if path else None
    async with (
        asyncio.timeout(SOON),
        aiohttp.ClientSession(connector=connector) as session,
        session.request(method, url, json=body, headers=headers) as response,
    ):
        text = await response.text()
        return Answer(response.status, text, response.content_type, dict(response.headers))


@asynccontextmanager
async def serving(stage: Stage, path: Path) -> AsyncIterator[Agent]:
    surface = HttpSurface(("127.0.0.1", 0), ("127.0.0.1", 0))
    agent = Agent(stage, path, surface)
    async with stage.played() as operations:
        admin = Admin(operations, lambda: agent.token, str(path))
        async with surface.serve(admin) as bound:
            assert bound.public is not None
            surface.publish(stage.report(), ())
            agent.url = "http://{}:{}".format(*bound.listen)
            agent.public_url = "http://{}:{}".format(*bound.public)
            yield agent


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not holds():  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(0.001)


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    stage = Stage()
    stage.put("app-1", "app-2", "app-3")
    async with serving(stage, tmp_path / "admin.sock") as found:
        yield found


async def test_who_may_open_the_socket_may_act(agent: Agent) -> None:
    mode = agent.socket.stat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o660)
    answer = await agent.over_socket("/targets/app-2/restart", {"why": "leaks"})
    assert (answer.status, answer.type) == (200, "application/x-ndjson")
    assert answer.steps[0]["text"] == "to be restarted: leaks"
    assert answer.steps[-1]["outcome"] == "done"
    assert {f"uid {os.getuid()}" in step["by"] for step in answer.steps} == {True}
    assert agent.stage.runtime.acts == ["restart app-2"]


async def test_the_socket_answers_all_other_questions_too(agent: Agent) -> None:
    assert (await agent.over_socket("/health", method="GET")).status == 200


async def test_without_a_token_nobody_may_act_over_the_network(agent: Agent) -> None:
    answer = await agent.post("/targets/app-2/restart", token="anything")
    assert answer.status == 403
    assert str(agent.socket) in answer.detail
    assert "HEALTHAGENT_ADMIN_TOKEN_FILE" in answer.detail
    assert agent.stage.runtime.acts == []


@pytest.mark.parametrize("given", [None, "", "a-token-that-nobody-guesse", TOKEN + "x", "\u00e9"])
async def test_another_token_is_none(agent: Agent, given: str | None) -> None:
    agent.token = Credentials("token deploy", TOKEN)
    answer = await agent.post("/targets/app-2/restart", token=given)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in answer.body
    assert agent.stage.runtime.acts == []


async def test_with_the_token_somebody_acts_under_its_name(agent: Agent) -> None:
    agent.token = Credentials("token deploy", TOKEN)
    answer = await agent.post("/targets/app-2/restart", token=TOKEN)
    assert answer.status == 200
    assert {step["by"] for step in answer.steps} == {"token deploy from 127.0.0.1"}


async def test_a_token_that_cannot_be_read_lets_nobody_in(agent: Agent) -> None:
    agent.token = Unseen("the token file /run/x cannot be read", "let user id 7 read it")
    answer = await agent.post("/targets/app-2/restart", token=TOKEN)
    assert (answer.status, "let user id 7 read it" in answer.detail) == (403, True)


@pytest.mark.parametrize("path", ACTS)
async def test_the_public_listener_has_no_route_that_acts(agent: Agent, path: str) -> None:
    agent.token = Credentials("token", TOKEN)
    whole = agent.public_url + path.format(target="app-2", service="app")
    answer = await _ask(None, whole, None, {"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 404
    described = await _ask(None, agent.public_url + "/openapi.json", None, {}, "GET")
    assert path not in json.loads(described.body)["paths"]


async def test_what_acts_is_described_where_it_is(agent: Agent) -> None:
    described = await agent.over_socket("/openapi.json", method="GET")
    assert set(ACTS) < set(json.loads(described.body)["paths"])
    assert "POST /services/{service}/roll" in (await agent.over_socket("/", method="GET")).body


async def test_what_is_refused_at_once_is_a_conflict(agent: Agent) -> None:
    agent.stage.traffic.counts = [1] * 100_000
    first = asyncio.create_task(agent.over_socket("/targets/app-1/restart"))
    await until(lambda: bool(agent.stage.router.asked))
    answer = await agent.over_socket("/services/app/roll")
    assert answer.status == 409
    assert [step["outcome"] for step in answer.steps] == ["refused"]
    assert "is at app already" in answer.steps[0]["text"]
    assert (await first).steps[-1]["outcome"] == "done"


async def test_a_client_that_goes_away_does_not_stop_the_act(agent: Agent) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(agent.socket))
        client.sendall(b"POST /services/app/roll HTTP/1.1\r\nHost: agent\r\n\r\n")
        await until(lambda: bool(agent.stage.recorder.steps))
    await until(lambda: agent.stage.recorder.steps[-1].outcome.final)
    assert agent.stage.runtime.acts == ["restart app-1", "restart app-2", "restart app-3"]


async def test_a_roll_takes_a_plan(agent: Agent) -> None:
    asked = {"image": "shop:2", "labels": {"a": "b"}, "back": True, "rehearse": True}
    answer = await agent.over_socket("/services/app/roll", asked)
    assert answer.status == 200
    assert answer.steps[-1] | {"time": "", "act": ""} == {
        "time": "",
        "event": "act",
        "act": "",
        "verb": "rollback",
        "by": answer.steps[-1]["by"],
        "service": "app",
        "target": None,
        "outcome": "observed",
        "text": "nothing speaks against it: 3 replicas, 3 ready, never fewer than 2",
        "evidence": {},
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/services/app/roll", {"imgae": "shop:2"}, 400, "the body takes image, variables, labels"),
        ("/targets/app-1/drain", {"whyy": "x"}, 400, "whyy: is not known; the body takes why"),
        ("/services/app/roll", {"surge": "perhaps"}, 400, "surge"),
        ("/targets/app-1/drain", ["x"], 400, "the body"),
        ("/targets/nobody/drain", {}, 404, "no target is called 'nobody'"),
        ("/services/nothing/roll", {}, 404, "nothing"),
    ],
)
async def test_what_cannot_be_meant_is_a_problem(
    agent: Agent, path: str, body: Any, status: int, said: str
) -> None:
    answer = await agent.over_socket(path, body)
    assert (answer.status, answer.type) == (status, "application/problem+json")
    assert said in answer.detail
    assert agent.stage.recorder.steps == []


async def test_a_body_that_is_not_packed_as_it_says_is_a_problem(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    connector = aiohttp.UnixConnector(str(agent.socket))
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as client:
        url, headers = "http://agent/targets/app-1/drain", {"Content-Encoding": "gzip"}
        async with client.post(url, data=_as_it_is(b"{}"), headers=headers) as answer:
            assert (answer.status, answer.content_type) == (400, "application/problem+json")
            assert "Content-Encoding" in (await answer.json())["detail"]
    assert [record.message for record in caplog.records] == [], "what others send is no fault"


async def _as_it_is(body: bytes) -> AsyncIterator[bytes]:
    """A body that the client sends without packing it itself."""
    yield body


@pytest.mark.parametrize("path", ["/services/app/roll", "/targets/app-1/restart"])
async def test_who_is_not_found_yet_right_after_the_start_is_waited_for(
    tmp_path: Path, path: str
) -> None:
    stage = Stage(settled=False)
    async with serving(stage, tmp_path / "admin.sock") as agent:
        asked = asyncio.ensure_future(agent.over_socket(path))
        await agent.over_socket("/livez", method="GET")
        stage.put("app-1", "app-2", "app-3")
        stage.settled = True
        agent.surface.publish(stage.report(), ())
        answer = await asked
    assert (answer.status, answer.steps[-1]["outcome"]) == (200, "done")


async def test_a_socket_that_an_agent_left_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serving(Stage(), path) as found:
        assert (await found.over_socket("/livez", method="GET")).status in (200, 503)


async def test_the_socket_is_gone_when_the_agent_has_stopped(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    async with serving(Stage(), path):
        assert path.is_socket()
    assert not path.exists()


async def test_the_socket_of_a_later_agent_is_left_there(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    async with serving(Stage(), path):
        path.rename(tmp_path / "earlier.sock")  # which keeps its number from the next one
        with socket.socket(socket.AF_UNIX) as later:
            later.bind(str(path))
    assert path.is_socket()


async def test_a_socket_that_cannot_be_made_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"admin\.socket = .*nowhere"):
        async with serving(Stage(), tmp_path / "nowhere" / "admin.sock"):
            pass
