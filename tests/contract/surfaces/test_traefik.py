"""What the real Traefik makes of the configuration that it is given."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from healthagent.core.report import Report
from healthagent.core.target import Traffic
from healthagent.surfaces.traefik import Routing
from healthagent.surfaces.traefik.labels import read
from healthagent.surfaces.traefik.schema import KINDS, Indexed, Leaf, Named, Shape, Switch
from tests.contract.surfaces.traefik import RULE, Stack
from tests.unit.surfaces.world import NOW, World

NOBODY = Report(NOW, settled=True)


async def test_requests_are_spread_over_ready_replicas_alone(stack: Stack, world: World) -> None:
    one, two, three = (stack.replica(world, n) for n in (1, 2, 3))
    routing = Routing().after(world.report(one, two, three))
    stack.provider.configuration = routing.configuration
    await stack.serves("app-1", "app-2", "app-3")

    sick = world.frozen("app-2").but(address="127.0.0.1", port=two.target.port, routing=RULE)
    routing = routing.after(world.report(one, sick, three))
    stack.provider.configuration = routing.configuration
    await stack.serves("app-1", "app-3")

    stack.provider.configuration = routing.after(world.report(one, two, three)).configuration
    await stack.serves("app-1", "app-2", "app-3")


async def test_with_none_ready_the_answer_is_not_now_and_never_not_found(
    stack: Stack, world: World
) -> None:
    one = stack.replica(world, 1)
    routing = Routing().after(world.report(one))
    stack.provider.configuration = routing.configuration
    await stack.serves("app-1")

    sick = world.frozen("app-1").but(address="127.0.0.1", port=one.target.port, routing=RULE)
    routing = routing.after(world.report(sick))
    stack.provider.configuration = routing.configuration
    await stack.answers(503, "no available server")

    routing = routing.after(NOBODY)
    stack.provider.configuration = routing.configuration
    await stack.polled()
    assert await stack.status() == (503, "no available server\n"), "all its containers are gone"

    stack.provider.configuration = routing.after(world.report(one)).configuration
    await stack.serves("app-1")


async def test_who_has_just_become_ready_starts_slowly(stack: Stack, world: World) -> None:
    slow = Traffic(slowstart=30.0)
    old, new = (stack.replica(world, n).but(traffic=slow) for n in (1, 2))
    routing = Routing().after(world.report(old))
    for age, shares in (0.0, (10, 1)), (15.0, (10, 5)), (30.0, (10, 10)):
        routing = routing.after(world.report(old, new, at=NOW + 100.0 + age))
        stack.provider.configuration = routing.configuration
        await stack.shares({"app-1": shares[0], "app-2": shares[1]})


async def test_an_error_of_the_agent_freezes_routing(stack: Stack, world: World) -> None:
    one, two = (stack.replica(world, n) for n in (1, 2))
    stack.provider.configuration = Routing().after(world.report(one, two)).configuration
    await stack.serves("app-1", "app-2")
    stack.provider.configuration = None
    await stack.polled()
    await stack.serves("app-1", "app-2")
    stack.provider.configuration = Routing().after(world.report(two)).configuration
    await stack.serves("app-2")


async def test_an_agent_that_watches_nobody_gives_a_configuration_that_is_taken(
    stack: Stack, world: World
) -> None:
    stack.provider.configuration = (
        Routing().after(world.report(stack.replica(world, 1))).configuration
    )
    await stack.serves("app-1")
    stack.provider.configuration = Routing().after(NOBODY).configuration
    await stack.answers(404)
    assert "Provider error" not in stack.said


async def test_the_generated_transport_soon_gives_up_on_who_takes_no_connection(
    stack: Stack, world: World
) -> None:
    with deaf() as port:
        gone = stack.replica(world, 1).but(port=port)
        stack.provider.configuration = Routing().after(world.report(gone)).configuration
        await stack.answers(504)


@contextmanager
def deaf() -> Iterator[int]:
    """A port whose accept queue is full: the kernel drops each further SYN, as if nobody was there.
    See listen(2) and tcp_abort_on_overflow in tcp(7)."""
    with ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = open_sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


async def test_every_label_that_is_passed_on_is_one_that_traefik_takes(
    stack: Stack, world: World
) -> None:
    """One unknown field would make Traefik refuse the whole configuration."""
    labels = dict(all_labels())
    assert read(labels).faults == ()
    replica = world.replica("app-1").but(routing=labels)
    routing = Routing().after(world.report(replica))
    assert routing.notices == ()
    stack.provider.configuration = routing.configuration

    async def taken() -> bool:
        return "all@http" in (await stack.http()).get("routers", {})

    await stack.until(taken, "the router that has every label there is")
    assert "cannot decode" not in stack.said
    running = await stack.http()
    middlewares = {name for name in running["middlewares"] if name.endswith("@http")}
    assert middlewares == {f"{name.lower()}@http" for name in KINDS["middlewares"]}
    balancer = running["services"]["all@http"]["loadBalancer"]
    assert balancer["healthCheck"]["interval"] == "42s"
    assert running["routers"]["all@http"]["tls"]["domains"][0]["sans"] == ["a", "b"]


@pytest.mark.parametrize("label", ["routers.app.priority=high", "routers.app.nosuch=1"])
async def test_what_is_held_back_as_a_fault_traefik_would_refuse_whole(
    stack: Stack, world: World, label: str
) -> None:
    """The other half of the contract: the faults are no invention."""
    key, _, value = label.partition("=")
    assert read({f"traefik.http.{key}": value}).faults
    configuration = json.loads(
        json.dumps(Routing().after(world.report(stack.replica(world, 1))).configuration)
    )
    configuration["http"]["routers"]["app"][key.rpartition(".")[2]] = value
    stack.provider.configuration = configuration

    async def refused() -> bool:
        await stack.http()
        return "cannot decode configuration data" in stack.said

    await stack.until(refused, "Traefik's refusal")
    assert "app@http" not in (await stack.http()).get("routers", {})


HEADER = "headers.customrequestheaders"
FREEZING = (
    {"plugin": "geo"},
    {"plugin.geo.allow.": "x"},
    {f"{HEADER}.X": "a\x7f"},
    {f"{HEADER}.X": "a\x9f"},
    {f"{HEADER}.X": "a\ufffe"},
    {f"{HEADER}.{'X' * 1100}": "a"},
    {"ipallowlist.ipstrategy": "false"},
    {"circuitbreaker.checkperiod": "9999999h"},
    {"circuitbreaker.checkperiod": "٣s"},
    {f"plugin{'.a' * 260}": "1"},
)
"""Labels of a middleware by which Traefik would refuse all, or which could not even be written."""


async def test_no_replicas_label_keeps_traefik_from_routing_the_others(
    stack: Stack, world: World
) -> None:
    odd = [
        world.replica(f"odd-{n}", f"odd{n}").but(
            routing={f"traefik.http.middlewares.odd{n}.{key}": text for key, text in labels.items()}
        )
        for n, labels in enumerate(FREEZING, 2)
    ]
    routing = Routing().after(world.report(stack.replica(world, 1), *odd))
    assert len(routing.notices) == len(FREEZING), "a notice for each, and for nothing else"
    stack.provider.configuration = routing.configuration
    await stack.serves("app-1")
    assert "Provider error" not in stack.said


@pytest.mark.parametrize(
    "middleware",
    [
        {"plugin": "geo"},
        {"plugin": {"geo": {"allow": {"": "x"}}}},
        {"headers": {"customRequestHeaders": {"X": "a\x7f"}}},
        {"headers": {"customRequestHeaders": {"X" * 1100: "a"}}},
        {"ipAllowList": {}},
        {"circuitBreaker": {"checkPeriod": "9999999h"}},
    ],
    ids=["leaf", "no name", "unprintable", "long", "empty", "duration"],
)
async def test_a_middleware_that_is_left_out_traefik_would_refuse_with_all_others(
    stack: Stack, world: World, middleware: dict[str, object]
) -> None:
    http = Routing().after(world.report(stack.replica(world, 1))).configuration["http"]
    middlewares = {**http["middlewares"], "odd": middleware}
    stack.provider.configuration = {"http": {**http, "middlewares": middlewares}}

    async def refused() -> bool:
        return "Provider error" in stack.said or "Error in Go routine" in stack.said

    await stack.until(refused, "Traefik's refusal")
    assert "app@http" not in (await stack.http()).get("routers", {})


def all_labels() -> Iterator[tuple[str, str]]:
    """Every label of the schema, each with a value that fits its place."""
    for kind in ("routers", "services"):
        for path, value in _samples(KINDS[kind]):
            yield f"traefik.http.{kind}.all.{path}", value
    for name, shape in KINDS["middlewares"].items():
        for path, value in _samples(shape):
            yield f"traefik.http.middlewares.{name.lower()}.{name}{path and '.'}{path}", value


def _samples(shape: Shape) -> Iterator[tuple[str, str]]:
    match shape:
        case Leaf.ANYTHING:
            yield "some.thing", "x"
        case Leaf():
            yield "", _SAMPLE[shape]
        case Named():
            yield "500", _SAMPLE[shape.of]
        case Switch():
            yield "", "true"
            yield from _samples(shape.of)
        case Indexed():
            for path, value in _samples(shape.of):
                yield f"[0].{path}", value
        case _:
            for name, of in shape.items():
                for path, value in _samples(of):
                    dot = "." if path and not path.startswith("[") else ""
                    yield f"{name}{dot}{path}", value


_SAMPLE = {
    Leaf.TEXT: "text",
    Leaf.NUMBER: "42",
    Leaf.FLAG: "true",
    Leaf.LIST: "a, b",
    Leaf.DURATION: "42s",
}
