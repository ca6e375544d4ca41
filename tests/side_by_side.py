"""Which tests share a process, and in which order they begin, where several processes run them.

Tests of one group run in one process, one after the other: those of the files that share a stack,
else those of one file. So a stack is started once, and no test meets another
that harms the same one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from provision.paths import ROOT

SHARED = {
    "quickstart": "tests.system.quickstart import",
    "order desk": "benchmarks.acceptance.desk import",
}
"""By the stack that several files share: the line in each of these files."""

LONG = (
    "order desk",
    "quickstart",
    "tests/system/modes/test_modes.py",
    "tests/system/test_supervisor.py",
    "tests/system/probe/test_fragment.py",
    "tests/system/test_readme.py",
    "tests/system/test_routing_ways.py",
    "tests/system/test_event_loop.py",
    "tests/system/test_docker_source.py",
    "tests/system/exits/test_exits.py",
    "tests/fuzz/test_fuzz.py",
    "tests/system/test_local.py",
    "tests/unit/test_laws.py",  # by its name it would be among the very last
)
"""These begin first, what takes longest before all else, in an order that keeps few stacks standing
at a time: one takes from the others for as long as it stands, whether its tests compute or wait.
"""

KINDS = ("system", "contract", "unit")
"""Then these; what is quick fills the gaps at the end."""

SESSION = Path("/proc/self/autogroup")
NICE = 5
"""A third of the weight that a session has by itself."""


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """pytest-xdist's scheduling by groups, with these groups and in this order."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        config.option.loadscopereorder = False  # else the group of most tests would begin
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group(Path(nodeid.partition("::")[0]))


@cache
def group(file: Path) -> str:
    """The group of a test file, which is relative to the project."""
    text = (ROOT / file).read_text()
    return next((stack for stack, line in SHARED.items() if line in text), file.as_posix())


def turn(file: Path) -> int:
    """When the tests of a file begin: groups in the order of this number."""
    if (name := group(file)) in LONG:
        return LONG.index(name)
    kind = file.parts[1]
    return len(LONG) + (KINDS.index(kind) if kind in KINDS else 0)


@contextmanager
def giving_way(session: Path = SESSION) -> Iterator[None]:
    """Give this session less weight than the containers, then what it had before.

    Where systemd keeps no slices, Linux gives all containers together no more of the processors
    than one session (sched(7), autogroup). Only root may take the weight back in the end, so
    nobody else gives it away. The file says nothing where a control group decides instead.
    """
    before = []
    if os.geteuid() == 0:
        with suppress(OSError):  # a kernel without it, a /proc that can only be read
            before = session.read_text().split()  # such as "/autogroup-25 nice 0"
            if before:
                session.write_text(str(NICE))
    try:
        yield
    finally:
        if before:
            with suppress(OSError):
                session.write_text(before[-1])
