"""Build the native healthprobe: python -m probes.build [x86_64] [aarch64]

Cython turns `native/*.py` into C, and zig's C compiler links that statically with its own musl, for
either machine on either machine. Every function is C only, so nothing refers to the interpreter:
the linker drops all that Cython writes for it, and what is left is a few kilobytes.

The same sources, Cython and zig give the same bytes. What was built is not built again until a
source changes; --force does it anyway.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROBES = Path(__file__).resolve().parent
NATIVE = PROBES / "native"
DIST = PROBES / "dist"
WORK = PROBES.parent / "build"

MACHINES = ("x86_64", "aarch64")

CYTHON = ("-3", "-X", "cdivision=True", "-X", "emit_code_comments=False")

# -Xclang: zig passes -Oz on as -Os. Char is signed on x86_64 and unsigned on aarch64; the sources
# count on unsigned. The stack protector stays: the probe reads what strangers send.
COMPILER = (
    "-std=c11",
    "-D_GNU_SOURCE",
    "-Oz",
    "-Xclang",
    "-Oz",
    "-flto",
    "-funsigned-char",
    "-fstack-protector-strong",
    "-fomit-frame-pointer",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fno-jump-tables",
    "-ffunction-sections",
    "-fdata-sections",
)
# Clang gives every array of 16 bytes or more an address that 16 divides; strings need none.
STRING = re.compile(r"^(static const char) (__pyx_k_\w*\[\])", re.MULTILINE)
LINKER = ("-static", "-s", "-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-z,norelro")

PROGRESS_SECONDS = 1.0  # on a terminal, where the line is written over
LOG_SECONDS = 10.0  # elsewhere
ERROR_LINES = 40


class BuildError(Exception):
    """The probe cannot be built; the message says what to do."""


def main() -> int:
    """Build what was asked for, and print each file with its size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help="default: all")
    parser.add_argument("--force", action="store_true", help="build even what is up to date")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(os.environ.get("ZIG_GLOBAL_CACHE_DIR") or WORK / "zig-cache"),
        help="where zig keeps what it has compiled (ZIG_GLOBAL_CACHE_DIR; default %(default)s)",
    )
    arguments = parser.parse_args()
    try:
        for machine in arguments.machines:
            if machine not in MACHINES:
                raise BuildError(f"unknown machine {machine!r}: choose from {', '.join(MACHINES)}")
        machines = arguments.machines or MACHINES
        build(machines, cache=arguments.cache.resolve(), force=arguments.force)
    except BuildError as error:
        print(f"probes/build.py: {error}", file=sys.stderr)
        return 1
    return 0


def build(machines: Iterable[str], *, cache: Path, force: bool = False) -> None:
    """Build the probe for these machines, those aside where it is up to date, and print each."""
    probes = {machine: DIST / f"healthprobe-{machine}" for machine in machines}
    with one_at_a_time():
        stale = {m: probe for m, probe in probes.items() if force or not is_up_to_date(probe)}
        if stale:
            generated = generate_c(WORK / "probe-c")  # the same for all
            for machine, probe in stale.items():
                fresh = generated / probe.name
                link(generated, fresh, machine, cache)
                drop_section_headers(fresh)
                publish(fresh, probe)
    for probe in probes.values():
        print(f"{probe.relative_to(PROBES.parent)}  {probe.stat().st_size} bytes", flush=True)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let a second build wait for the first, and then find its work done."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "probe.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_up_to_date(probe: Path) -> bool:
    """Tell whether the probe is younger than everything it is made of."""
    sources = [Path(__file__), *NATIVE.glob("*.py"), *NATIVE.glob("*.pxd")]
    if not probe.exists() or not checksum_file(probe).exists():
        return False
    return probe.stat().st_mtime > max(source.stat().st_mtime for source in sources)


def generate_c(target: Path) -> Path:
    """Let Cython write one C file per module into an empty directory."""
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    sources = sorted(source.name for source in NATIVE.glob("*.py"))
    # The trailing slash tells Cython that this is a directory.
    command = [sys.executable, "-m", "cython", *CYTHON, "-o", f"{target}/", *sources]
    run(command, cwd=NATIVE, title="Cython writes C")
    for written in target.glob("*.c"):
        written.write_text(STRING.sub(r"\1 __attribute__((aligned(1))) \2", written.read_text()))
    return target


def link(generated: Path, probe: Path, machine: str, cache: Path) -> None:
    """Compile and link with zig; relative names only, so that no path gets into the binary.

    ``cache`` keeps zig's C library; the probe itself is compiled anew each time.
    """
    headers = find_python_headers(generated, machine)
    sources = sorted(source.name for source in generated.glob("*.c"))
    command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-musl"]
    command += [*COMPILER, *(f"-I{path}" for path in headers), *sources, *LINKER, "-o", probe.name]
    own = generated / "zig-cache"
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(own)}
    title = f"zig links for {machine}"
    if not cache.exists():
        title += " (the first time it compiles its C library, about a minute)"
    run(command, cwd=generated, title=title, variables=caches)


def drop_section_headers(probe: Path) -> None:
    """Cut off what only linkers and debuggers read: the kernel loads segments.

    Source: elf(5). Both machines have the 64-bit little-endian form.
    """
    image = bytearray(probe.read_bytes())
    first, size, count = struct.unpack_from("<Q14xHH", image, 32)
    segments = [struct.unpack_from("<8xQ16xQ", image, first + size * i) for i in range(count)]
    struct.pack_into("<Q", image, 40, 0)  # e_shoff
    struct.pack_into("<HHH", image, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    probe.write_bytes(image[: max(offset + length for offset, length in segments)])


def find_python_headers(generated: Path, machine: str) -> list[Path]:
    """Find the directories of Python.h and of all that it includes.

    Debian keeps pyconfig.h in a directory of the machine that Python runs on, and its Python.h asks
    for that of the machine that is compiled for. Both have 64 bits, so one serves for the other.
    """
    headers = Path(sysconfig.get_paths()["include"])
    if not (headers / "Python.h").exists():
        raise BuildError(
            f"{headers}/Python.h is missing: Cython's output includes it, though nothing of it is"
            " linked. Install Python's headers (Debian: apt-get install python3-dev)"
        )
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    real = headers.parent / multiarch / headers.name / "pyconfig.h"
    if real.exists():
        stand_in = generated / "include" / f"{machine}-linux-gnu" / headers.name / real.name
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real, stand_in)
    return [generated / "include", headers]


def run(
    command: list[str], *, cwd: Path, title: str, variables: dict[str, str] | None = None
) -> None:
    """Run a tool, show that it still works, and raise BuildError with what it said if it fails."""
    log = WORK / "probe-build.log"
    told = 0.0
    began = time.monotonic()
    on_terminal = sys.stdout.isatty()
    print(f"{title} ...", flush=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(variables or {})}, stdout=output, stderr=output
        )
        while True:
            try:
                status = process.wait(timeout=PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - began
                if on_terminal:
                    print(f"  {seconds:.0f} s", end="\r", flush=True)
                elif seconds >= told + LOG_SECONDS:
                    told = seconds
                    print(f"  {seconds:.0f} s", flush=True)
    if status != 0:
        said = "\n".join(log.read_text(errors="replace").splitlines()[:ERROR_LINES])
        raise BuildError(f"{title}: failed with status {status}; all of it is in {log}:\n{said}")


def publish(fresh: Path, probe: Path) -> None:
    """Put a finished probe and its checksum in place, each at once."""
    DIST.mkdir(exist_ok=True)
    fresh.chmod(0o755)
    digest = hashlib.sha256(fresh.read_bytes()).hexdigest()
    checksum = checksum_file(fresh)
    checksum.write_text(f"{digest}  {probe.name}\n")
    shutil.move(fresh, probe)
    shutil.move(checksum, checksum_file(probe))


def checksum_file(probe: Path) -> Path:
    """Name the file that `sha256sum -c` reads."""
    return probe.with_name(f"{probe.name}.sha256")


if __name__ == "__main__":
    sys.exit(main())
