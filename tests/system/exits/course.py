"""Runs the whole table at once beneath one real watcher, and tells how each row went."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from healthagent.checks import CHECKS
from healthagent.core.report import CheckReport, Report
from healthagent.core.transition import Transition
from healthagent.core.verdict import Status
from healthagent.sources.docker import ContainerStateSource, DockerDiscovery, ExitsSource
from healthagent.sources.procfs import ProcessTreeSource
from healthagent.watcher import Watcher
from provision import owner, projects
from provision.engine import PROJECT, Engine
from provision.errors import CommandFailed
from tests.system.exits import image
from tests.system.exits.table import NEIGHBOUR, Box, Row, Seen

PATIENCE = 90.0
AT_ONCE = 6
"""Rows whose containers start or end at the same time."""


@dataclass(slots=True)
class Outcome:
    """How a row went: what was awaited in vain, if anything, and Docker's exit code."""

    missed: str = ""
    exit_code: int | None = None


class Record:
    """A surface that keeps what each container's checks say, and each fault they ever told of."""

    def __init__(self) -> None:
        self.now: dict[str, Mapping[str, CheckReport]] = {}
        self.faults: dict[str, set[str]] = {}
        self._told = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        for replica in report.targets:
            name = replica.target.name
            self.now[name] = {check.name: check for check in replica.checks}
            self.faults.setdefault(name, set()).update(
                f"{check.name} {check.code}: {check.reason}"
                for check in replica.checks
                if check.status in (Status.FAILED, Status.DEGRADED)
            )
        task = asyncio.get_running_loop().create_task(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def until(self, name: str, seen: Seen) -> str:
        """Wait until a container's check says it. What it said last where it does not."""

        def holds() -> bool:
            check = self.now.get(name, {}).get(seen.check)
            return check is not None and check.code == seen.code and seen.says in check.reason

        try:
            async with asyncio.timeout(PATIENCE), self._told:
                await self._told.wait_for(holds)
        except TimeoutError:
            checks = self.now.get(name, {})
            said = [f"{check.name} {check.code}: {check.reason}" for check in checks.values()]
            return f"never seen: {seen}; it read {said}"
        return ""

    async def _tell(self) -> None:
        async with self._told:
            self._told.notify_all()


@dataclass(slots=True)
class Course:
    """All rows' containers in one Compose project, to which the discovery is kept."""

    engine: Engine
    project: str = field(default_factory=lambda: owner.new_name("exits"))
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    neighbour_faults: set[str] = field(default_factory=set)

    async def run(self, rows: tuple[Row, ...]) -> None:
        image.ensure(self.engine)
        record = Record()
        watching = asyncio.create_task(self._watcher(record).run())
        try:
            await self._row(NEIGHBOUR, record, asyncio.Semaphore())
            record.faults.clear()  # before its first look it was created, and not yet running
            gate = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(self._row(row, record, gate) for row in rows))
            self.neighbour_faults = record.faults.get(self._name(NEIGHBOUR), set())
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            projects.remove(self.engine, self.project)

    def _watcher(self, record: Record) -> Watcher:
        docker = DockerDiscovery(self.engine.host, project=self.project)
        sources = (
            ContainerStateSource(docker),
            ExitsSource(docker),
            ProcessTreeSource(docker.pid_of),
        )
        return Watcher([docker], sources, CHECKS, [record])

    async def _row(self, row: Row, record: Record, gate: asyncio.Semaphore) -> None:
        for _ in range(row.attempts):
            self.outcomes[row.what] = outcome = await self._attempt(row, record, gate)
            if not outcome.missed:
                return

    async def _attempt(self, row: Row, record: Record, gate: asyncio.Semaphore) -> Outcome:
        outcome = Outcome()
        name = self._name(row)
        async with gate:
            await asyncio.to_thread(self._start, row, name)
        box = Box(name, self.engine)
        if row.before is not None:
            outcome.missed = await record.until(name, row.before)
        if row.act is not None and not outcome.missed:
            async with gate:
                await asyncio.to_thread(row.act, box)
        for seen in row.after:
            outcome.missed = outcome.missed or await record.until(name, seen)
        if row.exit_code is not None:
            outcome.exit_code = await asyncio.to_thread(self._exit_code, box.name)
        if row is not NEIGHBOUR:  # what is over takes no part of the machine any more
            async with gate:
                await asyncio.to_thread(self.engine.remove, box.name)
        return outcome

    def _name(self, row: Row) -> str:
        return f"{self.project}-{re.sub(r'[^a-zA-Z0-9]+', '-', row.what).strip('-')}"

    def _start(self, row: Row, name: str) -> None:
        labels = {
            PROJECT: self.project,
            "healthagent.enable": "true",
            "healthagent.runtime": row.runtime,
            "healthagent.livez": "none",
            "healthagent.readyz": "none",
        }
        flags = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        # Nothing here needs a network, one of its own takes as long to start as the rest of the
        # container, and Engine 20.10 was seen to lock itself up for good when many joined and left
        # its bridge at once.
        flags += ["--network", row.network]
        command = shlex.split(row.command)
        with suppress(CommandFailed):  # some cannot start, and the table says how that reads
            self.engine.docker(
                "run", "--detach", "--name", name, *flags, *row.options.split(), row.image, *command
            )

    def _exit_code(self, name: str) -> int:
        return int(self.engine.inspect(name)["State"]["ExitCode"])
