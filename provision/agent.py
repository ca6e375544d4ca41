"""The agent's own image, ``healthagent:dev``, from this checkout and its lock file."""

import platform
import shutil
import tempfile
from pathlib import Path
from typing import Final

from provision import images, probe, recipe, state, tools
from provision.command import run
from provision.engine import Engine
from provision.paths import BUILD, ROOT
from provision.progress import Progress, Step

TAG: Final = "healthagent:dev"
_CONTEXT: Final = BUILD / "image"
_PYTHON: Final = "3.11"
# glibc 2.36 is bookworm's: wheels for it and for anything older run in the image.
_PLATFORM: Final = f"{platform.machine()}-manylinux_2_36"


def ensure(engine: Engine, progress: Progress | None = None) -> str:
    """Have the image in the engine, built again only when what goes into it has changed.

    The base image must be there. Returns the tag. Raises ProvisionError.
    """
    progress = progress or Progress()
    with state.exclusive(progress):
        probe.ensure(progress)  # the package carries it, and the image's HEALTHCHECK is it
        with progress.step(TAG) as step:
            dependencies = recipe.digest([ROOT / "uv.lock"], _PYTHON, _PLATFORM)
            base = engine.image_id(images.PYTHON.tag)
            wanted = recipe.digest(_sources(), dependencies, base)
            if (recipe.labels(engine, TAG) or {}).get(recipe.RECIPE) == wanted:
                step.outcome = "unchanged"
                return TAG
            _install(step, dependencies)
            step.say("building")
            recipe.build(engine, TAG, ROOT, wanted)
            step.outcome = "built"
    return TAG


def _sources() -> list[Path]:
    """Every file the image depends on, the lock file aside."""
    package = [
        path
        for path in (ROOT / "healthagent").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    names = ("Dockerfile", ".dockerignore", "pyproject.toml", "hatch_build.py")
    probes = (ROOT / "probes" / "dist").glob("healthprobe-*")  # hatch_build.py adds them
    return [*(ROOT / name for name in names), *probes, *package]


def _install(step: Step, dependencies: str) -> None:
    """Lay out the packages for the image's Python, whatever Python runs this."""
    done = _CONTEXT / f"dependencies-{dependencies}"
    if not done.exists():
        step.say("installing what uv.lock names")
        shutil.rmtree(_CONTEXT, ignore_errors=True)
        _CONTEXT.mkdir(parents=True)
        with tempfile.NamedTemporaryFile(dir=BUILD, suffix=".txt") as requirements:
            _uv(
                "export", "--frozen", "--no-dev", "--no-emit-project",
                "--output-file", requirements.name,
            )  # fmt: skip
            _uv_install("dependencies", "--require-hashes", "--requirements", requirements.name)
        done.touch()
    step.say("building the project's wheel")
    shutil.rmtree(_CONTEXT / "project", ignore_errors=True)
    _uv_install("project", "--reinstall-package", "healthagent", str(ROOT))


def _uv_install(folder: str, *what: str) -> None:
    _uv(
        "pip", "install", "--no-deps", "--link-mode", "copy",
        "--python-version", _PYTHON, "--python-platform", _PLATFORM,
        "--target", str(_CONTEXT / folder), *what,
    )  # fmt: skip


def _uv(*arguments: str) -> None:
    run([tools.uv(), "--quiet", *arguments], timeout=300, directory=ROOT)
