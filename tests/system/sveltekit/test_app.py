"""The order desk's app as its image has it, run with no container."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.acceptance import desk as stack
from provision import desk, tools
from provision.command import run as run_program
from provision.local import LocalProcess, answers, free_port
from provision.local_postgres import LocalPostgres
from tests import web_servers

START = 60.0
STOPPED = 60.0
BUILT = 600.0
"""Seconds for the first test, which may find nothing built yet."""

pytestmark = pytest.mark.timeout(BUILT)


class App:
    """A replica under one of the runtimes, whose output is kept."""

    def __init__(self, runtime: Path, folder: Path, log: Path, variables: dict[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self.process = LocalProcess(
            [runtime, "server.ts"],
            log=log,
            directory=folder,
            environment={
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "PROTOCOL_HEADER": "x-forwarded-proto",
                "APP_VERSION": "1.0.0",
                "DBOS__VMID": "desk-app-1",
                "DRAIN_MS": "0",
                **variables,
            },
        )
        self.process.wait_until(lambda: answers(f"{self.url}/livez"), timeout=START)

    def messages(self) -> list[str]:
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [json.loads(line)["message"] for line in lines]


Start = Callable[..., App]


@pytest.fixture(scope="module")
def folder() -> Path:
    return desk.lay_out()


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the app under a runtime, with these variables."""
    started: list[App] = []

    def run(runtime: Path, **variables: str) -> App:
        app = App(runtime, folder, tmp_path / "app.log", variables)
        started.append(app)
        return app

    yield run
    for app in started:
        app.process.stop()


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address where nothing listens."""
    with web_servers.nobody() as address:
        yield address


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of one that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def database(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The desk's own database, as the app's role reaches it."""
    secret = tmp_path_factory.mktemp("secrets") / "agent"
    secret.write_text("agent")
    secret.parent.chmod(0o755)
    scripts = [desk.SOURCE / "database" / name for name in ("1-roles.sql", "2-orders.sql")]
    passwords = {
        "APP_PASSWORD": "app",
        "OWNER_PASSWORD": "owner",
        "HEALTHAGENT_POSTGRES_PASSWORD_FILE": str(secret),
    }
    with LocalPostgres(scripts=scripts, environment=passwords) as server:
        place = f"127.0.0.1:{server.port}/desk"
        variables = {"MIGRATION_DATABASE_URL": f"postgresql://desk_owner:owner@{place}"}
        run_program(
            [tools.bun(), "migrate.ts"],
            timeout=START,
            environment={**variables, "APP_ROLE": "desk"},
            directory=folder,
        )
        yield f"postgresql://desk:app@{place}"


@pytest.fixture
def ready(start: Start, database: str) -> App:
    """The app under Bun, with its database."""
    app = start(tools.bun(), DATABASE_URL=database, READY_TIMEOUT_MS="5000", WORK_MS="0")
    app.process.wait_until(lambda: answers(f"{app.url}/readyz"), timeout=START)
    return app


@pytest.mark.parametrize("runtime", [tools.bun, tools.node], ids=["bun", "node"])
def test_a_collector_that_never_answers_holds_no_stop_up(
    start: Start, nowhere: str, silent: str, runtime: Callable[[], Path]
) -> None:
    app = start(
        runtime(),
        DATABASE_URL=f"postgresql://desk:none@{nowhere}/desk",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{silent}",
        # Else the last export would give up by itself, before the app's own limit.
        OTEL_METRIC_EXPORT_INTERVAL="60000",
        OTEL_METRIC_EXPORT_TIMEOUT="60000",
        OTEL_EXPORTER_OTLP_TIMEOUT="60000",
    )
    os.kill(app.process.pid, signal.SIGTERM)
    assert app.process.wait(STOPPED) == 0, "the limit of server.ts must not be what ends it"
    assert app.messages()[-1] == "stopped"


ORDER = {"sku": "card", "customer": "Ada"}


@pytest.mark.parametrize(
    ("said", "part"),
    [
        (None, "must be an object"),
        ([], "must be an object"),
        ("order", "must be an object"),
        ({**ORDER, "customer": "A\0da"}, "customer: must hold neither NUL"),
        ({**ORDER, "customer": "A\ud800da"}, "customer: must hold neither NUL nor half"),
        ({**ORDER, "sku": "card\0"}, "sku: must hold neither NUL"),
        ({**ORDER, "sku": "none"}, "sku: no such product"),
        ({**ORDER, "id": "nope"}, "id: must be a UUID"),
    ],
    ids=repr,
)
def test_an_order_that_cannot_be_is_refused_with_the_reason(
    ready: App, said: object, part: str
) -> None:
    answer = stack.ask(f"{ready.url}/north/orders", json.dumps(said).encode())
    assert (answer.status, part in answer.body) == (400, True), answer.body
    assert json.loads(answer.body)["detail"], "the API answers in JSON"


@pytest.mark.parametrize("id_", ["nope", "00000000-0000-0000-0000-000000000000"])
def test_an_order_that_is_not_there_is_not_found(ready: App, id_: str) -> None:
    answer = stack.ask(f"{ready.url}/north/orders/{id_}")
    assert answer.status == 404
    assert json.loads(answer.body) == {"detail": "no such order in this shop"}


def test_the_forms_id_stays_while_the_page_asks_for_its_orders_anew(ready: App) -> None:
    """What a browser keeps until it must load it anew: SvelteKit says of each load by what."""
    page = json.loads(stack.ask(f"{ready.url}/north/__data.json").body)
    (uses,) = (node["uses"] for node in page["nodes"] if node and "nextId" in str(node["data"]))
    assert "desk:orders" not in uses.get("dependencies", []), "it would change each second"
    assert uses["params"] == ["shop"], "the id of one shop's order must not serve another"


def test_the_form_sent_twice_makes_one_order_without_javascript(ready: App) -> None:
    page = stack.ask(f"{ready.url}/north").body
    (id_,) = re.findall(r'name="id" value="([^"]+)"', page)
    form = {**ORDER, "id": id_, "customer": f"Ada {id_}", "quantity": 1}

    for _ in range(2):
        answer = post_form(f"{ready.url}/north", form)
        assert f'value="{id_}"' not in answer, "the next form makes the next order"

    shown = stack.ask(f"{ready.url}/north").body
    assert shown.count(f"<strong>Ada {id_}</strong>") == 1


def post_form(url: str, form: dict[str, Any]) -> str:
    """The page that a browser without JavaScript gets."""
    headers = {"origin": url.rpartition("/")[0], "x-forwarded-proto": "http"}
    request = urllib.request.Request(url, urllib.parse.urlencode(form).encode(), headers)
    with urllib.request.urlopen(request, timeout=START) as answer:
        text: str = answer.read().decode()
        return text
