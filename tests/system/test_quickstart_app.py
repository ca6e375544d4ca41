"""What the quickstart's own app promises where Postgres or Docker do what they may do."""

from __future__ import annotations

from pathlib import Path

from examples.quickstart.tour.condition import Seen, until
from healthagent.sources.procfs import parse
from tests.system.client import WITHIN
from tests.system.quickstart import Quickstart


def test_it_outlives_a_connection_that_it_holds_between_two_queries(stack: Quickstart) -> None:
    """It does so while it migrates: one holds the lock, and the queries are made on another."""
    with stack.another_replica("late", {"healthagent.dbos.executor": "{container_name}"}) as late:
        sessions = f"FROM pg_stat_activity WHERE host(client_addr) = '{stack.address(late)}'"

        def migrates() -> Seen:
            found = stack.query(f"SELECT application_name, wait_event_type, query {sessions}")
            return Seen(any(kind == "Lock" for _, kind, _ in found), str(found))

        with stack.connect() as session, session.transaction():
            session.execute("LOCK TABLE dbos.dbos_migrations")
            until(f"{late} waits for the table of migrations", migrates, within=WITHIN)
            ended = stack.query(
                f"SELECT pg_terminate_backend(pid) {sessions} AND query LIKE '%advisory_lock%'"
            )
            assert ended == [(True,)]

        stack.agent.wait_until_ready([*stack.replicas, late], within=WITHIN)


def test_it_hears_sigterm_before_it_serves(stack: Quickstart) -> None:
    """On Docker's default bridge nobody tells it its name, which it asks for first, for seconds."""
    with stack.another_replica("early", {"healthagent.enable": "false"}, network="bridge") as early:
        status = Path(f"/proc/{stack.engine.inspect(early)['State']['Pid']}/status")

        def hears() -> Seen:
            read = parse.status(status.read_bytes())
            return Seen(read.catches_sigterm is True, f"{read}")

        until(f"{early} has a handler for SIGTERM", hears, within=WITHIN)
        assert "listening" not in stack.logs(early), "until then Docker's SIGTERM was lost on it"
        stack.engine.docker("stop", early)
        assert stack.engine.inspect(early)["State"]["ExitCode"] == 0
