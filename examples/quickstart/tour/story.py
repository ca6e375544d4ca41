"""The tour itself: what happens to a stack, step by step, and what must be seen each time."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Final

from examples.quickstart.tour import web
from examples.quickstart.tour.condition import NotReached, Seen, until
from examples.quickstart.tour.stack import Stack

_REPLICAS: Final = 3
_START: Final = 90.0
_LEAVE: Final = 3.0
_RETURN: Final = 10.0
_OUTAGE: Final = 15.0
_RECOVERY: Final = 45.0
_ROUNDS: Final = 4 * _REPLICAS
"""Enough requests for Traefik's round robin to reach every replica several times."""


def tell(stack: Stack, say: Callable[[str], None]) -> None:
    """Take a running stack through the tour. Raises NotReached where it does not behave."""
    say("Three replicas behind Traefik")
    replicas = _all_ready(stack, say, within=_START)
    _all_answer(stack, say, replicas)
    _status(stack)

    frozen = replicas[1]
    say(f"Freeze {frozen} (SIGSTOP): its port still accepts connections, and nobody answers")
    stack.freeze(frozen)
    try:
        _leaves(stack, say, frozen)
        _status(stack)
    finally:
        say(f"Thaw {frozen} (SIGCONT)")
        stack.thaw(frozen)
    _all_ready(stack, say, within=_RETURN)
    _all_answer(stack, say, replicas)

    say("Take Postgres away: nobody is ready, and nobody is restarted for it")
    before = stack.incarnations
    stack.stop_database()
    try:
        _none_ready(stack, say, replicas)
        _status(stack)
    finally:
        say("Bring Postgres back")
        stack.start_database()
    _all_ready(stack, say, within=_RECOVERY)
    _all_answer(stack, say, replicas)
    _same(stack, before, say)


def _all_ready(stack: Stack, say: Callable[[str], None], *, within: float) -> list[str]:
    """Wait until the agent holds all replicas ready; return their names."""

    def look() -> Seen:
        running = [name for name, incarnation in stack.incarnations.items() if incarnation]
        if len(running) != _REPLICAS:
            return Seen(False, f"{len(running)} replicas run: {', '.join(running) or 'none'}")
        return web.all_ready(agent, running)

    agent = stack.agent_url
    taken = until("all replicas are ready", look, within=within)
    say(f"  all {_REPLICAS} ready after {taken:.1f} s")
    return list(stack.incarnations)


def _all_answer(stack: Stack, say: Callable[[str], None], replicas: list[str]) -> None:
    answers: Counter[str] = Counter()

    def look() -> Seen:
        nonlocal answers
        answers = web.answering(url, _ROUNDS)
        return Seen(set(answers) == set(replicas), _counted(answers))

    url = stack.url
    until("every replica answers through Traefik", look, within=_RETURN)
    say(f"  {_ROUNDS} requests through Traefik: {_counted(answers)}")


def _leaves(stack: Stack, say: Callable[[str], None], frozen: str) -> None:
    agent, url = stack.agent_url, stack.url

    reason = ""

    def unrouted() -> Seen:
        servers = web.routed(agent)
        return Seen(len(servers) == _REPLICAS - 1, f"routed: {', '.join(servers)}")

    def named() -> Seen:
        nonlocal reason
        reason = web.reason(agent, frozen)
        return Seen("is stopped" in reason, f"reason: {reason or 'none'}")

    taken = until(f"{frozen} leaves the rotation", unrouted, within=_LEAVE)
    say(f"  out of Traefik's rotation after {taken:.1f} s")
    # A page that was asked for in that very moment may be told first, as late.
    until(f"{frozen} is told to be stopped", named, within=_LEAVE)
    say(f"  because: {reason}")
    answers: Counter[str] = Counter()

    def served_by_others() -> Seen:
        nonlocal answers
        answers = web.answering(url, _ROUNDS)
        return Seen(
            len(answers) == _REPLICAS - 1 and answers.total() == _ROUNDS and frozen not in answers,
            _counted(answers),
        )

    until("the others serve all requests", served_by_others, within=_RETURN)
    say(f"  {_ROUNDS} requests through Traefik: {_counted(answers)}")


def _none_ready(stack: Stack, say: Callable[[str], None], replicas: list[str]) -> None:
    agent, url = stack.agent_url, stack.url

    def look() -> Seen:
        ready = [name for name in replicas if web.readiness(agent, name).status == 200]
        return Seen(not ready, f"still ready: {', '.join(ready)}")

    def refused() -> Seen:
        answers = web.answering(url, _REPLICAS)
        return Seen(set(answers) == {"HTTP 503"}, _counted(answers))

    taken = until("no replica is ready", look, within=_OUTAGE)
    say(f"  none ready after {taken:.1f} s")
    for name in replicas:
        say(f"  {name}: {web.reason(agent, name)}")
    until("Traefik answers 503", refused, within=_RETURN)
    say("  Traefik answers 503: the route is still there, and no server behind it")


def _same(stack: Stack, before: dict[str, str], say: Callable[[str], None]) -> None:
    after = stack.incarnations
    restarted = [name for name, incarnation in before.items() if after.get(name) != incarnation]
    if restarted:
        ends = (f"{name} was ({web.ending(stack.agent_url, name)})" for name in restarted)
        raise NotReached(f"none is restarted for Postgres's sake: {', '.join(ends)}")
    say("  none was restarted: the same three processes as before")


def _status(stack: Stack) -> None:
    """Print `healthagent status`, whose exit code 1 only says that something is unhealthy."""
    command = [sys.executable, "-m", "healthagent", "status", "--agent", stack.agent_url]
    sys.stdout.flush()
    result = subprocess.run(command, timeout=30)
    if result.returncode not in (0, 1):
        raise NotReached(f"`healthagent status` exited {result.returncode}")


def _counted(answers: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(answers.items()))
