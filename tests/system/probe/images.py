"""Images that Dockerfile.fragment is built into: Debian-based, Alpine-like, and empty."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probes import build as probe_build
from provision import apt, images, owner, projects
from provision.command import run
from provision.engine import PROJECT, Engine
from provision.paths import BUILD, ROOT
from provision.progress import Progress

FRAGMENT = ROOT / "Dockerfile.fragment"
APP = Path(__file__).parent / "app.c"
LOADER = f"/lib/ld-musl-{platform.machine()}.so.1"
BUSYBOX = "/bin/busybox"
NOBODY = "65534:65534"
CONFINED = (
    "--read-only", "--user", NOBODY, "--cap-drop", "ALL", "--memory", "16m",
    "--security-opt", "no-new-privileges", "--network", "none",
)  # fmt: skip
"""What the strictest user gives a container."""

BASES = {
    "debian": f"FROM {images.BUN.tag}\nCOPY static /bun\n",
    # Debian's own musl and busybox: the layout of Alpine's smallest system, and no glibc.
    "alpine": "FROM scratch\nCOPY rootfs /\nCOPY dynamic /bun\n",
    "empty": "FROM scratch\nCOPY static /bun\n",
}


@dataclass(frozen=True, slots=True)
class Made:
    """An image of the test's own."""

    engine: Engine
    tag: str
    project: str

    def start(self, *options: str, command: tuple[str, ...] = ("/bun",)) -> str:
        """Start the application; return the container's id."""
        label = f"{PROJECT}={self.project}"
        return self.engine.docker(
            "run", "--detach", "--label", label, *options, self.tag, *command
        ).strip()


@contextlib.contextmanager
def built(engine: Engine, kind: str) -> Iterator[Made]:
    """Build the fragment into one kind of image; the image and its containers go at the end."""
    project = owner.new_name("probe")
    made = Made(engine, f"healthagent/{project}-{kind}:local", project)
    if kind == "debian":
        images.ensure(engine)
    try:
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            context = Path(folder)
            _fill(context, kind)
            engine.docker("build", "--quiet", "--tag", made.tag, str(context), timeout=300)
        yield made
    finally:
        projects.remove(engine, project)
        with contextlib.suppress(Exception):
            engine.docker("image", "rm", made.tag)


def _fill(context: Path, kind: str) -> None:
    run([sys.executable, "-m", "probes.build", platform.machine()], timeout=300, directory=ROOT)
    run([sys.executable, "-m", "healthagent", "probe", "install", str(context)], timeout=30)
    if kind == "alpine":
        _compile(context / "dynamic", "-dynamic")
        _alpine(context / "rootfs")
    else:
        _compile(context / "static", "-static")
    recipe = BASES[kind] + FRAGMENT.read_text() + 'USER 65534\nCMD ["/bun"]\n'
    (context / "Dockerfile").write_text(recipe)


def _compile(program: Path, linking: str) -> None:
    """As the probe is, for which zig has compiled its C library already: with its flags, and from
    a folder beside that of its build, since zig's cache goes by the way from there to zig."""
    cache = os.environ.get("ZIG_GLOBAL_CACHE_DIR") or str(BUILD / "zig-cache")
    target = f"{platform.machine()}-linux-musl"
    run(
        [
            sys.executable, "-m", "ziglang", "cc", "-target", target, *probe_build.COMPILER,
            linking, str(APP), "-o", str(program),
        ],
        timeout=300,
        directory=program.parent,
        environment={"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache},
    )  # fmt: skip


def _alpine(rootfs: Path) -> None:
    with Progress().step("musl and busybox") as step:
        if not Path(LOADER).exists() or not Path(BUSYBOX).exists():
            apt.install(step, "musl", "busybox-static")
    for folder in ("bin", "lib", "proc", "dev", "sys", "etc"):
        (rootfs / folder).mkdir(parents=True)
    shutil.copy(LOADER, rootfs / LOADER.removeprefix("/"))
    shutil.copy(shutil.which("busybox") or BUSYBOX, rootfs / "bin" / "busybox")
    (rootfs / "bin" / "sh").symlink_to("busybox")


def processes(container: str, engine: Engine) -> dict[int, str]:
    """All processes of a container's pid namespace, zombies included: pid outside, name inside."""
    first = engine.docker("inspect", "--format", "{{.State.Pid}}", container).strip()
    space = Path(f"/proc/{first}/ns/pid").readlink()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "ns" / "pid").readlink() == space:
                found[int(process.name)] = (process / "comm").read_text().strip()
    return found
