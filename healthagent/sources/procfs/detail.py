"""What /proc tells of a replica's processes and sockets beyond what is judged: for evidence, taken
once, before a process that hangs is ended and all of it is gone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from healthagent.aside import aside
from healthagent.core.observation import Process, ProcessTree, Unseen
from healthagent.core.target import Target, authority
from healthagent.sources.procfs import files, parse
from healthagent.sources.procfs.tree import ProcessTreeSource

MOST_PROCESSES = 20
MOST_THREADS = 50
MOST_SOCKETS = 300

_STATUS = frozenset(
    {"State", "Threads", "VmPeak", "VmRSS", "VmSwap", "FDSize", "SigQ", "SigPnd", "ShdPnd",
     "SigBlk", "SigIgn", "SigCgt", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"}
)  # fmt: skip

_STATES = {
    "01": "established", "02": "syn_sent", "03": "syn_recv", "04": "fin_wait1", "05": "fin_wait2",
    "06": "time_wait", "07": "close", "08": "close_wait", "09": "last_ack", "0A": "listen",
    "0B": "closing", "0C": "new_syn_recv",
}  # fmt: skip
"""enum in include/net/tcp_states.h of Linux."""


class ProcessDetail:
    """Looks closely at the processes that ``tree`` finds. ``proc`` is where procfs is mounted."""

    def __init__(self, tree: ProcessTreeSource, proc: str = "/proc") -> None:
        self._tree = tree
        self._proc = proc

    async def look(self, target: Target, timeout: float) -> Mapping[str, Any] | Unseen:
        """Processes with their threads, and the sockets of their network namespace.

        ``wchan``, ``syscall`` and ``stack`` need CAP_SYS_PTRACE (the last one CAP_SYS_ADMIN); what
        may not be read is left out.
        """
        seen = await self._tree.look(target, timeout)
        if isinstance(seen, Unseen):
            return seen
        if seen.root is None:
            return Unseen("its first process has ended")
        return await aside("evidence", partial(self._detail, seen, seen.root))

    def _detail(self, seen: ProcessTree, root: Process) -> Mapping[str, Any]:
        """In a thread: ``syscall`` and ``stack`` wait for who is in the middle of exec()."""
        return {
            "cpu": seen.cpu,
            "accept_queue": dict(seen.accept_queue or {}),
            "processes": [self._process(each) for each in seen.processes[:MOST_PROCESSES]],
            "sockets": self._sockets(root.pid),
        }

    def _process(self, process: Process) -> dict[str, Any]:
        pid = process.pid
        found: dict[str, Any] = {
            "pid": pid,
            "ppid": process.ppid,
            "comm": process.comm,
            "cmdline": " ".join(process.cmdline),
            "state": process.state,
            "age": process.age,
        }
        for line in self._text(f"{pid}/status").splitlines():
            name, _, value = line.partition(":")
            if name in _STATUS:
                found[name] = value.strip()
        found |= self._where(str(pid))
        found["open_files"] = self._count(f"{pid}/fd")
        threads = self._names(f"{pid}/task")
        found["threads"] = [self._thread(pid, thread) for thread in threads[:MOST_THREADS]]
        return {name: value for name, value in found.items() if value not in (None, "")}

    def _thread(self, pid: int, thread: str) -> dict[str, Any]:
        path = f"{pid}/task/{thread}"
        stat = self._text(f"{path}/stat")
        state = stat.rpartition(")")[2].split()[:1]
        return {
            "tid": int(thread),
            "comm": self._text(f"{path}/comm").strip(),
            "state": "".join(state),
            **self._where(path),
        }

    def _where(self, path: str) -> dict[str, str]:
        """Where in the kernel it waits, as far as that may be read: without the right to it wchan
        reads 0 (proc(5))."""
        told = {
            name: self._text(f"{path}/{name}").strip() for name in ("wchan", "syscall", "stack")
        }
        return {name: text for name, text in told.items() if text not in ("", "0")}

    def _sockets(self, pid: int) -> dict[str, Any]:
        """First those that listen, then those on which most waits."""
        rows: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        for table in ("tcp", "tcp6"):
            try:
                lines = files.sockets(f"{self._proc}/{pid}/net/{table}", only_listening=False).rows
            except OSError:
                continue
            for line in lines:
                fields = line.decode(errors="replace").split()
                if len(fields) < 5 or fields[3] not in _STATES:
                    continue
                state = _STATES[fields[3]]
                counts[state] = counts.get(state, 0) + 1
                sent, _, unread = fields[4].partition(":")
                rows.append(
                    {
                        "state": state,
                        "local": _address(fields[1]),
                        "remote": _address(fields[2]),
                        "unsent": int(sent, 16),
                        "unread": int(unread, 16),
                    }
                )
        rows.sort(key=lambda row: (row["state"] != "listen", -row["unread"] - row["unsent"]))
        return {"counts": counts, "rows": rows[:MOST_SOCKETS]}

    def _text(self, path: str) -> str:
        try:
            return files.read(f"{self._proc}/{path}").decode(errors="replace")
        except OSError:
            return ""

    def _names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(f"{self._proc}/{path}"), key=int)  # noqa: PTH208  # names alone
        except OSError:
            return []

    def _count(self, path: str) -> int | None:
        return len(self._names(path)) or None


def _address(text: str) -> str:
    return authority(*parse.address(text))
