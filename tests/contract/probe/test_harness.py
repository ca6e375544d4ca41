"""What Docker or an image may do to the probe: no stdout, no files, no interpreter, no rights."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision import apt
from provision.errors import ProvisionError
from provision.progress import Progress

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOBODY = 65534
START = {"execve", "arch_prctl", "set_tid_address"}  # musl's, before `main`
WORK = {"clock_gettime", "poll", "rt_sigprocmask", "open", "fcntl", "read", "write", "close"}
NETWORK = {"socket", "connect", "getsockopt", "getrandom", "sendto", "recvfrom"}
LITTLE_MEMORY = 1_000_000
LARGEST_BYTES = 24 * 1024  # decisions/0002-probe.md says what they are spent on


def test_a_closed_stdout_changes_nothing(program: list[str], serve: Serve) -> None:
    """The first socket gets the number 1 then: the line must not go to the application."""
    server = serve(OK, "hold")
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *program, "--http", server.url]
    assert subprocess.run(command, check=False).returncode == 0
    assert len(server.requests) == 1
    assert b"ok pid1" not in server.requests[0]


def test_a_stdout_that_nobody_reads_changes_nothing(program: list[str], serve: Serve) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [*program, "--http", serve(OK).url]
        assert subprocess.run(command, stdout=writing, check=False).returncode == 0
    finally:
        os.close(writing)


def test_a_stdout_that_is_full_is_not_waited_for(program: list[str], serve: Serve) -> None:
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4096))
        os.set_blocking(writing, True)
        command = [*program, "--http", serve(OK).url]
        assert subprocess.run(command, stdout=writing, timeout=30, check=False).returncode == 0
    finally:
        os.close(reading)
        os.close(writing)


def test_a_full_disk_changes_nothing(program: list[str], serve: Serve) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*program, "--http", serve(OK).url]
        assert subprocess.run(command, stdout=full, check=False).returncode == 0


def test_no_files_at_all(program: list[str], serve: Serve) -> None:
    """No descriptor is open, not even stdin."""
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *program, "--http", serve(OK).url]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_native_probe_needs_nothing_but_itself(native: Path) -> None:
    image = native.read_bytes()
    assert image[:4] == b"\x7fELF"
    assert b"ld-musl" not in image and b"ld-linux" not in image, "it must be linked statically"
    assert b"Py_" not in image, "nothing of an interpreter may be in it"
    assert len(image) <= LARGEST_BYTES, "the probe has grown: see what the linker kept"


def test_the_checksum_is_the_probes(native: Path) -> None:
    digest, name = native.with_name(f"{native.name}.sha256").read_text().split()
    assert (digest, name) == (hashlib.sha256(native.read_bytes()).hexdigest(), native.name)


@pytest.fixture(scope="session")
def strace() -> str:
    """A strace that may trace here: a container may be denied ptrace(2)."""
    try:
        if shutil.which("strace") is None:
            with Progress().step("strace") as step:
                apt.install(step, "strace")
    except ProvisionError as error:
        pytest.skip(f"no strace: {error}")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode != 0:
        pytest.skip("strace may not trace here")
    return "strace"


@pytest.mark.system
@pytest.mark.may_skip
def test_the_native_probe_writes_nothing_but_its_line_and_asks_for_no_memory(
    native: Path, strace: str, serve: Serve, tmp_path: Path
) -> None:
    """All that it asks of the kernel in a whole life: no brk, no mmap, no file opened to write."""
    trace = tmp_path / "trace"
    port = serve(OK + b"x" * 9999, "flood").url.rpartition(":")[2]
    flags = ["--http", f"http://localhost:{port}/", "--body", "absent", "--pid1", "bun", "--wait"]
    agent = ["--agent", "http://no-such-name.invalid:1", "--timeout", "2000"]
    command = [strace, "-f", "-o", str(trace), str(native), *flags, *agent]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "without 'absent'" in said.stdout or "failed pid1" in said.stdout
    calls = re.findall(r"^\d+ +(\w+)\((.*)", trace.read_text(), re.MULTILINE)
    assert {name for name, _ in calls} - {"exit_group"} <= START | WORK | NETWORK
    opened = [given for name, given in calls if name == "open"]
    assert any("/proc/1/stat" in given for given in opened)
    assert all("O_RDONLY" in given and "O_CREAT" not in given for given in opened)
    assert [given[:2] for name, given in calls if name == "write"] == ["1,"]


@pytest.mark.usefixtures("as_root")
def test_an_empty_root_as_nobody_with_little_memory(
    native: Path, nobody: str, tmp_path: Path
) -> None:
    """What the smallest image gives it: one file, no rights, one megabyte of address space."""
    shutil.copy(native, tmp_path / "healthprobe")
    tmp_path.chmod(0o755)

    def confine() -> None:
        os.chroot(tmp_path)
        os.chdir("/")
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        resource.setrlimit(resource.RLIMIT_AS, (LITTLE_MEMORY, LITTLE_MEMORY))

    port = nobody.rpartition(":")[2]
    command = ["/healthprobe", "--pid1", "bun", "--http", f"http://localhost:{port}/livez"]
    result = subprocess.run(command, capture_output=True, preexec_fn=confine, check=False)
    assert result.returncode == 1
    assert b"; pid1=unknown http=refused agent=- ms=" in result.stdout
