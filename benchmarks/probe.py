"""``python -m benchmarks.probe``: healthprobe beside what else images use for their HEALTHCHECK.

All ask the same server the same GET, one after another in turns, so that what else the machine does
hits all of them alike. The last line of stdout is one JSON object. Exit code 0: what the project
promises holds (wall at most 1/8 of curl's and not above busybox wget's, under 1 MB resident).
1: it does not, or nothing could be measured. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from provision import apt, tools
from provision.errors import ProvisionError
from provision.paths import ROOT
from provision.progress import Progress

_PACKAGES: Final = {
    "curl": "curl",
    "wget": "wget",
    "busybox": "busybox-static",
    "node": "nodejs",
    "hey": "hey",
    "valgrind": "valgrind",
    "ldd": "libc-bin",
}
_PATH: Final = "/readyz"
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_LONGEST_RUN: Final = 30.0
_CALLGRIND: Final = 120.0
_OF_CURL: Final = 1 / 8
_RSS_KB: Final = 1000
_OURS: Final = "healthprobe"


@dataclass(slots=True)
class Peer:
    """One way to ask, and what was measured of it."""

    name: str
    command: list[str]
    program: Path
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    rss_kb: int = 0
    instructions: int | None = None

    @property
    def wall(self) -> float:
        return statistics.median(self.wall_ms)

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpu_ms)

    @property
    def bytes(self) -> int:
        return self.program.stat().st_size

    @property
    def bytes_with_libraries(self) -> int:
        """With the shared libraries that the loader takes, which an image must hold as well."""
        listed = subprocess.run(
            ["ldd", self.program], capture_output=True, text=True, timeout=10, check=False
        )
        paths = {Path(path) for path in re.findall(r"(/\S+) \(0x", listed.stdout)}
        return self.bytes + sum(path.stat().st_size for path in paths)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probe", description=__doc__)
    parser.add_argument("--rounds", type=_positive, default=100, help="turns (default 100)")
    rounds = parser.parse_args().rounds
    progress = Progress()
    try:
        with progress.step("peers") as step:
            missing = [package for tool, package in _PACKAGES.items() if not shutil.which(tool)]
            if missing:
                apt.install(step, *missing)
        with _serving() as url:
            peers = _peers(url)
            _measure_time(peers, rounds, progress)
        for peer in peers:
            with progress.step(f"memory and instructions of {peer.name}") as step:
                peer.rss_kb = _rss_kb(peer, url)
                step.say("counting instructions")
                with _serving(url):
                    peer.instructions = _instructions(peer)
    except (ProvisionError, OSError, subprocess.SubprocessError, RuntimeError) as error:
        print(f"\nThe benchmark ends here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    found = {peer.name: peer for peer in peers}
    document = _document(found)
    print(_table(peers))
    print(json.dumps(document))
    broken = _broken(found)
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number from 1 on")
    return int(text)


def _peers(url: str) -> list[Peer]:
    """The probe, its twin, and the peers, each with the shortest command that checks a status."""
    python = os.path.realpath(sys.executable)
    probe = ROOT / "probes" / "dist" / f"healthprobe-{platform.machine()}"
    urllib = f"import urllib.request as r; r.urlopen('{url}', timeout=2)"
    fetch = f"fetch('{url}').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"
    commands = {
        _OURS: [str(probe), "--http", url],
        "busybox wget": ["busybox", "wget", "-q", "-O", "/dev/null", url],
        "wget": ["wget", "-q", "-T", "2", "-t", "1", "-O", "/dev/null", url],
        "curl": ["curl", "-fsS", "-m", "2", "-o", "/dev/null", url],
        "hey (Go)": ["hey", "-n", "1", "-c", "1", "-t", "2", url],
        "bun -e fetch": [str(tools.bun()), "-e", fetch],
        "healthprobe.py": [python, "-IS", str(ROOT / "probes" / "healthprobe.py"), "--http", url],
        "python urllib": [python, "-IS", "-c", urllib],
        "node -e fetch": ["node", "-e", fetch],
    }
    peers = []
    for name, (program, *arguments) in commands.items():
        found = shutil.which(program)
        if found is None:
            raise RuntimeError(f"{program} is missing; run `make probe`, or install it")
        peers.append(Peer(name, [found, *arguments], Path(found).resolve()))
    return peers


@contextmanager
def _serving(url: str = "http://127.0.0.1:0") -> Iterator[str]:
    """Answer every request in a process of its own; the port of `url` is taken again."""
    listener = socket.create_server(("127.0.0.1", int(url.split(":")[2].split("/")[0])))
    pid = os.fork()
    if pid == 0:
        while True:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(_ANSWER)
            connection.close()
    port = listener.getsockname()[1]
    listener.close()
    try:
        yield f"http://127.0.0.1:{port}{_PATH}"
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _measure_time(peers: list[Peer], rounds: int, progress: Progress) -> None:
    """Run each peer once a round, and begin every round with another one."""
    with progress.step(f"{rounds} rounds of {len(peers)} peers") as step:
        for peer in peers:
            _run(peer)  # the first run reads files from the disk
        told = time.monotonic()
        for number in range(rounds):
            first = number % len(peers)
            for peer in peers[first:] + peers[:first]:
                wall_ms, cpu_ms = _run(peer)
                peer.wall_ms.append(wall_ms)
                peer.cpu_ms.append(cpu_ms)
            if time.monotonic() - told > 2:
                told = time.monotonic()
                step.say(f"round {number + 1}")


def _run(peer: Peer) -> tuple[float, float]:
    """Wall and CPU time of one run, in ms, from the moment before its process exists."""
    began = time.perf_counter()
    pid = _spawn(peer.command)
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if status != 0:
        raise RuntimeError(f"{peer.name} did not find the server healthy: {peer.command}")
    return wall * 1000, (used.ru_utime + used.ru_stime) * 1000


def _spawn(command: list[str]) -> int:
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return os.posix_spawn(command[0], command, environment, file_actions=quiet)


def _rss_kb(peer: Peer, url: str) -> int:
    """Peak resident memory when the request is out and the answer is not yet in, in kB of 1000.

    wait4's ru_maxrss counts what the parent had before the exec, and is of no use for a small
    program: see getrusage(2). VmHWM of /proc/PID/status begins anew with the exec.
    """
    port = int(url.split(":")[2].split("/")[0])
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(_LONGEST_RUN)
        pid = _spawn(peer.command)
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            status = Path(f"/proc/{pid}/status").read_text()
            connection.sendall(_ANSWER)
        os.waitpid(pid, 0)
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError(f"/proc shows no memory of {peer.name}")
    return int(found[1]) * 1024 // 1000


def _instructions(peer: Peer) -> int | None:
    """What callgrind counts in user space; None where valgrind cannot run the program."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *peer.command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    stop = threading.Timer(_CALLGRIND, process.kill)
    stop.start()
    _, said = process.communicate()
    stop.cancel()
    found = re.search(rb"Collected : (\d+)", said)
    return int(found[1]) if found and process.returncode == 0 else None


def _document(found: dict[str, Peer]) -> dict[str, float | int | None]:
    ours = found[_OURS]
    return {
        "bytes": ours.bytes,
        "rss_kb": ours.rss_kb,
        "wall_ms": round(ours.wall, 3),
        "instructions": ours.instructions,
        "vs_curl": round(ours.wall / found["curl"].wall, 4),
        "vs_busybox_wget": round(ours.wall / found["busybox wget"].wall, 4),
    }


def _broken(found: dict[str, Peer]) -> list[str]:
    """What the project promises and this run does not show."""
    ours = found[_OURS]
    broken = []
    if ours.wall > found["curl"].wall * _OF_CURL:
        broken.append("it takes more than 1/8 of curl's time")
    if ours.wall > found["busybox wget"].wall:
        broken.append("it takes longer than busybox wget")
    if ours.rss_kb >= _RSS_KB:
        broken.append(f"it takes {ours.rss_kb} kB of memory")
    return broken


def _table(peers: list[Peer]) -> str:
    ours = next(peer for peer in peers if peer.name == _OURS)
    heads = f"{'':16}{'wall ms':>9}{'ratio':>8}{'CPU ms':>8}{'RSS kB':>9}{'bytes':>12}"
    lines = [heads + f"{'+ libraries':>13}{'instructions':>15}"]
    for peer in sorted(peers, key=lambda peer: peer.wall):
        counted = "-" if peer.instructions is None else f"{peer.instructions:,}"
        lines.append(
            f"{peer.name:16}{peer.wall:9.2f}{peer.wall / ours.wall:8.1f}{peer.cpu:8.2f}"
            f"{peer.rss_kb:9}{peer.bytes:12,}{peer.bytes_with_libraries:13,}{counted:>15}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
