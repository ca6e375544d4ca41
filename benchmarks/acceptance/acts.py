"""The acts of the migration, each of which does one thing to the stack and measures what it did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.acceptance.desk import (
    AGENT,
    DBOS,
    PRISMA,
    STATES,
    STEPS,
    Desk,
    ask,
    held,
    orders,
    routed_by,
    stocked,
)
from benchmarks.acceptance.traffic import Traffic
from examples.quickstart.tour.condition import Seen, until
from provision import desk as images

NODE: Final = "compose.node.yaml"
FINISHED: Final = 180.0
_READY: Final = 180.0
_LOAD: Final = 4.0
_USERS: Final = 8
_AUDIT: Final = 180.0
_STUCK: Final = 60.0
"""Seconds without any order's progress after which the rest counts as lost."""
_BACKLOG: Final = 900.0
_ROLL: Final = 600.0
Stock = Mapping[tuple[str, str], int]
_SETTLED: Final = 12
"""Requests in a row by which Traefik shows that it has heard the news."""


@dataclass(frozen=True, slots=True)
class Load:
    """Connections at the worst moment under load, and what was declared."""

    held: int
    declared: int
    requests: int
    failed: int
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Replacing every replica under traffic: what users noticed, and how long it took."""

    seconds: float
    requests: int
    failures: tuple[str, ...]
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of orders that were accepted."""

    orders: int
    lost: int
    """Never shipped."""
    wrong: int
    """Shipped, with a step that did not take effect exactly once."""
    repeated: int
    """With a step that ran more than once."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Outcomes, counted, and what was seen where one is not met or not seen."""

    tally: Mapping[str, int]
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frozen:
    """A replica that was stopped where it stands."""

    seconds: float
    """Until Traefik had heard of it and sent it no more requests, that being tried out included."""
    served: int
    """Requests that others answered meanwhile."""
    failures: tuple[str, ...]
    accepted: tuple[str, ...]


def under_load(desk: Desk, url: str, declared: int, enough: Callable[[Traffic], bool]) -> Load:
    """The most connections that stood at once while users worked, for a few seconds at least."""
    worst = 0
    with desk.connect() as connection, Traffic(desk, url, _USERS) as traffic:
        begun = time.monotonic()

        def look() -> Seen:
            nonlocal worst
            worst = max(worst, sum(held(connection).values()))
            long = time.monotonic() - begun > _LOAD
            return Seen(long and enough(traffic), f"served by {dict(traffic.served)}")

        until("the load reached every replica", look, within=FINISHED)
    return Load(worst, declared, traffic.requests, len(traffic.failures), tuple(traffic.accepted))


def stock(desk: Desk) -> Stock:
    """What there is and what was reserved: see ``stocked``."""
    with desk.connect() as connection:
        return stocked(connection)


def astray(before: Stock, after: Stock) -> int:
    """Goods by which stock differs from what orders reserved: taken twice, or not at all."""
    return sum(abs(before.get(one, 0) - after.get(one, 0)) for one in before.keys() | after.keys())


def placed(desk: Desk, url: str, count: int) -> list[str]:
    """Place so many orders, each until it is taken; return their ids."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    for id_ in ids:
        until("an order is taken", partial(_taken, desk, url, id_), within=60)
    return ids


def _taken(desk: Desk, url: str, id_: str) -> Seen:
    answer = desk.order(url, id_=id_)
    return Seen(answer.status == 202, f"{answer.status} {answer.body}")


def scaled(desk: Desk, replicas: int) -> Load:
    """So many replicas, without a build, under load."""
    desk.scale(replicas)
    desk.wait_until_ready(replicas, within=_READY)
    declared = replicas * (PRISMA + DBOS) + AGENT
    return under_load(desk, desk.url, declared, lambda traffic: len(traffic.served) == replicas)


def runtimes(desk: Desk) -> dict[str, str]:
    """By replica the program that is PID 1, by its first word: Node 24's comm is MainThread."""
    return {
        name: desk.engine.docker("exec", name, "cat", "/proc/1/cmdline").partition("\0")[0]
        for name in desk.replicas()
    }


def processes(desk: Desk) -> list[str]:
    """The command lines of everything that runs in the app's containers."""
    return [
        line
        for name in desk.replicas()
        for line in desk.engine.docker("top", name, "-o", "pid,args").splitlines()[1:]
    ]


def frozen(desk: Desk) -> Frozen:
    """Freeze a replica, wait until it is out, and let users work without it."""
    victim = desk.replicas()[0]
    api, url = desk.traefik_api, desk.url
    server = f"{desk.address(victim)}:3000"
    desk.kill(victim, signal.SIGSTOP)
    try:
        taken = until(
            "the frozen replica is out",
            lambda: Seen(server not in routed_by(api), "routed"), within=60,
        )  # fmt: skip
        taken += until("Traefik has heard of it", partial(_all_served, url), within=60)
        with Traffic(desk, url, 4) as traffic:
            until("users are served", lambda: Seen(traffic.requests > 40, ""), within=FINISHED)
    finally:
        desk.kill(victim, signal.SIGCONT)
    desk.wait_until_ready(len(desk.replicas()), within=_READY)
    served = sum(traffic.served.values())
    return Frozen(taken, served, tuple(traffic.failures), tuple(traffic.accepted))


def _all_served(url: str) -> Seen:
    answers = [ask(f"{url}/north").status for _ in range(_SETTLED)]
    return Seen(set(answers) == {200}, str(answers))


def replaced(desk: Desk, command: str, image: str, runtime: str) -> Change:
    """Have the agent put containers of another image in the place of these, while users work."""
    replicas = len(desk.replicas())
    begun = time.monotonic()
    with Traffic(desk, desk.url, 4) as traffic:
        until("users are served", lambda: Seen(bool(traffic.accepted), ""), within=60)
        desk.compose(
            "exec", "-T", "agent", "healthagent", command, "app", "--image", image,
            "--label", f"healthagent.runtime={runtime}", timeout=_ROLL,
        )  # fmt: skip
        desk.wait_until_ready(replicas, within=_READY)
    seconds = time.monotonic() - begun
    return Change(seconds, traffic.requests, tuple(traffic.failures), tuple(traffic.accepted))


def outcome(desk: Desk, accepted: list[str]) -> Outcome:
    """Wait until every accepted order is shipped, or nothing moves any more, and count."""
    with desk.connect() as connection:
        moved, most = time.monotonic(), -1

        def over() -> Seen:
            nonlocal moved, most
            states = [one.state for one in orders(connection, accepted).values()]
            done = sum((STATES.index(state) for state in states), 0)
            if done > most:
                moved, most = time.monotonic(), done
            shipped = states.count("shipped") == len(accepted)
            return Seen(shipped or time.monotonic() - moved > _STUCK, f"{Counter(states)}")

        until("every order is shipped", over, within=_BACKLOG)
        found = orders(connection, accepted)
    once = dict.fromkeys(STEPS, 1)
    return Outcome(
        len(accepted),
        sum(id_ not in found or found[id_].state != "shipped" for id_ in accepted),
        sum(one.effects != once for one in found.values() if one.state == "shipped"),
        sum(any(count > 1 for count in one.attempts.values()) for one in found.values()),
    )


def audited(desk: Desk, *overrides: str, more: Sequence[str] = ()) -> Audit:
    """What ``healthagent audit`` says of the stack as it runs, with ``more`` of its options."""
    files = [
        word
        for name in ("compose.yaml", *overrides)
        for word in ("--compose", str(images.SOURCE / name))
    ]
    said = subprocess.run(
        [sys.executable, "-m", "healthagent", "audit", "--json", "--project", desk.project,
         "--agent", desk.agent_url, "--traefik", desk.traefik_api, *more, *files],
        capture_output=True, text=True, timeout=_AUDIT, check=False,
        env=os.environ | desk.environment,
    )  # fmt: skip
    document = json.loads(said.stdout)
    return Audit(
        document["tally"],
        tuple(
            f"{one['id']} {one['outcome']}: {one['seen']}"
            for one in document["requirements"]
            if one["outcome"] in ("not met", "not seen")
        ),
    )
