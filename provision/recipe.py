"""Builds images only when what they are made of has changed."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from provision.engine import Engine
from provision.errors import CommandFailed
from provision.paths import ROOT
from provision.progress import Progress

RECIPE: Final = "healthagent-provision.recipe"
"""Image label: the digest of what the image was built from. Whatever has it was built here."""
LOOKALIKE: Final = "healthagent-provision.lookalike"
"""Image label, ``true``: stands in for an official image, or is built on one that does."""

_BUILD: Final = 600.0
# The proxies and mirrors of the person's shell count inside a build too (predefined arguments).
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy")


def digest(files: Iterable[Path], *words: str) -> str:
    """One digest over words, and over files of this checkout: paths, modes and contents."""
    whole = hashlib.sha256(json.dumps(words).encode())
    for file in sorted(files):
        name, mode = str(file.relative_to(ROOT)), file.stat().st_mode & 0o111
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        whole.update(json.dumps([name, mode, content]).encode())
    return whole.hexdigest()[:16]


def labels(engine: Engine, tag: str) -> Mapping[str, str] | None:
    """The labels of a local image; None when there is no such image."""
    found = engine.image(tag)
    return None if found is None else dict(found["Config"]["Labels"] or {})


def build(
    engine: Engine,
    tag: str,
    context: Path,
    recipe: str,
    *,
    lookalike: bool = False,
) -> None:
    """Run ``docker build`` on a folder and label the result with its recipe's digest.

    RUN lines share the host's network: Debian's packages are then reached as on the host. The
    image that had the tag before is removed, unless a container uses it.
    """
    before = engine.image(tag)
    marks = ["--label", f"{RECIPE}={recipe}"]
    if lookalike:
        marks += ["--label", f"{LOOKALIKE}=true"]
    for proxy in _PROXIES:
        marks += ["--build-arg", proxy]
    engine.docker(
        "build", "--quiet", "--force-rm", "--network", "host", "--tag", tag, *marks, context,
        timeout=_BUILD,
    )  # fmt: skip
    if before is not None and before["Id"] != engine.image_id(tag):
        with contextlib.suppress(CommandFailed):
            engine.docker("image", "rm", before["Id"])


def remove(engine: Engine, tags: Iterable[str], progress: Progress) -> list[str]:
    """Remove those of ``tags`` that were built here and that no container uses; return them.

    Only names that provision itself gives are asked for: an image that somebody else built on a
    look-alike has inherited its labels.
    """
    removed = []
    for tag in tags:
        if RECIPE not in (labels(engine, tag) or {}):
            continue
        with progress.step(tag) as step:
            try:
                engine.docker("image", "rm", tag)
            except CommandFailed as error:
                step.warn(f"stays: {error.output.strip()}")
            else:
                removed.append(tag)
                step.outcome = "removed"
    return removed
