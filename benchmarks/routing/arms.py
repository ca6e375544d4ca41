"""What is done to a replica, and what is told of it. Each arm is one line of the table."""

from __future__ import annotations

import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.routing.load import PATIENCE
from benchmarks.routing.observed import Run, observed, until
from benchmarks.routing.stack import Front, Stack

Figures = dict[str, Any]

CALM: Final = 1.5
"""Seconds of load before a fault, and after all is well again."""

LONGEST: Final = 25.0
"""Seconds within which any of the ways takes a replica out; else it does not."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One stack under one load."""

    stack: Stack
    rate: float

    @contextmanager
    def load(self, front: Front) -> Iterator[Run]:
        """With requests on a front whose replicas are all in rotation; well again at the end."""
        self.stack.settle(front)
        with observed(front.url, front.api, self.stack.orders, self.rate) as run:
            time.sleep(CALM)
            yield run
            time.sleep(CALM)

    def back(self, front: Front) -> None:
        self.stack.settle(front)


Arm = Callable[[Bench, Front], Figures]


def stop(bench: Bench, front: Front) -> Figures:
    """``docker stop`` of one, and its start."""
    stack = bench.stack
    victim = stack.containers(front.service)[0]
    with bench.load(front) as run:
        stack.docker("stop", victim)
        time.sleep(CALM)
        stack.docker("start", victim)
        bench.back(front)
    return run.figures()


def drained_stop(bench: Bench, front: Front) -> Figures:
    """The agent's ``drain``, then ``docker stop``; its start, and the agent's ``undrain``."""
    stack = bench.stack
    victim = stack.containers(front.service)[0]
    with bench.load(front) as run:
        stack.agent("drain", stack.name(victim))
        stack.docker("stop", victim)
        time.sleep(CALM)
        stack.docker("start", victim)
        stack.agent("undrain", stack.name(victim))
        bench.back(front)
    return run.figures()


def roll(bench: Bench, front: Front) -> Figures:
    """The agent's ``roll`` of all replicas. ``rolled`` is how many of them have a new life."""
    before = bench.stack.lives(front.service)
    with bench.load(front) as run:
        bench.stack.agent("roll", front.service)
        bench.back(front)
    return {**run.figures(), "rolled": len(bench.stack.lives(front.service) - before)}


def recreate(bench: Bench, front: Front) -> Figures:
    """``docker compose up --force-recreate`` of all replicas."""
    with bench.load(front) as run:
        bench.stack.compose(
            "up", "--detach", "--no-build", "--no-deps", "--force-recreate", front.service
        )
        bench.back(front)
    return run.figures()


def restart(bench: Bench, front: Front) -> Figures:
    """``docker compose restart`` of all replicas."""
    with bench.load(front) as run:
        bench.stack.compose("restart", front.service)
        bench.back(front)
    return run.figures()


def kill(bench: Bench, front: Front) -> Figures:
    """SIGKILL of one; Docker restarts it."""
    stack = bench.stack
    victim = stack.containers(front.service)[0]
    server = {stack.server(victim)}
    with bench.load(front) as run:
        fault = time.monotonic()
        stack.signal(victim, signal.SIGKILL)
        _until_out(run, fault, server)
        bench.back(front)
    return run.figures() | run.since(fault, server)


def freeze(bench: Bench, front: Front) -> Figures:
    """SIGSTOP of one: its port still accepts, and nobody answers."""
    stack = bench.stack
    victim = stack.containers(front.service)[0]
    server = {stack.server(victim)}
    with bench.load(front) as run:
        fault = time.monotonic()
        stack.signal(victim, signal.SIGSTOP)
        try:
            _until_out(run, fault, server)
            time.sleep(PATIENCE)
        finally:
            stack.signal(victim, signal.SIGCONT)
        bench.back(front)
    return run.figures() | run.since(fault, server)


def block(bench: Bench, front: Front) -> Figures:
    """The event loop of one turns on the spot for 5 s."""
    stack = bench.stack
    victim = stack.containers(front.service)[0]
    server = {stack.server(victim)}
    with bench.load(front) as run:
        fault = time.monotonic()
        stack.tell([victim], "block")
        time.sleep(5.0 + CALM)
        bench.back(front)
    return run.figures() | run.since(fault, server)


def sick(bench: Bench, front: Front) -> Figures:
    """One answers 500, on /readyz as on its pages."""
    stack = bench.stack
    victim = stack.containers(front.service)[0]
    server = {stack.server(victim)}
    with bench.load(front) as run:
        fault = time.monotonic()
        stack.tell([victim], "sick")
        try:
            _until_out(run, fault, server)
        finally:
            stack.tell([victim], "well")
        bench.back(front)
    return run.figures() | run.since(fault, server)


def all_down(bench: Bench, front: Front) -> Figures:
    """All are sick; then one is well again. ``status`` is what users got, ``back_s`` how long after
    that first one they got pages again."""
    stack = bench.stack
    victims = stack.containers(front.service)
    servers = {stack.server(victim) for victim in victims}
    with bench.load(front) as run:
        fault = time.monotonic()
        stack.tell(victims, "sick")
        try:
            _until_out(run, fault, servers)
            time.sleep(CALM)
        finally:
            well = time.monotonic()
            stack.tell(victims[:1], "well")
            time.sleep(CALM)
            stack.tell(victims[1:], "well")
        bench.back(front)
    out = run.out_after(fault, servers)
    since = well if out is None else fault + out
    statuses = Counter(r.status for r in run.records if since + 0.1 < r.sent < well)
    good = [r.sent + r.took for r in run.records if r.sent > well and r.status == 200]
    return {
        "status": statuses.most_common(1)[0][0] if statuses else None,
        "out_s": out,
        "back_s": round(min(good) - well, 2) if good else None,
        "router_kept": all(look.routers for look in run.looks),
    }


def agent_killed(bench: Bench, front: Front) -> Figures:
    """The agent is killed, and stays away for a while."""
    stack = bench.stack
    [agent] = stack.containers("agent")
    with bench.load(front) as run:
        stack.docker("kill", agent)
        time.sleep(5.0)
    stack.docker("start", agent)
    return {**run.figures(), "changes": run.changes()}


def agent_restarted(bench: Bench, front: Front) -> Figures:
    """The agent is restarted; Traefik asks the new one again."""
    stack = bench.stack
    [agent] = stack.containers("agent")
    with bench.load(front) as run:
        stack.docker("restart", agent)
        until("the agent has judged all", lambda: _answers(stack), within=LONGEST)
        time.sleep(5.0)
    return {**run.figures(), "changes": run.changes()}


def _answers(stack: Stack) -> bool:
    try:
        with urllib.request.urlopen(f"{stack.agent_url}/readyz", timeout=PATIENCE) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _until_out(run: Run, fault: float, servers: set[str]) -> None:
    """As soon as Traefik serves these no more, or it is clear that it goes on."""
    try:
        until("out", lambda: run.out_after(fault, servers) is not None, within=LONGEST)
    except TimeoutError:
        return


_FAULTS: Final[Mapping[str, Arm]] = {
    "kill": kill,
    "freeze": freeze,
    "block": block,
    "sick": sick,
    "all_down": all_down,
}

ARMS: Final[Mapping[str, tuple[str, Mapping[str, Arm]]]] = {
    "agent": (
        "agent",
        {
            "roll": roll,
            "stop": drained_stop,
            **_FAULTS,
            "agent_killed": agent_killed,
            "agent_restarted": agent_restarted,
        },
    ),
    "docker_provider": (
        "docker",
        {"recreate": recreate, "restart": restart, "stop": stop, **_FAULTS},
    ),
    "active_check": ("active", {"stop": stop, **_FAULTS}),
}
"""By way the front that it is asked through, and its arms."""
