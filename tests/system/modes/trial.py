"""Tries all modes: each on its replica, the lanes side by side, the healthy neighbours watched."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.system.client import BUSY
from tests.system.modes.feed import Feed, Told
from tests.system.modes.lanes import SIBLING, lanes
from tests.system.modes.replica import Replica
from tests.system.modes.table import Mode, stay
from tests.system.quickstart import Quickstart

LANES_AT_ONCE = 11
NAMED = 60.0
"""Seconds within which a fault has its name; ``make bench-detect`` tells how soon it has."""

WELL = 120.0
"""Seconds within which a replica is ready, at first and after it was healed."""

ATTEMPTS = 5

OF_A_SERVER = ("over_planned", "nearly_exhausted", "exhausted", "foreign_holders")
"""What all replicas that share a Postgres are told, since it is about the sum."""

WELL_STATES = ("ok", "ready", "starting", "absent")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one mode: seconds from the fault to its reason and from the cure to ready, or
    what was wrong.

    ``may_be_chance`` marks that a neighbour was slow, and nothing else was wrong: a busy machine
    does that by itself. What the fault does to neighbours it does at every attempt.
    """

    mode: Mode
    detected: float | None
    healed: float | None
    wrong: str = ""
    may_be_chance: bool = False


def try_all(
    stack: Quickstart, modes: Sequence[Mode], report: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Every mode's outcome, in the table's order; ``report`` hears of each at once."""
    by_lane: dict[str, list[Mode]] = defaultdict(list)
    for mode in modes:
        by_lane[mode.lane].append(mode)
    with Feed(stack.agent.url) as feed, lanes(stack) as replicas:
        sibling = replicas[SIBLING].name
        trial = _Trial(feed, frozenset(stack.replicas), sibling, report)
        trial.is_well(replicas[SIBLING])  # or what it says at its start were held against others
        with ThreadPoolExecutor(LANES_AT_ONCE) as pool:
            runs = [
                pool.submit(trial.lane, replicas[lane], by_lane[lane])
                for lane in sorted(by_lane, key=lambda lane: _length(by_lane[lane]), reverse=True)
            ]
            outcomes = [outcome for run in runs for outcome in run.result()]
        told = {outcome.mode.name: outcome for outcome in outcomes}
    return [told[mode.name] for mode in modes]


@dataclass(frozen=True, slots=True)
class _Trial:
    feed: Feed
    neighbours: frozenset[str]
    sibling: str
    report: Callable[[Outcome], None]

    def lane(self, replica: Replica, modes: Sequence[Mode]) -> list[Outcome]:
        outcomes = []
        mark = 0
        for mode in modes:
            for attempt in range(ATTEMPTS):
                outcome = self._outcome(replica, mode, mark)
                mark = self.feed.mark
                self.report(outcome)
                if not outcome.may_be_chance or attempt + 1 == ATTEMPTS:
                    break
            outcomes.append(outcome)
        replica.remove()  # what is over takes no part of the machine any more
        return outcomes

    def _outcome(self, replica: Replica, mode: Mode, mark: int) -> Outcome:
        if not self.is_well(replica, mark):
            return Outcome(mode, None, None, f"not ready before: {self._last(replica)}")
        before = self.feed.mark
        replica.struck_at = time.time()
        named, last, broken = None, "", ""
        try:
            mode.inject(replica)
            named = self.feed.wait(before, lambda told: _names(told, replica, mode), NAMED)
            last = self._last(replica)
        except Exception as error:
            broken = f"could not be inflicted: {error!r}"
        struck_at = replica.struck_at
        # What needs no cure may be ready by now.
        after, healed_at = before if mode.heal is stay else self.feed.mark, time.time()
        try:
            mode.heal(replica)
        except Exception as error:
            broken = broken or f"could not be healed: {error!r}"
            replica.restore()
        ready = self.feed.wait(after, lambda told: _is_ready(told, replica), WELL)
        broken = broken or self._wrong(named, ready, last, self._last(replica))
        touched = self._touched(mode, before)
        return Outcome(
            mode,
            named.at - struck_at if named else None,
            ready.at - healed_at if ready else None,
            broken or touched,
            may_be_chance=not broken and bool(touched) and mode.code in BUSY,
        )

    @staticmethod
    def _wrong(named: Told | None, ready: Told | None, last: str, now: str) -> str:
        if named is None:
            return f"not named so; last seen: {last}"
        if ready is None:
            return f"not ready after it was healed: {now}"
        return ""

    def _touched(self, mode: Mode, before: int) -> str:
        """The first healthy neighbour that was told to have the fault."""
        if mode.code == "ok":
            return ""
        healthy = self.neighbours
        if mode.code not in OF_A_SERVER:
            healthy |= {self.sibling}
        touched = [
            told
            for told in self.feed.since(before)
            if told.target in healthy and (told.check, told.code) == (mode.check, mode.code)
        ]
        return f"a healthy neighbour: {touched[0]}" if touched else ""

    def is_well(self, replica: Replica, mark: int = 0) -> bool:
        """Whether it is ready, or soon will be."""
        whole = [told for told in self.feed.since(0) if _is_whole(told, replica)]
        if whole and whole[-1].after == "ready":
            return True
        return self.feed.wait(mark, lambda told: _is_ready(told, replica), WELL) is not None

    def _last(self, replica: Replica) -> str:
        newest = {told.check: told for told in self.feed.since(0) if told.target == replica.name}
        unwell = [str(told) for told in newest.values() if told.after not in WELL_STATES]
        return "; ".join(unwell) or "nothing wrong"


def _length(modes: Sequence[Mode]) -> int:
    """How long a lane takes, in modes: one that leaks must rest for long before it shows."""
    return sum(12 if mode.code == "leaking" else 1 for mode in modes)


def _names(told: Told, replica: Replica, mode: Mode) -> bool:
    return (told.target, told.check, told.code) == (replica.name, mode.check, mode.code)


def _is_whole(told: Told, replica: Replica) -> bool:
    return told.target == replica.name and not told.check


def _is_ready(told: Told, replica: Replica) -> bool:
    return _is_whole(told, replica) and told.after == "ready"
