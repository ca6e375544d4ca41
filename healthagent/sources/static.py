"""Targets that the configuration names: local processes, or plain URLs, with no Docker at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from healthagent.core.ports import Sighting
from healthagent.core.report import Notice
from healthagent.core.target import Target

POLL = 0.5
"""Seconds from one reading of the pid files to the next."""


class StaticDiscovery:
    """Sights the given targets once, and again whenever a pid file names another process.

    ``pidfiles`` are by target id. A file that is gone leaves the last pid standing, so that the
    process is judged to have ended; one that never held a pid is a notice.
    """

    name = "static"

    def __init__(
        self,
        targets: Sequence[Target],
        notices: Sequence[Notice] = (),
        pidfiles: Mapping[str, Path] | None = None,
    ) -> None:
        self._targets = tuple(targets)
        self._notices = tuple(notices)
        self._pidfiles = pidfiles or {}

    async def sightings(self) -> AsyncIterator[Sighting]:
        told = self._read(self._targets)
        yield told
        if not self._pidfiles:
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
            pidfile = self._pidfiles.get(target.id)
            pid = target.pid if pidfile is None else pid_in(pidfile) or target.pid
            if pidfile is not None and pid is None:
                notices.append(
                    Notice(
                        about=target.name,
                        key="pidfile",
                        value=str(pidfile),
                        problem="holds no pid",
                        remedy="start the process, or name the file that it writes",
                    )
                )
            if pid != target.pid:
                touched.add(target.id)
            targets.append(replace(target, pid=pid))
        return Sighting(tuple(targets), frozenset(touched), tuple(notices))


def pid_in(pidfile: Path) -> int | None:
    """The pid that the file begins with, or ``None`` where there is none."""
    try:
        with pidfile.open("rb") as file:
            first = file.read(64).split()[0]
        pid = int(first)
    except (OSError, ValueError, IndexError):
        return None
    return pid if pid > 0 else None
