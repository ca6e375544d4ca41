"""The acts in which replicas die with work in hand: who goes on with it, and how often it is done.

Two ways lead on. DBOS puts the work of an executor back into the queue when a process with its id
starts again; and the app's heirs do so for an executor that stays away (``heirs.ts``). Either would
hide that the other does not work: so the acts that are about the first have no heirs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from benchmarks.acceptance.acts import Outcome, outcome, placed
from benchmarks.acceptance.desk import STEPS, Desk
from examples.quickstart.tour.condition import Seen, until

HEIRS: Final = "5000"
"""Milliseconds after which others take over, where they may."""
NO_HEIRS: Final = "3600000"
"""And where they may not: longer than the whole run."""
_READY: Final = 180.0
_FINISHED: Final = 180.0
_EACH: Final = 16
"""Orders for each replica, which works on four of them at a time, for 1.6 s each."""


@dataclass(frozen=True, slots=True)
class Healed:
    """One process killed, and nothing else done: Docker's restart policy is what heals it."""

    held: int
    """Orders that it had begun."""
    same_container: bool
    restarts: int
    """How often Docker started it again."""
    seconds: float
    """From the kill until all replicas were ready again."""
    orders: Outcome


@dataclass(frozen=True, slots=True)
class Recreated:
    """Every container killed and removed; then one made anew, then the others, by their names."""

    held: Mapping[str, int]
    """By executor the orders that it had begun when it was killed."""
    first: str
    """The replica that was back alone."""
    kept: Mapping[str, int]
    """What each executor still held when that one had nothing to do any more."""
    back: tuple[str, ...]
    """The replicas in the end."""
    orders: Outcome

    @property
    def by_its_own(self) -> bool:
        """Whether each went on with its own work alone: the first with all of what it had begun and
        nothing of what others had, and those when they came back under their names."""
        others = {name: count for name, count in self.held.items() if name != self.first}
        return (
            self.first in self.held
            and len(others) > 0
            and dict(self.kept) == others
            and set(self.back) == set(self.held)
        )


def let_inherit(desk: Desk, after: str) -> None:
    """Have the app's heirs take over what an executor left behind for so many milliseconds.

    What was left so far is taken over first, where they may.
    """
    until("earlier work is done", partial(_idle, desk), within=_FINISHED)
    replicas = len(desk.replicas())
    desk.let(ORPHANED_MS=after)
    desk.up(replicas)
    desk.wait_until_ready(replicas, within=_READY)


def healed(desk: Desk) -> Healed:
    """SIGKILL to the process of a replica that works; then hands off."""
    replicas = desk.replicas()
    accepted = _everybody_works(desk)
    victim = replicas[0]
    before, begun = desk.engine.inspect(victim), time.monotonic()
    desk.kill(victim)
    held = Counter(_pending(desk).values())[victim]

    def started_again() -> Seen:
        state = desk.engine.inspect(victim)
        again = state["RestartCount"] > before["RestartCount"] and state["State"]["Running"]
        return Seen(again, str(state["State"]))

    until("Docker has started it again", started_again, within=_READY)
    desk.wait_until_ready(len(replicas), within=_READY)
    seconds = time.monotonic() - begun
    after = desk.engine.inspect(victim)
    return Healed(
        held=held,
        same_container=after["Id"] == before["Id"],
        restarts=after["RestartCount"] - before["RestartCount"],
        seconds=seconds,
        orders=outcome(desk, accepted),
    )


def recreated(desk: Desk) -> Recreated:
    """Kill and remove every replica, so that none is left, and have Compose make them anew."""
    replicas = desk.replicas()
    accepted = _everybody_works(desk)
    for name in replicas:
        desk.kill(name)
        desk.remove(name)
    held = Counter(_pending(desk).values())
    desk.scale(1)  # not to be waited for: it is degraded, as long as others' work lies there
    (first,) = desk.replicas()
    until("the one that is back has done what it can", partial(_rests, desk, first),
          within=_FINISHED)  # fmt: skip
    kept = Counter(_pending(desk).values())
    desk.scale(len(replicas))
    desk.wait_until_ready(len(replicas), within=_READY)
    return Recreated(held, first, kept, tuple(desk.replicas()), outcome(desk, accepted))


def taken_over(desk: Desk) -> Outcome:
    """Give every replica work, kill one after the other, and have Compose make it anew: those in
    the middle under another number, so that their work is left to heirs."""
    replicas = desk.replicas()
    accepted = _everybody_works(desk)
    for name in replicas:
        desk.kill(name)
        desk.remove(name)
        desk.scale(len(replicas))
        time.sleep(0.3)  # not a wait for something: the next one dies a little further on
    desk.wait_until_ready(len(replicas), within=_READY)
    return outcome(desk, accepted)


def _everybody_works(desk: Desk) -> list[str]:
    """Place orders, and wait until every replica is in the middle of one; return their ids."""
    replicas = desk.replicas()
    until("earlier work is done", partial(_idle, desk), within=_FINISHED)
    accepted = placed(desk, desk.url, _EACH * len(replicas))

    def all_work() -> Seen:
        working = _in_the_middle(desk)
        return Seen(working == set(replicas), str(working))

    until("every replica works", all_work, within=_FINISHED)
    return accepted


def _in_the_middle(desk: Desk) -> set[str]:
    """The executors that are in a step of an order, and not in its last one: killed now, they leave
    a step half done."""
    rows = desk.query(
        "SELECT DISTINCT executor_id FROM dbos.workflow_status WHERE status = 'PENDING'"
        " AND EXISTS (SELECT FROM attempt WHERE order_id::text = workflow_uuid)"
        f" AND NOT EXISTS (SELECT FROM attempt WHERE order_id::text = workflow_uuid"
        f" AND step = '{STEPS[-1]}')"
    )
    return {executor for (executor,) in rows}


def _pending(desk: Desk) -> dict[str, str]:
    """By workflow that was begun and is not done the executor that has begun it."""
    return dict(
        desk.query(
            "SELECT workflow_uuid, executor_id FROM dbos.workflow_status WHERE status = 'PENDING'"
        )
    )


def _rests(desk: Desk, executor: str) -> Seen:
    """Nothing waits, and the executor has nothing in hand."""
    open_ = _open(desk)
    busy = [row for row in open_ if row[0] == "ENQUEUED" or row[1] == executor]
    return Seen(not busy, str(open_))


def _idle(desk: Desk) -> Seen:
    open_ = _open(desk)
    return Seen(not open_, str(open_))


def _open(desk: Desk) -> list[tuple[Any, ...]]:
    """Workflows that are not done: status, executor, and how many."""
    return desk.query(
        "SELECT status, executor_id, count(*) FROM dbos.workflow_status"
        " WHERE status IN ('ENQUEUED', 'PENDING') GROUP BY 1, 2"
    )
