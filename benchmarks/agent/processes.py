"""CPU time of a stack and of the Engine that runs it, whatever else the machine does meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ENGINE: Final = frozenset({"dockerd", "containerd"})


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    name: str
    seconds: float


def cpu_seconds(containers: Iterable[int]) -> float:
    """What has been taken so far by these containers, given by their first processes, and for them.

    That is the Engine's daemons and, of each container, the shim with all below it: the container's
    processes, and the runtime that starts what a HEALTHCHECK runs. Each counts with the children it
    has waited for (proc_pid_stat(5), utime to cstime), so nothing that ends is lost. What the
    kernel does in threads of its own and in interrupts is not in it.
    """
    processes = _processes()
    below: dict[int, list[int]] = {}
    for pid, process in processes.items():
        below.setdefault(process.parent, []).append(pid)
    counted = [pid for pid, process in processes.items() if process.name in _ENGINE]
    family = list({processes[pid].parent for pid in containers if pid in processes})
    for pid in family:
        family.extend(below.get(pid, ()))
    return sum(processes[pid].seconds for pid in {*counted, *family} if pid in processes)


def _processes() -> dict[int, _Process]:
    found: dict[int, _Process] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text(errors="replace")
        except OSError:
            continue  # ended meanwhile
        head, _, rest = text.rpartition(")")
        fields = rest.split()
        ticks = sum(map(int, fields[11:15]))
        found[int(folder.name)] = _Process(int(fields[1]), head.partition("(")[2], ticks / _TICKS)
    return found
