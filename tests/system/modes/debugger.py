"""Stops a process as a debugger does: by ptrace(2), from a process of its own."""

from __future__ import annotations

import subprocess
import sys

from tests.system.modes.replica import Replica

TRACER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long,) * 4
ATTACH, DETACH = 16, 17
pid = int(sys.argv[1])
if libc.ptrace(ATTACH, pid, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(pid, 0x40000000)
print("attached", flush=True)
sys.stdin.read()
libc.ptrace(DETACH, pid, 0, 0)
"""
"""The kernel lets the process go should the tracer be killed."""

_tracers: dict[str, subprocess.Popen[str]] = {}


def attach(replica: Replica) -> None:
    tracer = subprocess.Popen(
        [sys.executable, "-c", TRACER, str(replica.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    _tracers[replica.name] = tracer
    assert tracer.stdout is not None
    assert tracer.stdout.readline(), "the process could not be traced"


def detach(replica: Replica) -> None:
    _tracers.pop(replica.name).communicate(timeout=10)
