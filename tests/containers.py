"""Real containers for tests: small, quick to start, and gone afterwards whatever happens.

Their image holds this machine's own ``dash`` and ``sleep`` with the libraries they need, so that
it takes no registry and a fraction of a second. All carry a Compose project of a name of their own,
which lets the next run sweep away what a killed one left.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provision import owner, projects, recipe, state
from provision.engine import PROJECT, Engine
from provision.progress import Progress

IMAGE = "healthagent/test-shell:local"
SLEEP = ("/bin/sleep", "3600")
HEARS_SIGTERM = ("/bin/dash", "-c", "trap 'exit 7' TERM; sleep 3600 & wait")

ON_THE_HOST = "--network host"
"""For the many that no test asks for an address: a network of its own is most of what it takes the
Engine to start such a container."""


@dataclass(slots=True)
class Containers:
    """Containers of one Compose project, by which a discovery can be kept to them."""

    engine: Engine
    project: str = field(default_factory=lambda: owner.new_name("sources"))

    def run(
        self, *command: str, labels: dict[str, str] | None = None, options: str = ON_THE_HOST
    ) -> str:
        """Start a container that asks to be watched; return its id."""
        return self._make("run", "--detach", command=command, labels=labels, options=options)

    def create(self, labels: dict[str, str] | None = None, options: str = "") -> str:
        """Make one and leave it unstarted."""
        return self._make("create", command=(), labels=labels, options=options)

    def network(self, name: str) -> str:
        """Make a network; return its whole name."""
        whole = f"{self.project}-{name}"
        label = f"{PROJECT}={self.project}"
        self.engine.docker("network", "create", "--label", label, whole)
        return whole

    def docker(self, *arguments: str) -> str:
        return self.engine.docker(*arguments).strip()

    def _make(
        self, *verb: str, command: tuple[str, ...], labels: dict[str, str] | None, options: str
    ) -> str:
        told = {
            PROJECT: self.project,
            "healthagent.enable": "true",
            **(labels or {}),
        }
        flags = [word for key, value in told.items() for word in ("--label", f"{key}={value}")]
        return self.docker(*verb, *flags, *options.split(), IMAGE, *(command or SLEEP))


@contextmanager
def containers(engine: Engine) -> Iterator[Containers]:
    _ensure_image(engine)
    made = Containers(engine)
    try:
        yield made
    finally:
        projects.remove(engine, made.project)


def _ensure_image(engine: Engine) -> None:
    with state.exclusive(Progress()):
        if not engine.docker("images", "--quiet", IMAGE):
            _make_image()


def _make_image() -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        programs = ("/bin/dash", "/bin/sleep")
        needed = {library for program in programs for library in _libraries(program)}
        for path in (*programs, *sorted(needed)):
            tar.add(path, path.removeprefix("/"))
    changes = ("ENV PATH=/bin", f"LABEL {recipe.RECIPE}=once")
    options = [word for change in changes for word in ("--change", change)]
    command = ["docker", "import", *options, "-", IMAGE]
    subprocess.run(command, input=archive.getvalue(), check=True, capture_output=True, timeout=60)


def _libraries(program: str) -> list[str]:
    """The shared libraries of a program and its loader, as ldd(1) lists them."""
    listed = subprocess.run(
        ["ldd", program], check=True, capture_output=True, text=True, timeout=60
    )
    return [path for path in re.findall(r"/\S+", listed.stdout) if Path(path).is_file()]
