"""Builds and runs the fuzzer: Cython's C of the probe and of `probes/fuzz/target.py`, by clang.

The sanitizers are clang's, since zig brings no AddressSanitizer. The interpreter's functions, which
Cython's own C refers to and nothing calls, stay unresolved.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from probes import build as probe_build
from provision import apt, recipe
from provision.command import run as run_command
from provision.paths import BUILD
from provision.progress import Step

TARGET = probe_build.PROBES / "fuzz"
FOLDER = BUILD / "fuzz"
PACKAGES = ("clang", "libclang-rt-14-dev", "llvm-14", "binutils")
COMPILER = (
    "-std=gnu11",
    "-D_GNU_SOURCE",
    "-g",
    "-O1",
    "-w",
    "-funsigned-char",
    "-fno-pie",
    "-fno-sanitize-recover=all",
    "-mllvm",
    "-asan-globals=0",  # they would keep the interpreter's names in use
)
LINKER = ("-no-pie", "-Wl,--unresolved-symbols=ignore-all")
WRAPPED = tuple(f"-Wl,--wrap={function}" for function in ("open64", "read", "close"))
LONGEST_INPUT = 8192
MINIMUM_RUNS = 50_000  # two busy processors were seen to come to 33 000 in half a minute

OK = b"HTTP/1.1 200 OK\r\n"
SEEDS = (
    b"rready\n" + OK + b"Content-Length: 5\r\n\r\nready",
    b"rx\n" + OK + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
    b"r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\n\r\n[+]a ok\n[-]b failed: c\n",
    b"r\nHTTP/1.1 99999999999 OK\r\n\r\n",
    b"r\nHTTP/1.1 401 \xc2\x9b\r\nContent-Length: -1\r\n\r\n\x00\x1b[2J",
    b"d\0\0\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1",
    b"d\0\0\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\x1c\0\1\xc0\x0c\0\x1c\0\1\0\0\0\0\0\x10" + bytes(16),
    b"nDB\xff127.0.0.1 localhost\n::1 db a # b\n10.0.0.1\tdb\n\xff#\nnameserver 127.0.0.11\n",
    b"nlocalhost\xff\xffsearch a\nnameserver ::1\nnameserver 1\noptions ndots:0\n",
    b"pbun,node\xff1 (bun) S" + b" 0" * 16 + b" 7\xff/usr/bin/bun\0run\0",
    b"pbun\xff1 (a) (b) T" + b" 0" * 16 + b" 1\xffbun\0\xff9 10\xff9 10\xff"
    b"9 (sh) S" + b" 0" * 16 + b" 1\xffsh\0\xff10 (bun) t" + b" 0" * 16 + b" 9\xffbun\0",
    b"a--live\0--http\0http://127.0.0.1:80/a?b\0--agent\0http://[::1]:1/\0--pid1\0bun,node",
    b"a--tcp\0db:1\0--http\0http://a/b\0--agent\0http://a:1\xff\xff" + OK + b"\r\nno",
    b"a\xffHEALTHPROBE_HTTP=http://a:1\0HEALTHPROBE_BODY=no\0HEALTHPROBE_EXPECT=200\xff" + OK,
    b"a\xffPORT=80\0HEALTHPROBE_HEADER=A: b\0HEALTHPROBE_PID1=\0HEALTHPROBE_TIMEOUT=9\xffno",
    b"a--http=unix:/run/app.sock:/livez\0--expect\x00200-299,401\0--body\0ready\0--wait",
    b"a--tcp\0db:5432\0--header\0Host: a\0--header\0X-Y:z\0--timeout=5\0--ready\0-h",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    runs: int
    crashed: bool
    said: str
    """The end of the fuzzer's output."""


def build(step: Step) -> Path:
    """Build the fuzzer, clang included where it is missing. Raises ProvisionError."""
    program = FOLDER / "fuzz"
    if _is_up_to_date(program):
        return program
    generated = _generate(step, "fuzz-c")
    (generated / "main.c").unlink()  # libFuzzer has a `main` of its own
    run_command(
        [
            sys.executable, "-m", "cython", *probe_build.CYTHON,
            "-I", str(probe_build.NATIVE), "-o", generated / "target.c", "target.py",
        ],
        timeout=120, directory=TARGET,
    )  # fmt: skip
    return _compile(generated, program, "fuzzer,address,undefined", *WRAPPED)


def build_probe(step: Step) -> Path:
    """Build the whole probe under the sanitizers. Raises ProvisionError."""
    program = FOLDER / "healthprobe-sanitized"
    if _is_up_to_date(program):
        return program
    return _compile(_generate(step, "sanitized-c"), program, "address,undefined")


def _is_up_to_date(program: Path) -> bool:
    return program.exists() and _mark(program).exists()


def _mark(program: Path) -> Path:
    """A file that is there once the program is built from the sources as they are."""
    folders = (probe_build.NATIVE, TARGET)
    sources = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    made_of = recipe.digest([*sources, Path(__file__), Path(probe_build.__file__)])
    return program.with_name(f"{program.name}.{made_of}")


def _generate(step: Step, folder: str) -> Path:
    """A folder for each program, since both may be built at a time."""
    if not all(map(shutil.which, ("clang", "ld"))) or not _has_runtime():
        apt.install(step, *PACKAGES)
    step.say("compiling under the sanitizers")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with probe_build.one_at_a_time():
        return probe_build.generate_c(FOLDER / folder)


def _compile(generated: Path, program: Path, sanitizers: str, *flags: str) -> Path:
    headers = probe_build.find_python_headers(generated, os.uname().machine)
    run_command(
        [
            "clang", *COMPILER, f"-fsanitize={sanitizers}", *(f"-I{path}" for path in headers),
            *sorted(generated.glob("*.c")), *LINKER, *flags, "-o", program,
        ],
        timeout=300,
    )  # fmt: skip
    for old in program.parent.glob(f"{program.name}.*"):
        old.unlink()
    _mark(program).touch()
    return program


def run(program: Path, seconds: int) -> Result:
    """Fuzz for some seconds, on what earlier runs have found."""
    corpus = FOLDER / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    finished = subprocess.run(
        [
            program, f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", "-timeout=5",
            "-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={FOLDER}/", corpus,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds + 120, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    said = finished.stdout.decode(errors="backslashreplace")
    counted = re.search(r"stat::number_of_executed_units: (\d+)", said)
    return Result(
        runs=int(counted[1]) if counted else 0,
        crashed=finished.returncode != 0,
        said="\n".join(said.splitlines()[-40:]),
    )


def _has_runtime() -> bool:
    """Whether clang finds its fuzzer's library, which is a Debian package of its own."""
    asked = ["clang", "--print-file-name=libclang_rt.fuzzer-x86_64.a"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10)
    return Path(found.stdout.strip()).is_file()
