"""For how long a process has been waiting in the kernel: what tells a slow disk from one that is
gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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

    def of(self, target: str, waiting: Mapping[Key, bytes]) -> Mapping[Key, float]:
        """Seconds of each process of a look, 0 at the first; see :attr:`Process.waits`. ``waiting``
        has the text of /proc/PID/status of those in state D: any other is no longer remembered."""
        now, before = self._clock(), self._since.pop(target, {})
        told = {key: parse.switches(status) for key, status in waiting.items()}
        since = {
            key: before[key] if key in before and before[key][0] == switches else (switches, now)
            for key, switches in told.items()
            if switches is not None
        }
        if since:
            self._since[target] = since
        return {key: now - at for key, (_, at) in since.items()}

    def forget(self, target: str) -> None:
        self._since.pop(target, None)
