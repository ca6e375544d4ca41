"""Targets that the configuration names: local processes, or plain URLs, with no Docker at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from healthagent.core.notice import Notice
from healthagent.core.ports import Sighting
from healthagent.core.target import Target

POLL = 0.5
"""Seconds from one reading of the pid files to the next."""


class StaticDiscovery:
    """Sights the given targets once, and again whenever a pid file names another process.

    ``pidfiles`` are by target id. A file that is gone leaves the last pid standing, so that the
    process is judged to have ended, as it is where the file never held a pid. That is a notice too,
    and so is a file that cannot be read, which says nothing of the process.
    """

    name = "static"

    def __init__(
        self,
        targets: Sequence[Target],
        notices: Sequence[Notice] = (),
        pidfiles: Mapping[str, Path] | None = None,
    ) -> None:
        files = pidfiles or {}
        self._targets = tuple(replace(t, pidfile=str(files.get(t.id, ""))) for t in targets)
        self._notices = tuple(notices)

    async def sightings(self) -> AsyncIterator[Sighting]:
        told = self._read(self._targets)
        yield told
        if not any(target.pidfile for target in self._targets):
            await asyncio.get_running_loop().create_future()
        while True:
            await asyncio.sleep(POLL)
            now = self._read(told.targets)
            if (now.targets, now.notices) != (told.targets, told.notices):
                yield now
            told = now

    def _read(self, known: Sequence[Target]) -> Sighting:
        targets, touched, notices = [], set(), list(self._notices)
        for target in known:
            pid = target.pid
            if target.pidfile:
                named = pid_in(Path(target.pidfile))
                pid = named or target.pid or named
                if not pid:
                    notices.append(_unnamed(target, named))
            if pid != target.pid:
                touched.add(target.id)
            targets.append(replace(target, pid=pid))
        return Sighting(tuple(targets), frozenset(touched), tuple(notices))


def _unnamed(target: Target, named: int | None) -> Notice:
    problem, remedy = "holds no pid", "start the process, or name the file that it writes"
    if named is None:
        problem, remedy = "cannot be read", "let the agent's user read it, or name another file"
    return Notice(target.name, problem, remedy, key="pidfile", value=target.pidfile)


def pid_in(pidfile: Path) -> int | None:
    """The pid that the file begins with; 0 where it holds none, or is not there, and ``None`` where
    it cannot be read."""
    try:
        with pidfile.open("rb") as file:
            first = file.read(64).split()[0]
        pid = int(first)
    except (FileNotFoundError, ValueError, IndexError):
        return 0
    except OSError:
        return None
    return max(pid, 0)
