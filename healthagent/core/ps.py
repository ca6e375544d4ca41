"""What ps(1) prints of processes, as ``docker top`` hands it on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from healthagent.core.observation import Process

_DEFUNCT = re.compile(r"\[(.*)\] <defunct>")


def process(pid: str, ppid: str, stat: str, args: str, age: float | None = None) -> Process:
    """One line of it. It knows the name alone of one that has ended, and else the arguments."""
    defunct = _DEFUNCT.fullmatch(args)
    words = () if defunct else tuple(args.split())
    return Process(
        pid=int(pid),
        ppid=int(ppid),
        ns_pid=None,
        comm=defunct[1] if defunct else PurePath(words[0]).name[:15] if words else "",
        cmdline=words,
        state=stat[:1],
        age=age,
    )


def family(root: int, told: Sequence[Process]) -> list[Process]:
    """The first process and all below it, parents first: what ``docker exec`` started is not."""
    found = [each for each in told if each.pid == root]
    for parent in found:
        found += [each for each in told if each.ppid == parent.pid]
    return found
