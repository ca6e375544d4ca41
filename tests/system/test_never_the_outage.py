"""The seventh law on real replicas: what only the agent sees, and sees of all, takes nobody out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.quickstart.tour import web
from examples.quickstart.tour.condition import Seen, until
from tests.system.client import WITHIN, Document
from tests.system.modes.replica import Replica, Spec
from tests.system.modes.server import Server
from tests.system.quickstart import ROUNDS, Quickstart

SERVICE = "seventh"

LABELS = {
    "healthagent.pool.prisma": "4",
    "healthagent.pool.dbos": "1",
    "healthagent.dbos.executor": "{container_name}",
    "healthagent.enforce": "pool,dbos",
    "healthagent.grace": "2s",
    f"traefik.http.routers.{SERVICE}.rule": f"PathPrefix(`/{SERVICE}`)",
    f"traefik.http.services.{SERVICE}.loadbalancer.server.port": "3000",
}


class Pair:
    """Both replicas of a service."""

    def __init__(self, stack: Quickstart, database_url: str) -> None:
        self.stack = stack
        self.first, self.second = (
            Replica(
                stack,
                f"{SERVICE}-{number}",
                Spec(environment={"DATABASE_URL": database_url}, labels=LABELS),
                service=SERVICE,
            )
            for number in (1, 2)
        )

    @property
    def names(self) -> list[str]:
        return [self.first.name, self.second.name]

    def targets(self) -> list[Document]:
        told = self.stack.agent.targets()
        return [told.get(name, {}) for name in self.names]

    def wait_until_all_fail(self, check: str, code: str) -> None:
        for name in self.names:
            self.stack.agent.wait_for_check(name, check, "failed", code, within=WITHIN)

    def wait_until_served_by_both(self) -> None:
        """Through Traefik, and with not one request lost once it is so."""

        def look() -> Seen:
            routed = set(self.stack.agent.routed())
            servers = {self.stack.server(name) for name in self.names}
            answer = web.get(f"{self.stack.url}/{SERVICE}")
            return Seen(servers <= routed and answer.status == 200, f"{routed}; {answer}")

        until("both are routed", look, within=WITHIN)
        lost = [
            answer
            for answer in (web.get(f"{self.stack.url}/{SERVICE}") for _ in range(ROUNDS))
            if answer.status != 200
        ]
        assert not lost, f"requests were lost: {lost}"


@pytest.fixture(scope="module")
def pair(quickstart: Quickstart) -> Iterator[Pair]:
    """Two replicas that declare executors of which Postgres shows nothing, in a service beside the
    quickstart's own. Their Postgres has room for all that they take."""
    server = Server(quickstart, SERVICE, 60)
    try:
        server.start()
        server.prepare()
        both = Pair(quickstart, server.create_database(SERVICE))
        for replica in (
            both.first,
            both.second,
        ):  # one after the other, as each makes DBOS's tables
            replica.start()
            replica.wait_until_up()
        yield both
    finally:
        quickstart.heal()


def assert_loud(pair: Pair, check: str) -> None:
    """Served, excused, and said of each."""
    agent = pair.stack.agent
    pair.wait_until_served_by_both()
    for name, target in zip(pair.names, pair.targets(), strict=True):
        assert agent.check(name, check)["excused"], f"{check} of {name} would hit all"
        assert target["ready"]
        assert target["phase"] == "degraded", target
    health = agent.document("/health")
    assert health["status"] == "warn"
    assert all(f"{name} is degraded" in health["output"] for name in pair.names)
    assert agent.get(f"/services/{SERVICE}/readyz").status == 200


def test_executors_of_which_nobody_sees_any_take_no_service_out(pair: Pair) -> None:
    pair.wait_until_all_fail("dbos", "not_registered")
    assert_loud(pair, "dbos")


def test_replicas_that_are_all_over_their_pool_are_all_served(pair: Pair) -> None:
    for replica in (pair.first, pair.second):
        replica.ask("leak")
    pair.wait_until_all_fail("pool", "over_declared")
    assert_loud(pair, "pool")
