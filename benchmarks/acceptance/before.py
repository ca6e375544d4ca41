"""The acts behind PM2: how connections grow with its workers, and the change of package manager."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import Final

from benchmarks.acceptance.acts import Load, placed, under_load
from benchmarks.acceptance.desk import AGENT, DBOS, PRISMA, Desk, ask
from examples.quickstart.tour.condition import Seen, until
from provision import desk as images
from provision.paths import BUILD
from provision.progress import Step

PM2: Final = "compose.pm2.yaml"
PM2_BUN: Final = "compose.pm2-bun.yaml"
WORKERS: Final = (1, 2, 4)
_READY: Final = 180.0
_ROUNDS: Final = 3
"""How often each of PM2's workers is asked, or nearly, before all of them count as ready."""
_IN_HAND: Final = 64
"""Orders, of which 16 at most are worked on at a time, for 1.6 s each."""
_NPM_WAS_HERE: Final = ".package-lock.json"
"""What npm, and nobody else, leaves in node_modules: https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json#hidden-lockfiles"""


@dataclass(frozen=True, slots=True)
class Behind:
    """The app behind PM2, under load."""

    workers: int
    """Processes that are the app."""
    runtime: str
    """The program that they run."""
    installer: str
    """Who installed its packages: ``npm`` or ``bun``, by what stands among them."""
    load: Load


@dataclass(frozen=True, slots=True)
class Installed:
    """What a package manager installed from nothing, and in how many seconds, with whatever its
    cache held."""

    seconds: float
    packages: frozenset[tuple[str, str]]
    """Names and versions."""


@dataclass(frozen=True, slots=True)
class Packages:
    """The change of the package manager, and the way back."""

    npm: Installed
    """``npm ci`` from package-lock.json."""
    bun: Installed
    """``bun install`` where only package-lock.json was."""
    same_lock: bool
    """Whether the lock file that Bun wrote then is the one that is kept in the example."""
    again: Installed
    """``npm ci`` in the folder that Bun had installed into."""
    builds: bool
    """Whether ``npm run build`` built the app there."""


def bring_up(desk: Desk, *overrides: str, workers: int = WORKERS[-1]) -> None:
    """Have the app run behind PM2, with so many workers."""
    desk.let(WEB_CONCURRENCY=str(workers))
    desk.up(1, PM2, *overrides)
    (container,) = desk.replicas()
    url = _own_url(desk, container)

    def all_serve() -> Seen:
        """PM2 deals requests out in turn, and says of no worker by itself whether it is ready."""
        answers = [ask(f"{url}/readyz") for _ in range(_ROUNDS * workers)]
        told = {f"{answer.status} {answer.body}" for answer in answers}
        return Seen(all(answer.status == 200 for answer in answers), str(told))

    until("every worker behind PM2 answers", all_serve, within=_READY)


def at_work(desk: Desk) -> Behind:
    """Let users work, and see what serves them."""
    (container,) = desk.replicas()
    declared = PRISMA + DBOS + AGENT
    load = under_load(desk, _own_url(desk, container), declared, lambda users: bool(users.served))
    top = desk.engine.docker("top", container, "-o", "pid,args").splitlines()
    apps = [line.split()[1] for line in top if "server.ts" in line]
    modules = desk.engine.docker("exec", container, "ls", "-A", "node_modules").split()
    return Behind(
        workers=len(apps),
        runtime=" ".join(sorted({Path(program).name for program in apps})),
        installer="npm" if _NPM_WAS_HERE in modules else "bun",
        load=load,
    )


def in_hand(desk: Desk) -> list[str]:
    """Give PM2's workers more orders than they can finish before Compose replaces them."""
    (container,) = desk.replicas()
    return placed(desk, _own_url(desk, container), _IN_HAND)


def _own_url(desk: Desk, container: str) -> str:
    """Its own address: the agent keeps what runs behind PM2 out of rotation."""
    return f"http://{desk.address(container)}:3000"


def packages(step: Step) -> Packages:
    """Install as it was, by Bun in its place, and by npm again, each from the same lock file."""
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        was, becomes = Path(folder, "was"), Path(folder, "becomes")
        for place in (was, becomes):
            place.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(images.BEFORE / name, place)
        step.say("npm ci")
        npm = _installed(was, "npm", "ci")
        step.say("bun install")
        bun = _installed(becomes, "bun", "install")
        lock = (becomes / "bun.lock").read_bytes()
        step.say("npm ci, where Bun had installed")
        again = _installed(becomes, "npm", "ci")
        step.say("npm run build")
        images.copy_all(images.SOURCE, becomes)
        shutil.copy(images.BEFORE / "package.json", becomes)
        images.call("npm", "run", "build", directory=becomes)
        builds = (becomes / "build" / "handler.js").is_file()
    kept = (images.BEFORE / "bun.lock").read_bytes()
    return Packages(npm, bun, lock == kept, again, builds)


def _installed(folder: Path, program: str, *arguments: str) -> Installed:
    begun = time.monotonic()
    images.call(program, *arguments, directory=folder)
    return Installed(time.monotonic() - begun, frozenset(found_in(folder / "node_modules")))


def found_in(modules: Path) -> Iterator[tuple[str, str]]:
    """Names and versions of the packages in a node_modules, and in those inside of packages."""
    if not modules.is_dir():
        return
    for entry in modules.iterdir():
        folders = entry.iterdir() if entry.name.startswith("@") else [entry]
        for package in folders:
            if (package / "package.json").is_file():
                said = loads((package / "package.json").read_text())
                yield said["name"], said["version"]
            yield from found_in(package / "node_modules")
