"""Work that was begun is finished, and takes effect once, however its replica ended."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterable
from typing import Any, Self

import psycopg

from benchmarks.acceptance.desk import STEPS, Desk, Order, orders, stocked
from examples.quickstart.tour.condition import Seen, until
from tests.system.sveltekit.conftest import REPLICAS

POINTS = list(itertools.product(STEPS, (False, True)))
"""A step, and whether it had taken effect already when its replica was killed."""

FINISHED = 120.0
STILL = 2.0
"""Seconds without a step of any order, after which no more will come to where they are held."""

HOLDS = 1893
"""The first key of the advisory locks by which Postgres shows who is held."""

HEIR = 2_718_281
"""The key of the advisory lock under which the order desk takes over, in its heirs.ts."""

INSTALL = f"""
CREATE TABLE held (number int GENERATED ALWAYS AS IDENTITY, id text, step text, done text);
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public AS $$
DECLARE
    this held;
    row jsonb := to_jsonb(NEW);
BEGIN
    SELECT * INTO this FROM held
    WHERE id = row ->> TG_ARGV[0] AND step = row ->> TG_ARGV[1] AND done = TG_ARGV[2];
    IF FOUND THEN
        PERFORM pg_advisory_xact_lock_shared({HOLDS}, this.number);
        WHILE EXISTS (SELECT FROM held WHERE number = this.number) LOOP
            PERFORM pg_sleep(0.05);
        END LOOP;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hold BEFORE INSERT ON effect
FOR EACH ROW EXECUTE FUNCTION hold('order_id', 'step', 'False');
CREATE TRIGGER hold BEFORE INSERT ON dbos.operation_outputs
FOR EACH ROW EXECUTE FUNCTION hold('workflow_uuid', 'function_name', 'True');
"""

REMOVE = """
LOCK TABLE effect, dbos.operation_outputs;  -- first, as whoever inserts there does
DROP TABLE held CASCADE;
DROP FUNCTION hold CASCADE;
"""

ASLEEP = f"""
SELECT held.id FROM held JOIN pg_locks ON held.number = pg_locks.objid
WHERE pg_locks.classid = {HOLDS} AND pg_locks.granted
"""


def test_killed_at_any_point_and_recreated_the_work_is_done_once(stack: Desk) -> None:
    """Every point of every step has an order of its own, held there by Postgres until the replica
    that works on it is killed, its container removed, and made anew by Compose."""
    killed: dict[str, tuple[str, bool]] = {}

    with stack.connect() as connection, Holds(connection) as holds:
        stock = stocked(connection)
        points = dict(zip((str(uuid.uuid4()) for _ in POINTS), POINTS, strict=True))
        everybody = list(points)
        for id_, (step, done) in points.items():
            holds.add(id_, step, done)
        for id_ in points:
            place(stack, id_)

        while waiting := points.keys() - killed.keys():
            held = holds.wait_for(waiting)
            for replica in {one.executor for one in held.values()}:
                address = stack.address(replica)
                stack.kill(replica)
                stack.remove(replica)
                holds.forget(address)
            for id_ in held:
                assert at(orders(connection, [id_])[id_]) == points[id_]
                killed[id_] = points[id_]
                holds.remove(id_)
            stack.scale(REPLICAS)

        def recorded() -> Seen:
            said = dict(stack.query("SELECT workflow_uuid, status FROM dbos.workflow_status"))
            statuses = {id_: said.get(id_) for id_ in everybody}
            return Seen(statuses == dict.fromkeys(everybody, "SUCCESS"), str(statuses))

        def finished() -> Seen:
            found = orders(connection, everybody)
            return Seen(all(one.state == "shipped" for one in found.values()), str(found))

        until("every order is shipped", finished, within=FINISHED)
        # One that was killed behind its last effect is shipped, and has that step before it still.
        until("DBOS has each as one workflow that succeeded", recorded, within=30)
        found = orders(connection, everybody)
        left = stocked(connection)

    assert sorted(killed.values()) == sorted(POINTS)
    for id_, one in found.items():
        assert one.effects == dict.fromkeys(STEPS, 1), f"{id_}: each step took effect once"
        assert set(one.attempts) == set(STEPS), f"{id_}: each step ran at least once"
    for id_, (step, _) in killed.items():
        assert found[id_].attempts[step] > 1, f"{id_} was killed in {step}, which ran anew"
    assert left == stock, "goods were taken from stock once"


class Holds:
    """Triggers that hold chosen orders at chosen points, as a slow disk would: before a step takes
    effect, or after it did and before DBOS has recorded its end."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        self._connection.execute(INSTALL)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.execute("DELETE FROM held")  # whoever is held keeps a lock on the triggers
        self._connection.execute(REMOVE)

    def add(self, id_: str, step: str, done: bool) -> None:
        self._connection.execute(
            "INSERT INTO held (id, step, done) VALUES (%s, %s, %s)", (id_, step, str(done))
        )

    def remove(self, id_: str) -> None:
        self._connection.execute("DELETE FROM held WHERE id = %s", (id_,))

    def wait_for(self, waiting: Iterable[str]) -> dict[str, Order]:
        """The orders that are where they are held: all of these, or those that are once none moves.

        One that is held after its effect holds a connection of DBOS's small pool too, for which
        another may have to wait.
        """
        wanted = list(waiting)
        held: list[str] = []
        found: dict[str, Order] = {}
        moved_at = time.monotonic()

        def look() -> Seen:
            nonlocal held, found, moved_at
            before = (held, found)
            held = [id_ for (id_,) in self._connection.execute(ASLEEP) if id_ in wanted]
            found = orders(self._connection, wanted)
            if (held, found) != before:
                moved_at = time.monotonic()
            still = time.monotonic() - moved_at > STILL
            return Seen(len(held) == len(wanted) or (bool(held) and still), str(found))

        until("an order is where it is held", look, within=FINISHED)
        return {id_: found[id_] for id_ in held}

    def forget(self, address: str) -> None:
        """End what Postgres still does for a replica that is gone, as it would by itself later."""
        self._connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE host(client_addr) = %s", (address,),
        )  # fmt: skip


def at(order: Order) -> tuple[str, bool] | None:
    """The step that an order is in, and whether it has taken effect."""
    step = next((step for step in reversed(STEPS) if step in order.attempts), None)
    return None if step is None else (step, step in order.effects)


def place(stack: Desk, id_: str) -> None:
    def look() -> Seen:
        answer = stack.order(stack.url, id_=id_)
        return Seen(answer.status == 202, f"{answer.status} {answer.body}")

    until("an order is taken", look, within=30)


def test_the_work_of_a_replica_that_never_comes_back_is_taken_over(stack: Desk) -> None:
    with stack.connect() as connection:
        id_, lost = leave_behind(stack, connection)
        wait_until_shipped(connection, id_)
        one = orders(connection, [id_])[id_]

    assert one.executor != lost
    assert one.effects == dict.fromkeys(STEPS, 1)
    assert one.attempts["pack"] == 2


def test_who_takes_over_outlives_the_connection_that_it_holds_meanwhile(stack: Desk) -> None:
    """It holds a lock on one, and asks DBOS on another. With nobody who listens for what happens to
    the first, its loss ended the process."""
    heir = f"FROM pg_locks WHERE locktype = 'advisory' AND objid = {HEIR} AND granted"
    with stack.connect() as connection:
        id_, lost = leave_behind(stack, connection)
        others = [replica for replica in stack.replicas() if replica != lost]
        lives = {replica: started(stack, replica) for replica in others}

        def takes_over() -> Seen:
            found = connection.execute(f"SELECT pid {heir}").fetchall()
            return Seen(len(found) == 1, f"{len(found)} hold the lock")

        with stack.connect() as session, session.transaction():
            session.execute(
                "SELECT FROM dbos.workflow_status WHERE workflow_uuid = %s FOR UPDATE", (id_,)
            )
            until("a replica is about to take over", takes_over, within=FINISHED)
            ended = connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {heir}").fetchall()
            assert ended == [(True,)]

        wait_until_shipped(connection, id_)

    assert {replica: started(stack, replica) for replica in others} == lives, "nobody's life ended"


def leave_behind(stack: Desk, connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[str, str]:
    """An order in the middle of its work, whose replica is gone for good: the id, the replica."""
    id_ = str(uuid.uuid4())
    with Holds(connection) as holds:
        holds.add(id_, "pack", done=True)
        place(stack, id_)
        lost = holds.wait_for([id_])[id_].executor
        address = stack.address(lost)
        stack.kill(lost)
        stack.remove(lost)
        holds.forget(address)
    return id_, lost


def wait_until_shipped(connection: psycopg.Connection[tuple[Any, ...]], id_: str) -> None:
    def shipped() -> Seen:
        one = orders(connection, [id_])[id_]
        return Seen(one.state == "shipped", str(one))

    until("another replica ships the order", shipped, within=FINISHED)


def started(stack: Desk, replica: str) -> str:
    return str(stack.engine.inspect(replica)["State"]["StartedAt"])


def test_the_same_order_sent_twice_is_one_order(stack: Desk) -> None:
    url, id_ = stack.url, str(uuid.uuid4())
    answers = [stack.order(url, id_=id_) for _ in range(3)]

    assert {answer.status for answer in answers} == {202}
    assert {json.loads(answer.body)["id"] for answer in answers} == {id_}
    assert stack.query(f"SELECT count(*) FROM orders WHERE id = '{id_}'") == [(1,)]
    assert stack.query(
        f"SELECT count(*) FROM dbos.workflow_status WHERE workflow_uuid = '{id_}'"
    ) == [(1,)]
