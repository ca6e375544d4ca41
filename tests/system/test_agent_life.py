"""The agent's own life: it ends in time whatever hangs, and its death changes nothing."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from urllib.parse import urlsplit

import pytest

from examples.quickstart.tour import web
from examples.quickstart.tour.condition import Seen, until
from tests.system.agent import AgentProcess
from tests.system.client import WITHIN, AgentClient
from tests.system.conftest import StartAgent
from tests.system.quickstart import ROUNDS, Quickstart
from tests.system.soonest import soonest
from tests.system.test_discovery import wire
from tests.system.wire import Wire, end

__all__ = ["wire"]

STOPS_WITHIN = 2.0


def test_sigterm_ends_the_agent_in_time_and_its_open_streams(
    stack: Quickstart, start_agent: StartAgent
) -> None:
    def stop_one() -> float:
        process = start_agent()
        process.client.wait_until_ready(stack.replicas, within=WITHIN)
        with stream(process.client) as events:
            taken = process.terminate()
            events.read()  # http.client raises IncompleteRead where a stream is cut and not ended
        assert_last_words(process)
        return taken

    assert_in_time(stop_one)


def test_sigterm_ends_the_agent_in_time_though_all_that_it_asks_hangs(
    stack: Quickstart, start_agent: StartAgent, wire: Wire
) -> None:
    def stop_one() -> float:
        wire.mend()
        process = start_agent(HEALTHAGENT_DOCKER_HOST=f"unix://{wire.path}")
        agent, replica = process.client, stack.replicas[0]
        agent.wait_until_ready(stack.replicas, within=WITHIN)
        with stream(agent), stack.frozen(replica), paused(stack, stack.container("postgres")):
            wire.hang()
            agent.wait_for_check(replica, "event_loop", "failed", within=WITHIN)
            agent.wait_for_check(replica, "postgres", "failed", "timeout", within=WITHIN)
            taken = process.terminate()
        assert_last_words(process)
        return taken

    assert_in_time(stop_one)


def assert_in_time(stop_one: Callable[[], float]) -> None:
    taken = soonest(stop_one, within=STOPS_WITHIN)
    assert taken < STOPS_WITHIN, f"it took {taken:.2f} s"


def assert_last_words(process: AgentProcess) -> None:
    said = [line["message"] for line in process.lines]
    assert "SIGTERM: stopping" in said
    assert said[-1] == "healthagent has stopped; routing stays as it was"


@contextmanager
def stream(agent: AgentClient) -> Iterator[http.client.HTTPResponse]:
    """An open reader of /events."""
    connection = http.client.HTTPConnection(urlsplit(agent.url).netloc, timeout=10)
    try:
        connection.request("GET", "/events")
        yield connection.getresponse()
    finally:
        connection.close()


@contextmanager
def paused(stack: Quickstart, container: str) -> Iterator[None]:
    stack.engine.pause(container)
    try:
        yield
    finally:
        stack.engine.docker("unpause", container)


def test_the_agents_death_and_return_cost_not_one_request(stack: Quickstart) -> None:
    traefik, agent = stack.container("traefik"), stack.container("agent")
    lives, refused = stack.lives(), stack.logs(traefik).count("Provider error")

    def served_by() -> set[str]:
        answers = web.answering(stack.url, ROUNDS)
        assert set(answers) <= set(stack.replicas), f"a request was lost: {dict(answers)}"
        return set(answers)

    def asked_in_vain(times: int) -> Seen:
        told = served_by()
        errors = stack.logs(traefik).count("Provider error") - refused
        return Seen(errors >= times, f"{errors} polls failed; served by {told}")

    def settled_again() -> Seen:
        told = served_by()
        answer = stack.agent.get("/traefik")
        return Seen(answer.status == 200, f"/traefik answers {answer.status}; served by {told}")

    stack.engine.docker("kill", "--signal", "KILL", agent)
    until("Traefik asked the dead agent", lambda: asked_in_vain(1), within=WITHIN)
    kept = served_by()
    until("Traefik asked it again and again", lambda: asked_in_vain(3), within=WITHIN)
    assert served_by() == kept, "routing changed with nobody there to change it"

    stack.start_agent()
    until("the agent is back and has judged all", settled_again, within=WITHIN)
    served_by()
    stack.agent.wait_until_ready(stack.replicas, within=WITHIN)
    assert stack.lives() == lives, "a replica was restarted for the agent's sake"


def test_a_new_agent_tells_traefik_nothing_until_it_has_judged_every_replica(
    stack: Quickstart, start_agent: StartAgent
) -> None:
    frozen = stack.replicas[0]
    others = sorted(stack.server(replica) for replica in stack.replicas[1:])

    with stack.frozen(frozen):
        # Two looks at the frozen one end unanswered before it is judged: time to ask in between,
        # where an answer may take as long as the client waits for it.
        agent = start_agent(HEALTHAGENT_DEFAULTS_TIMEOUT="5s").client
        answers: dict[str, list[int]] = {"/traefik": [], "/readyz": []}

        def settled() -> Seen:
            for path, statuses in answers.items():
                statuses.append(agent.get(path).status)
            return Seen(all(statuses[-1] == 200 for statuses in answers.values()), str(answers))

        until("all are judged", settled, within=WITHIN)
        for path, statuses in answers.items():
            told = [status for status, _ in groupby(statuses) if status != web.NO_ANSWER]
            assert told[0] == 503, f"{path}: {frozen} cannot have been judged yet: {statuses}"
            assert set(told[:-1]) == {503}, f"{path}: not before all are judged: {statuses}"
        assert sorted(agent.routed()) == others, "the first configuration is a whole one"


def test_every_line_of_the_agents_output_is_one_json_object(
    stack: Quickstart, start_agent: StartAgent
) -> None:
    process = start_agent(HEALTHAGENT_LOG_LEVEL="debug")
    process.client.wait_until_ready(stack.replicas, within=WITHIN)
    process.terminate()

    for line in process.lines:
        assert {"time", "level", "event", "message"} <= line.keys(), line
    transitions = [line for line in process.lines if line["event"] == "transition"]
    assert {line["target"] for line in transitions} == set(stack.replicas)


@pytest.fixture
def dead_collector() -> Iterator[tuple[str, list[float]]]:
    """The URL of a port where every connection is ended unanswered, and how many there were."""
    tried: list[float] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        with suppress(OSError):  # the listener is ended
            while True:
                end(listener.accept()[0])
                tried.append(1)

    threading.Thread(target=refuse, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", tried
    end(listener)


def test_a_dead_collector_costs_one_warning_however_often_it_is_asked(
    stack: Quickstart, start_agent: StartAgent, dead_collector: tuple[str, list[float]]
) -> None:
    url, tried = dead_collector

    process = start_agent(
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
        OTEL_EXPORTER_OTLP_TIMEOUT="1000",
        OTEL_METRIC_EXPORT_INTERVAL="200",
        OTEL_BLRP_SCHEDULE_DELAY="100",
    )
    process.client.wait_until_ready(stack.replicas, within=WITHIN)
    until(
        "several exports were tried",
        lambda: Seen(len(tried) >= 6, f"{len(tried)} connections"),
        within=WITHIN,
    )
    process.terminate()

    warnings = [text for text in process.messages("warning") if "collector" in text]
    assert len(warnings) == 1, warnings
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in warnings[0], "the warning names the variable"
