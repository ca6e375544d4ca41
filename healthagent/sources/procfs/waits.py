"""For how long a process has been waiting in the kernel: what tells a slow disk from one that is
gone."""

from __future__ import annotations

from collections.abc import Callable

from healthagent.sources.procfs import parse

Key = tuple[int, int]
"""Pid and start time: a pid alone may be another process's by now."""


class Waits:
    """Remembers since when each process in state D has not run. ``clock`` is monotonic, in seconds.

    A process that reads much from a disk is often found in D. It runs in between, which its count
    of voluntary context switches shows; one that hangs has the same count at every look.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, dict[Key, tuple[int, float]]] = {}

    def of(self, target: str, key: Key, state: str, status: bytes) -> float | None:
        """Seconds, 0 at the first look; see :attr:`Process.waits`. ``status`` is the text of
        /proc/PID/status."""
        switches = parse.switches(status) if state == "D" else None
        if switches is None:
            if target in self._since:
                self._since[target].pop(key, None)
            return None
        waiting, now = self._since.setdefault(target, {}), self._clock()
        before = waiting.get(key)
        if before is None or before[0] != switches:
            waiting[key] = (switches, now)
            return 0.0
        return now - before[1]

    def forget(self, target: str) -> None:
        self._since.pop(target, None)
