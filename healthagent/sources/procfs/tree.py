"""``ProcessTree`` from /proc: the replica's processes, their CPU, and who waits at its door."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from healthagent.core.observation import Process, ProcessTree, Unseen
from healthagent.core.target import Target
from healthagent.sources.procfs import files, parse
from healthagent.sources.procfs.cmdlines import Cmdline, Cmdlines
from healthagent.sources.procfs.queues import AcceptQueues
from healthagent.sources.procfs.waits import Key, Waits

PidOf = Callable[[Target], int | None]
"""The pid of a target's first process as the host counts; ``None`` where none is known."""

HIDDEN = Unseen("the processes of containers cannot be seen from here", "run it with pid: host")

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SHORTEST = 0.2
"""Seconds below which a share of CPU would be mostly the rounding of ticks."""

_SPINNING = 0.8
"""Share of one core from which a tree is looked at more closely."""

_MANY_FILES = 100
"""Open files from which it is looked up how many a process may have: no sound limit is lower."""

_FORGET = 300.0
"""Seconds after which the sample of a target that nobody looks at is dropped."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """What each process had taken at a time: ticks of all its threads, and seconds for which its
    first one ran or would have; and the shares that were told then."""

    at: float
    ticks: Mapping[Key, int]
    wants: Mapping[Key, float]
    share: float | None = None
    wanted: Mapping[Key, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Member:
    """One process of a tree. ``text`` is that of its /proc/PID/status, ``wants`` of its
    /proc/PID/schedstat, which a kernel without CONFIG_SCHED_INFO has not."""

    pid: int
    stat: parse.Stat
    text: bytes
    wants: float | None
    files: tuple[int, int] | None

    @property
    def key(self) -> Key:
        return self.pid, self.stat.started

    @property
    def has_ended(self) -> bool:
        return self.stat.state in "ZXx"


class ProcessTreeSource:
    """Looks at /proc. A look waits for nothing but the arguments of processes that are new to it.

    ``proc`` is where procfs is mounted. ``clock`` is monotonic, in seconds.
    """

    kind = ProcessTree

    def __init__(
        self, pid_of: PidOf, proc: str = "/proc", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pid_of = pid_of
        self._proc = proc
        self._clock = clock
        self._children = files.children_in(proc)
        self._samples: dict[str, _Sample] = {}
        self._cmdlines = Cmdlines(proc, clock)
        self._waits = Waits(clock)
        self._queues = AcceptQueues(proc, clock)
        self._sees_containers = False

    async def look(self, target: Target, timeout: float) -> ProcessTree | Unseen:
        pid = self._pid_of(target)
        if pid is None:
            return Unseen("the pid of its first process is not known")
        if pid == 0:
            return ProcessTree(())  # its pid file names none
        try:
            root = self._located(target, pid) if target.is_container else pid
            if isinstance(root, Unseen):
                return root
            if root is None:
                return ProcessTree(())
            members = list(self._members(root))
        except PermissionError as error:
            return Unseen(
                f"{error.filename} may not be read",
                "mount /proc without hidepid, or run the agent as root",
            )
        if not members or members[0].pid != root:
            return ProcessTree(())
        comms = {each.key: each.stat.comm for each in members if not each.has_ended}
        return self._tree(target, members, await self._cmdlines.of(target.id, comms, timeout))

    def doubt(self, target: Target) -> None:
        """Take it for unwell at the next look: it gave no answer."""
        self._queues.doubt(target.id)

    def refused(self, target: Target) -> None:
        """Look soon at what listens there: its port takes no connection."""
        self._queues.refused(target.id)

    def _located(self, target: Target, pid: int) -> int | Unseen | None:
        """The pid under which the container's first process is seen here.

        A sidecar (``pid: service:app``) sees it as pid 1. ``None``: it has ended. A pid that is
        not there says so only where containers were ever seen.
        """
        for candidate in (pid, 1):
            if self._is_of(candidate, target.id):
                self._sees_containers = True
                return candidate
        return None if self._sees_containers else HIDDEN

    def _is_of(self, pid: int, container: str) -> bool:
        """Whether the process is of that container: the container's id is part of its cgroup's
        path, under cgroup v1 and v2 and both of Docker's cgroup drivers."""
        try:
            return container.encode() in files.read(f"{self._proc}/{pid}/cgroup")
        except (FileNotFoundError, ProcessLookupError):
            return False

    def _members(self, root: int) -> Iterator[_Member]:
        """The first process and all below it, as far as they have not gone meanwhile."""
        for pid in files.family(root, self._children):
            here = f"{self._proc}/{pid}"
            try:
                stat = parse.stat(files.read(f"{here}/stat"))
                text = files.read(f"{here}/status")
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield _Member(pid, stat, text, _wants(here), _files(here))

    def _tree(
        self, target: Target, members: Sequence[_Member], cmdlines: Mapping[Key, Cmdline]
    ) -> ProcessTree:
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        waiting = {each.key: each.text for each in members if each.stat.state == "D"}
        waits = self._waits.of(target.id, waiting)
        sample = self._sample(target.id, members)
        processes = tuple(
            _process(each, cmdlines, waits, sample.wanted, uptime) for each in members
        )
        busiest = max((sample.share or 0.0, *sample.wanted.values()))
        unwell = any(process.state in "RTtD" for process in processes) or busiest >= _SPINNING
        queues = self._queues.of(target, members[0].pid, unwell)
        turned, listeners = self._queues.turned(target), self._queues.listeners(target)
        return ProcessTree(processes, sample.share, queues, turned, listeners)

    def _sample(self, target: str, members: Iterable[_Member]) -> _Sample:
        """The share of one core since the look before; a process that is new since then counts
        with all it took, one that ended not at all. And what each process wanted of one."""
        ticks = {each.key: each.stat.ticks for each in members}
        wants = {each.key: each.wants for each in members if each.wants is not None}
        now, before = self._clock(), self._samples.get(target)
        if before is None:
            self._forget(now)
            sample = _Sample(now, ticks, wants)
        elif (elapsed := now - before.at) < _SHORTEST:
            return before
        elif not ticks.keys() & before.ticks.keys():
            sample = _Sample(now, ticks, wants)  # the replica was started anew
        else:
            taken = sum(count - before.ticks.get(key, 0) for key, count in ticks.items())
            share = taken / _TICKS_PER_SECOND / elapsed
            wanted = {k: (wants[k] - before.wants[k]) / elapsed for k in wants if k in before.wants}
            sample = _Sample(now, ticks, wants, share, wanted)
        self._samples[target] = sample
        return sample

    def _forget(self, now: float) -> None:
        """Drop what was kept of targets that nobody looks at any more."""
        gone = [id_ for id_, sample in self._samples.items() if now - sample.at >= _FORGET]
        for id_ in gone:
            del self._samples[id_]
            self._queues.forget(id_)
            self._waits.forget(id_)
            self._cmdlines.forget(id_)


def _wants(here: str) -> float | None:
    try:
        return parse.wanted(files.read(f"{here}/schedstat"))
    except (OSError, ValueError):
        return None


def _files(here: str) -> tuple[int, int] | None:
    """Linux tells from 6.2 on how many are open, by the size of their folder, to everybody
    (proc_fd_getattr() in fs/proc/fd.c)."""
    try:
        used = os.stat(f"{here}/fd").st_size  # noqa: PTH116  # hot
        most = parse.most_files(files.read(f"{here}/limits")) if used >= _MANY_FILES else None
    except OSError:
        return None
    return None if most is None else (used, most)


def _process(
    member: _Member,
    cmdlines: Mapping[Key, Cmdline],
    waits: Mapping[Key, float],
    wanted: Mapping[Key, float],
    uptime: float,
) -> Process:
    stat, status = member.stat, parse.status(member.text)
    return Process(
        pid=member.pid,
        ppid=stat.ppid,
        ns_pid=status.ns_pid,
        comm=stat.comm,
        cmdline=cmdlines.get(member.key, ()),
        state=stat.state,
        catches_sigterm=status.catches_sigterm,
        age=max(0.0, uptime - stat.started / _TICKS_PER_SECOND),
        waits=waits.get(member.key),
        wanted=wanted.get(member.key),
        files=member.files,
    )
