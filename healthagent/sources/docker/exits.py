"""How a container's runs ended: the fold of its events, and of what inspect tells of the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from healthagent.core.exits import End, Sent, asked_to_stop_at, asks_to_stop
from healthagent.core.observation import ContainerState
from healthagent.sources.docker.event import Event

KEPT = 12
"""How many ends are kept: as many as Docker's backoff takes to reach its longest."""

SIGNALS = 8
"""How many signals of a run are kept, the last ones."""

HEARD = 64
"""How many events are remembered, to tell those that the Engine repeats to who subscribes anew."""

MEMORY = 5.0
"""Seconds by which the kernel's kill for want of memory may precede the end that it caused. One
that hit another process of the container is followed by no end, or by a later one."""


@dataclass(frozen=True, slots=True)
class History:
    """The last ends of one container, and what was heard of its present run.

    ``over`` is true while no start was heard of since the last end, ``inspected`` where an
    inspection told of that end and its event may still come, and ``final`` once one has told that
    Docker leaves it at that end. ``finished_at`` is that end's time as an inspection told it, and
    ``ran_from`` the beginning of that run; ``None`` where none has yet. Times are seconds since the
    epoch; ``heard`` are those of the last events, in nanoseconds.
    """

    ends: tuple[End, ...] = ()
    over: bool = False
    inspected: bool = False
    final: bool = False
    started_at: float | None = None
    signals: tuple[Sent, ...] = ()
    oom_at: float | None = None
    finished_at: float | None = None
    ran_from: float | None = None
    heard: tuple[int, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether it was started, and not heard to have ended since."""
        return self.started_at is not None and not self.over

    @property
    def stopping(self) -> float | None:
        """See :attr:`Exits.stopping`."""
        return None if self.over else asked_to_stop_at(self.signals)

    @property
    def outlived(self) -> float | None:
        """See :attr:`Exits.oom_at`."""
        return None if self.over else self.oom_at

    def hear(self, event: Event) -> History:
        """The history after an event. One that is repeated is nothing. One older than the last is
        news: the Engine tells them in their order, and its clock was set back."""
        if event.at in self.heard:
            return self
        now, at = replace(self, heard=(*self.heard, event.at)[-HEARD:]), event.at / 1e9
        match event.action:
            case "start":
                return now._begun(at)
            case "kill":
                number = event.attributes.get("signal", "")
                sent = (Sent(int(number), at),) if number.isdigit() else ()
                return replace(now, signals=(*self.signals, *sent)[-SIGNALS:])
            case "die":
                return now._ended(self._end(at, event.attributes.get("exitCode", "")))
            case "oom" if self.over:  # told by another part of the Engine, and may come after
                return now._corrected(replace(self.ends[-1], oom=True))
            case "oom":
                return replace(now, oom_at=at)
            case "stop" if self.over:
                return now._corrected(_stopped(self.ends[-1]))
            case _:
                return now

    def take(self, state: ContainerState) -> History:
        """The history after an inspection, which knows the last end alone, and when it runs again
        not even its exit code."""
        down, now = state.status in ("exited", "restarting", "dead"), self
        if state.finished_at and not self._knows(state, down):
            now = replace(now._ended(_inspected(state, down)), inspected=True)
        ran_from = state.started_at if down else None
        now = replace(now, finished_at=state.finished_at or None, ran_from=ran_from)
        if state.up and not now.runs:
            now = now._begun(state.started_at)
        return replace(now, final=now.over and state.status in ("exited", "dead"))

    def _knows(self, state: ContainerState, down: bool) -> bool:
        """Whether it tells of the last end. Its event comes a moment after it. Where a container is
        stopped that waits to be started again, the Engine corrects the time of its end."""
        if self.finished_at is None:
            return bool(self.ends) and state.finished_at <= self.ends[-1].at
        same_run = down and self.over and state.started_at == self.ran_from
        return same_run or state.finished_at == self.finished_at

    def _begun(self, at: float) -> History:
        return replace(
            self,
            over=False,
            inspected=False,
            final=False,
            started_at=at,
            signals=(),
            oom_at=None,
        )

    def _end(self, at: float, code: str) -> End:
        return End(
            at=at,
            exit_code=int(code) if code.isdigit() else None,
            asked=asks_to_stop(self.signals),
            oom=self.oom_at is not None and abs(at - self.oom_at) < MEMORY,
            signals=self.signals,
            ran_for=_span(self.started_at, at),
        )

    def _ended(self, end: End) -> History:
        """With one more end; one that was inspected is known better now."""
        before = self.ends[:-1] if self.inspected else self.ends
        return replace(
            self,
            ends=(*before, end)[-KEPT:],
            over=True,
            inspected=False,
            final=False,
            finished_at=self.finished_at if self.inspected else None,
        )

    def _corrected(self, last: End) -> History:
        return replace(self, ends=(*self.ends[:-1], last))


def _stopped(end: End) -> End:
    """The end that a stop was told after: it asked for it, where it sent a signal before."""
    return replace(end, asked=True) if end.asked or end.signals else replace(end, left=True)


def _inspected(state: ContainerState, down: bool) -> End:
    """An end that no event told of. What Docker restarted by its policy, nobody had stopped."""
    by_policy = state.status == "restarting" or (not down and state.restart_count > 0)
    return End(
        at=state.finished_at,
        exit_code=state.exit_code if down else None,
        asked=False if by_policy else None,
        oom=down and state.oom_killed,
        ran_for=_span(state.started_at, state.finished_at) if down else None,
    )


def _span(begun: float | None, ended: float) -> float | None:
    """Seconds of a run; ``None`` where its start is not known, or the clock was set back in it."""
    return ended - begun if begun is not None and ended >= begun else None
