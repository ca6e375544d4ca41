"""The way back from Bun to Node and forward again, while shops order."""

from __future__ import annotations

import uuid
from collections import Counter

from benchmarks.acceptance.desk import Desk, orders
from examples.quickstart.tour.condition import Seen, until
from provision import desk as images
from tests.system.acting import act
from tests.system.client import AgentClient
from tests.system.load import Load

REPLICAS = 2
LONGEST = 90.0
PAGES, ORDERS = 3.0, 1.0
"""A second: a page costs a busy machine more than /livez, and an order is worked on for 1.6 s."""


def test_a_service_goes_back_to_node_and_forward_again_and_loses_nothing(
    order_desk: Desk, node: str
) -> None:
    order_desk.scale(REPLICAS)
    order_desk.wait_until_ready(REPLICAS, within=LONGEST)
    agent, names = f"{order_desk.project}-agent-1", order_desk.replicas()
    client = AgentClient(order_desk.agent_url)
    before, mark = runtimes(order_desk), client.mark()
    back = ("app", "--image", node, "--label", "healthagent.runtime=node", "--env", "DRAIN_MS=100")

    rehearsed = act(order_desk.engine, agent, "rollback", *back, "--rehearse")
    assert rehearsed.code == 0, str(rehearsed)
    assert "nothing speaks against it: 2 replicas, 2 ready" in rehearsed.last
    assert runtimes(order_desk) == before, "a rehearsal changes nothing"

    url = order_desk.url
    placed: list[str] = []

    def an_order() -> dict[str, object]:
        placed.append(str(uuid.uuid4()))
        return {"id": placed[-1], "sku": "card", "customer": "Ada", "quantity": 1}

    pages, ready = Load(f"{url}/north", PAGES), Load(f"{url}/readyz", PAGES)
    ordered = Load(f"{url}/north/orders", ORDERS, an_order)
    with pages, ready, ordered:
        gone_back = act(order_desk.engine, agent, "rollback", *back)
        under_node = runtimes(order_desk)
        checks = client.targets()
        forward = act(
            order_desk.engine, agent, "roll", "app", "--image", images.BUN,
            "--label", "healthagent.runtime=bun", "--env", "DRAIN_MS=3000",
        )  # fmt: skip

    assert gone_back.code == 0, str(gone_back)
    assert gone_back.steps[-1]["verb"] == "rollback"
    assert under_node == dict.fromkeys(names, "node")
    judged = {name: target["settings"]["runtime"]["value"] for name, target in checks.items()}
    assert judged == under_node, "it is judged by the runtime that it has"
    assert forward.code == 0, str(forward)
    assert runtimes(order_desk) == dict.fromkeys(names, "bun") == before
    transitions = client.since(mark)
    for load, answer in ((pages, "200"), (ready, "200"), (ordered, "202")):
        what = f"{load.answers} {load.said}\n{gone_back}\n{forward}"
        assert load.lost_in_spite_of(transitions) == {}, what
        assert load.answers[answer] > 0

    executors = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name LIKE"
    found = order_desk.query(f"{executors} 'dbos\\_transact%' ORDER BY 1")
    assert found == [(f"dbos_transact_{name}_1.0.0",) for name in names], "under their old ids"

    def shipped() -> Seen:
        with order_desk.connect() as connection:
            states = Counter(order.state for order in orders(connection, placed).values())
        taken = ordered.answers["202"]
        return Seen(states.total() == states["shipped"] >= taken, f"{states} of {taken}")

    until("every order that was taken is shipped", shipped, within=LONGEST)


def runtimes(order_desk: Desk) -> dict[str, str]:
    """By replica what its first process is."""
    command = {name: order_desk.engine.inspect(name)["Path"] for name in order_desk.replicas()}
    args = {name: order_desk.engine.inspect(name)["Args"] for name in command}
    return {name: next(w for w in [command[name], *args[name]] if w in ("bun", "node"))
            for name in command}  # fmt: skip
