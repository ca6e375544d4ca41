"""``exit``: how did it end, did anybody ask for it, and does it keep on ending?

A crash loop is failed even while the replica happens to run in between, or it would get traffic
for the seconds before its next end.
"""

from __future__ import annotations

from healthagent.core.check import Check, Group, Witness
from healthagent.core.exits import (
    WAITING,
    CrashLoop,
    End,
    Exits,
    Name,
    backoff,
    crash_loop,
    failed_start,
    name,
    steady_after,
)
from healthagent.core.observation import ContainerState, Observation, Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Verdict, conclusively_failed, degraded, ok, unknown

LATELY = 300.0
"""Seconds for which it is told that a process was killed for memory without the app's end."""

LEFT = "Docker does not start it again, for want of a policy: write restart: unless-stopped"


def applies(target: Target) -> bool:
    return target.is_container


def judge(seen: Observation) -> Verdict:
    state, exits = seen.see(ContainerState), seen.see(Exits)
    if isinstance(state, Unseen) or isinstance(exits, Unseen):
        return unknown("unseen", str(state if isinstance(state, Unseen) else exits))
    runs = state.up
    since = exits.at - state.started_at
    loop = crash_loop(exits)
    # A run of less than nothing, as after a clock was set back, is not short: it says nothing.
    if loop is not None and (not runs or 0 <= since < steady_after(loop.ends)):
        return looping(loop, state, exits)
    blocked = failed_start(state)
    if blocked is not None and not runs:
        return conclusively_failed(blocked.code, blocked.reason, exit_code=state.exit_code)
    if state.status == "created":
        return unknown("waiting", WAITING)
    if runs and exits.stopping is not None:
        return being_stopped(exits.at - exits.stopping, exits.stopping)
    if runs and exits.oom_at is not None and 0 <= exits.at - exits.oom_at < LATELY:
        return degraded(
            "oom_in_container",
            "the kernel killed one of its processes for want of memory, and the app runs on; raise "
            "its memory limit, or find what takes so much",
            oom_at=exits.oom_at,
        )
    if not exits.ends:
        return ok("no exit was seen")
    last = exits.ends[-1]
    named = name(last)
    if runs:
        runs_now = "runs again" if since < 0 else f"runs for {_span(since)}"
        return ok(f"{runs_now}; before that: {named.reason}", **_evidence(last))
    return _down(last, named, state)


def being_stopped(seconds: float, since: float) -> Verdict:
    """It runs, and somebody asked Docker to end it: that may take its whole grace period."""
    return ok(
        f"is being stopped since {_span(max(0.0, seconds))}: a signal to end came through Docker",
        stopping_since=since,
    )


def looping(loop: CrashLoop, state: ContainerState, exits: Exits) -> Verdict:
    """The verdict on a crash loop, with what Docker will do next."""
    last = loop.ends[-1]
    pause = backoff(loop.ends, state.restart_count)
    match state.status:
        case "running" | "paused":
            ahead = f"it counts as recovered once it has run for {steady_after(loop.ends):.0f} s"
        case "restarting" if pause is not None:
            left = min(max(0.0, last.at + pause - exits.at), pause)
            ahead = f"Docker tries again in {left:.1f} s"
        case "restarting":
            ahead = "Docker tries again within a minute"
        case _ if exits.final:
            ahead = "Docker does not start it again"
        case _:
            ahead = "whether Docker starts it again is not known yet"
    return conclusively_failed(
        "crash_loop",
        f"ended {len(loop.ends)} times in {_span(loop.span)}, the last time: "
        f"{name(last).reason}; {ahead}",
        count=len(loop.ends),
        restarts=state.restart_count,
        **_evidence(last),
    )


def _down(last: End, named: Name, state: ContainerState) -> Verdict:
    """It does not run, which ``process`` fails; here it is said why."""
    match named.kind:
        case "purpose":
            return ok(named.reason, **_evidence(last))
        case "unclean":
            return degraded(named.code, _advised(named), **_evidence(last))
        case "unclear":
            return unknown("unclear", named.reason, **_evidence(last))
        case "unasked":
            alone = "" if state.restarted else f"; {LEFT}"
            return conclusively_failed(named.code, f"{named.reason}{alone}", **_evidence(last))


def _advised(named: Name) -> str:
    if named.code == "killed_after_grace":
        remedy = "unless it was frozen, handle SIGTERM in the app, and see that it reaches it"
        return f"{named.reason}; {remedy}"
    return named.reason


def _evidence(end: End) -> dict[str, int | bool]:
    told: dict[str, int | bool] = {"oom_killed": True} if end.oom else {}
    return told if end.exit_code is None else {"exit_code": end.exit_code, **told}


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


CHECK = Check(
    name="exit",
    groups=frozenset({Group.STARTUP, Group.LIVENESS}),
    witness=Witness.REPLICA,
    needs=(ContainerState, Exits),
    applies=applies,
    judge=judge,
    outlives_restart=True,
)
