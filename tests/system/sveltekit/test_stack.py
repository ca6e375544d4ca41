"""The order desk as compose.yaml has it: judged, bounded, separated, measured, ended in order."""

from __future__ import annotations

import json
import time
import uuid

import psycopg
import pytest

from benchmarks.acceptance.collector import Collector
from benchmarks.acceptance.desk import AGENT, DBOS, PRISMA, Desk, ask, held
from benchmarks.acceptance.traffic import Traffic
from examples.quickstart.tour.condition import Seen, until
from provision import desk as images
from tests.system.client import AgentClient, told

LOAD = 1.0
"""The least seconds under load while connections are counted."""


def test_three_replicas_pass_every_check_and_serve_the_page(stack: Desk) -> None:
    targets = AgentClient(stack.agent_url).targets()

    assert sorted(targets) == stack.replicas()
    for name, target in targets.items():
        statuses = {check["name"]: check["status"] for check in target["checks"]}
        assert statuses.keys() >= {"process", "event_loop", "http", "postgres", "pool", "dbos"}
        assert set(statuses.values()) == {"ok"}, told({name: target})

    url = stack.url

    def everybody_serves() -> Seen:
        answers = [ask(f"{url}/north") for _ in range(12)]
        page = all(a.status == 200 and "Order desk" in a.body for a in answers)
        who = {answer.replica for answer in answers}
        return Seen(page and sorted(who) == stack.replicas(), str(who))

    until("each replica serves the page", everybody_serves, within=20)


def test_an_executor_is_the_same_after_its_container_was_made_anew(stack: Desk) -> None:
    name = stack.replicas()[-1]  # the last one: only it gets its number again after `docker rm`
    before = stack.engine.inspect(name)["Id"]

    stack.engine.remove(name)
    stack.scale(3)
    stack.wait_until_ready(3, within=60)

    assert stack.engine.inspect(name)["Id"] != before
    executors = stack.query(
        "SELECT DISTINCT application_name FROM pg_stat_activity"
        " WHERE application_name LIKE 'dbos\\_transact%' ORDER BY 1"
    )
    assert executors == [(f"dbos_transact_{replica}_1.0.0",) for replica in stack.replicas()]


def test_a_shop_sees_and_writes_its_own_rows_alone(stack: Desk) -> None:
    url, id_ = stack.url, str(uuid.uuid4())
    assert stack.order(url, "north", id_=id_).status == 202
    assert ask(f"{url}/north/orders/{id_}").status == 200
    assert ask(f"{url}/south/orders/{id_}").status == 404

    with stack.connect("desk") as app:
        bypass = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        assert app.execute(bypass).fetchall() == [(False,)]
        count = "SELECT count(*) FROM orders"
        assert app.execute(count).fetchall() == [(0,)], "no tenant, no rows"
        with app.transaction():
            app.execute("SELECT set_config('app.tenant', 'north', true)")
            shops = app.execute("SELECT DISTINCT shop FROM orders").fetchall()
        assert shops == [("north",)]
        assert app.execute(count).fetchall() == [(0,)], "the tenant ended with its transaction"
        with pytest.raises(psycopg.errors.InsufficientPrivilege), app.transaction():
            app.execute("SELECT set_config('app.tenant', 'south', true)")
            app.execute(
                "INSERT INTO orders (id, shop, sku, customer, quantity)"
                " VALUES (gen_random_uuid(), 'north', 'card', 'Eve', 1)"
            )


@pytest.mark.parametrize("replicas", [1, 3, 6])
def test_connections_under_load_are_what_was_declared(order_desk: Desk, replicas: int) -> None:
    order_desk.scale(replicas)
    order_desk.wait_until_ready(replicas, within=90)
    bound = replicas * (PRISMA + DBOS) + AGENT
    samples: list[dict[str, int]] = []

    with order_desk.connect() as connection, Traffic(order_desk, order_desk.url, 12) as traffic:
        begun = time.monotonic()

        def loaded() -> Seen:
            samples.append(held(connection))
            served, most = len(traffic.served), max(sample["desk"] for sample in samples)
            # More than DBOS may hold, so Prisma's pools were in use; and every replica's.
            enough = served == replicas and most > replicas * DBOS and len(traffic.accepted) > 12
            long = time.monotonic() - begun > LOAD
            return Seen(enough and long, f"{served} replicas served, {most} connections")

        until("every replica works for users", loaded, within=60)

    worst = max(samples, key=lambda sample: sum(sample.values()))
    assert sum(worst.values()) <= bound, f"{replicas} replicas: {worst}"
    assert {role for sample in samples for role in sample} == {"desk", "healthagent"}
    assert max(sample.get("healthagent", 0) for sample in samples) == AGENT


def test_a_replica_that_is_stopped_under_traffic_fails_nobody_and_exits_0(stack: Desk) -> None:
    name = stack.replicas()[-1]
    with Traffic(stack, stack.url, 2) as traffic:
        until("the replica serves", lambda: Seen(traffic.served[name] > 0, ""), within=20)
        stack.engine.docker("stop", "--time", "30", name, timeout=60)

    assert traffic.failures == []
    state = stack.engine.inspect(name)["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    said = [json.loads(line)["message"] for line in stack.logs(name).splitlines()]
    # In between DBOS may name workflows that go on elsewhere.
    own = [line for line in said if not line.startswith("Shutting down while ")]
    assert own[-2:] == ["stopping", "stopped"], "each line on stdout is JSON; drained in order"
    stack.engine.start(name)


def test_sigterm_reaches_the_app_behind_bun_run_start(stack: Desk) -> None:
    variables = stack.engine.inspect(stack.replicas()[0])["Config"]["Env"]
    name = f"{stack.project}-by-script"
    stack.engine.docker(
        "run", "--detach", "--name", name, "--network", f"{stack.project}_default",
        *(word for pair in variables for word in ("--env", pair)), "--env", "DRAIN_MS=0",
        images.BUN, "bun", "run", "start",
    )  # fmt: skip
    try:
        until("it listens", lambda: Seen('"listening"' in stack.logs(name), ""), within=30)
        stack.engine.docker("stop", "--time", "30", name, timeout=60)
        assert stack.engine.inspect(name)["State"]["ExitCode"] == 0
        assert '"stopped"' in stack.logs(name)
    finally:
        stack.engine.remove(name)


def test_each_replica_sends_metrics_and_spans_of_its_own(stack: Desk, collector: Collector) -> None:
    url = stack.url
    wanted = {"http.server.request.duration", "db.client.connection.count", "sveltekit.handle.root"}

    def sent() -> Seen:
        stack.order(url)
        seen = collector.seen()
        each = all(seen.get(name, set()) >= wanted for name in stack.replicas())
        work = any({"fulfil", "ship", "desk.steps"} <= names for names in seen.values())
        return Seen(each and work, str(seen))

    until("metrics and spans of each replica have arrived", sent, within=30)
