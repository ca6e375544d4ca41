"""How a container ended: the fact, its name, and whether its ends add up to a crash loop.

Exit statuses: 128 + N is death by signal N, 126 and 127 are the shell's and the Engine's for a
command that cannot be run or is not there (https://docs.docker.com/engine/containers/run/).
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from healthagent.core.observation import ContainerState, Fact

OFTEN = 3
"""Ends that nobody asked for from which a container is in a crash loop."""

WINDOW = 300.0
"""Seconds within which they came."""

STEADY = (10.0, 60.0)
"""Seconds of running after which past ends are past: at least (Docker itself then starts its
backoff anew), and at most, so that slow repeaters serve while they run. In between it is twice the
longest of the runs that ended."""

BACKOFF = (0.1, 60.0)
"""Docker's first pause before a restart, doubled by each run shorter than ``STEADY[0]``, and its
longest (restartmanager/restartmanager.go of moby)."""

WAITING = "the container was made and not started yet; what it depends on may not be there"
"""Said of one that Docker did not even try to start; Compose makes all at once, and starts each in
its turn (depends_on)."""

_STOPPING = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL})
_CRASHES = frozenset(
    {signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV,
     signal.SIGSYS}
)  # fmt: skip

_BEFORE_DETAIL = "unable to start container process: "
"""What runc puts before its own words, and after those of all who called it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A signal that somebody sent through the Engine; ``at`` in seconds since the epoch."""

    number: int
    at: float


@dataclass(frozen=True, slots=True)
class End:
    """One end of a container's first process.

    ``at`` is in seconds since the epoch, ``ran_for`` in seconds. ``exit_code`` is ``None`` where
    it was not seen, ``asked`` where it is not known whether somebody stopped it through Docker.
    ``oom`` says that the kernel killed for want of memory within the container just before, which
    need not have been its first process. ``left`` is true where somebody stopped the container
    after that end, while Docker waited to start it again.
    """

    at: float
    exit_code: int | None
    asked: bool | None
    oom: bool = False
    signals: tuple[Sent, ...] = ()
    ran_for: float | None = None
    left: bool = False

    @property
    def signal(self) -> int | None:
        """The signal that its exit code tells of, if any."""
        code = self.exit_code
        return code - 128 if code is not None and 128 < code <= 128 + signal.SIGRTMAX else None


@dataclass(frozen=True, slots=True)
class Exits(Fact):
    """The last ends of a container, oldest first, as they were known at ``at``.

    ``final`` is true once Docker has said after the last of them that it will not restart it.
    ``stopping`` is since when its present run has been asked to end through the Engine, the last
    time, in seconds since the epoch; ``None`` where it was not. ``oom_at`` is when the kernel last
    killed one of its processes for want of memory that it has outlived so far.
    """

    called = "its ends"

    at: float
    ends: tuple[End, ...] = ()
    final: bool = False
    stopping: float | None = None
    oom_at: float | None = None


EndCode = Literal[
    "stopped",
    "killed_after_grace",
    "unclean_stop",
    "oom_killed",
    "killed",
    "terminated",
    "crashed",
    "error",
    "ended",
    "not_found",
    "not_executable",
    "not_started",
]
"""The stable names of ends."""

Kind = Literal["purpose", "unclean", "unasked", "unclear"]


@dataclass(frozen=True, slots=True)
class Name:
    """What an end is called. ``code`` is stable, ``reason`` a part of a sentence.

    ``kind``: on purpose; on purpose but not as it should; nobody asked for it; or nobody saw
    whether somebody asked.
    """

    kind: Kind
    code: EndCode
    reason: str


def inspected(state: ContainerState) -> End:
    """The last end as far as inspect alone tells it."""
    return End(state.finished_at, state.exit_code, asked=None, oom=state.oom_killed)


def asks_to_stop(signals: Sequence[Sent]) -> bool:
    """Whether one of them means that the container is to end."""
    return asked_to_stop_at(signals) is not None


def asked_to_stop_at(signals: Sequence[Sent]) -> float | None:
    """When the last of them came that means that the container is to end."""
    return next((sent.at for sent in reversed(signals) if sent.number in _STOPPING), None)


def name(end: End) -> Name:
    """What to call an end."""
    if end.asked and not _killed_by_kernel(end):
        return _on_purpose(end)
    unclear = end.asked is None and end.exit_code in (None, 0, 137, 143) and not end.oom
    kind: Kind = "unclear" if unclear else "unasked"
    code, reason = _unasked(end)
    if end.left:
        waiting = "stopped on purpose while Docker waited to start it again"
        return Name("purpose", "stopped", f"{waiting}; before that {reason}")
    more = ""
    if unclear:
        more = "; whether somebody stopped it was not seen"
    elif end.oom and code != "oom_killed":
        more = "; before that the kernel killed one of its processes for want of memory"
    return Name(kind, code, reason + more)


def failed_start(state: ContainerState) -> Name | None:
    """What kept the container from starting, where Docker could not start it."""
    if not state.error:
        return None
    _, _, detail = state.error.removesuffix(": unknown").rpartition(_BEFORE_DETAIL)
    match state.exit_code:
        case 126:
            return Name("unasked", "not_executable", f"its command cannot be executed: {detail}")
        case 127:
            return Name("unasked", "not_found", f"its command was not found: {detail}")
        case _:
            return Name("unasked", "not_started", f"Docker cannot start it: {detail}")


@dataclass(frozen=True, slots=True)
class CrashLoop:
    """Ends that nobody asked for, often and lately."""

    ends: tuple[End, ...]

    @property
    def span(self) -> float:
        """Seconds from the first to the last."""
        return self.ends[-1].at - self.ends[0].at


def crash_loop(exits: Exits) -> CrashLoop | None:
    """The crash loop that the ends add up to, if any, whether or not it runs at the moment."""
    ends = unasked_of_late(exits.ends)
    return CrashLoop(ends) if len(ends) >= OFTEN else None


def unasked_of_late(ends: Sequence[End]) -> tuple[End, ...]:
    """The ends within ``WINDOW`` of the last that nobody asked for, since somebody last stopped it:
    who stops a container has taken it in hand."""
    found: list[End] = []
    for end in reversed(ends):
        lately = 0 <= ends[-1].at - end.at <= WINDOW  # not so before the clock was set back
        if name(end).kind in ("purpose", "unclean") or not lately:
            break
        if end.asked is False:
            found.append(end)
    return tuple(reversed(found))


def steady_after(ends: Sequence[End]) -> float:
    """Seconds that the container must run until these ends are past."""
    longest = max((end.ran_for or 0.0 for end in ends), default=0.0)
    least, most = STEADY
    return min(max(2 * longest, least), most)


def backoff(ends: Sequence[End], restarts: int) -> float | None:
    """Seconds that Docker waits after the last of these ends before it starts the container again.

    ``restarts`` is Docker's own count since somebody last started it. ``None`` where it counts
    more than were seen, so that the pause is not known.
    """
    in_a_row = 0
    reset = False
    for end in reversed(ends):
        in_a_row += 1
        if end.ran_for is not None and end.ran_for >= STEADY[0]:
            reset = True
            break
    first, longest = BACKOFF
    pause = min(first * 2 ** (min(in_a_row, restarts) - 1), longest)
    return pause if reset or restarts <= in_a_row or pause == longest else None


def _killed_by_kernel(end: End) -> bool:
    """Out of memory, as opposed to Docker's own SIGKILL."""
    return (
        end.oom
        and end.signal == signal.SIGKILL
        and not any(sent.number == signal.SIGKILL for sent in end.signals)
    )


def _on_purpose(end: End) -> Name:
    asked = [sent for sent in end.signals if sent.number in _STOPPING]
    numbers = {sent.number for sent in asked}
    gentle = numbers - {signal.SIGKILL}
    if end.signal == signal.SIGKILL and gentle:
        killed_at = next((sent.at for sent in asked if sent.number == signal.SIGKILL), end.at)
        return Name(
            "unclean",
            "killed_after_grace",
            f"stopped on purpose, but it ignored {_called(min(gentle))}, or was frozen, and was "
            f"killed {killed_at - asked[0].at:.0f} s later (137)",
        )
    if end.exit_code == 0 or end.signal in {sent.number for sent in end.signals} | _STOPPING:
        return Name("purpose", "stopped", f"stopped on purpose (exit {end.exit_code})")
    return Name(
        "unclean",
        "unclean_stop",
        f"stopped on purpose, and its own shutdown ended with exit {end.exit_code}",
    )


def _unasked(end: End) -> tuple[EndCode, str]:
    number = end.signal
    if number == signal.SIGKILL:
        if end.oom:
            return "oom_killed", "killed for want of memory (137, OOMKilled)"
        sender = ", which did not come through Docker" if end.asked is False else ""
        return "killed", f"killed by SIGKILL (137){sender}"
    if number in _CRASHES:
        said = f"crashed by {_called(number)} ({end.exit_code})"
        by_bun = "; Bun ends so after a segmentation fault too" if number == signal.SIGILL else ""
        return "crashed", said + by_bun
    if number is not None:
        return "terminated", f"ended by {_called(number)} ({end.exit_code})"
    match end.exit_code:
        case None:
            return "ended", "it ended, with an exit code that was not seen"
        case 0:
            return "ended", "it ended by itself with exit 0"
        case 126:
            return "not_executable", "its command cannot be executed (126)"
        case 127:
            return "not_found", "its command was not found (127)"
        case code:
            return "error", f"it ended with exit {code}, as after an uncaught error"


def _called(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
