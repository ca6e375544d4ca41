"""``healthagent probe``: the healthprobe binaries that this installation carries."""

from __future__ import annotations

import platform
import shutil
from contextlib import suppress
from pathlib import Path

import click

from healthagent.errors import HealthagentError

ARCHITECTURES = ("x86_64", "aarch64")
_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}
_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "_probes", _PACKAGE.parent / "probes" / "dist")
"""Where a wheel has them, and where a checkout builds them."""
_EXECUTABLE = 0o755


def architecture(text: str) -> str:
    """An architecture by the kernel's name for it, or by Docker's."""
    name = _ALIASES.get(text, text)
    if name not in ARCHITECTURES:
        known = ", ".join((*ARCHITECTURES, *_ALIASES))
        raise click.BadParameter(f"{text!r}: there is a probe for {known}")
    return name


_arch = click.option(
    "--arch",
    metavar="ARCH",
    type=architecture,
    default=platform.machine,
    help="x86_64 (amd64) or aarch64 (arm64); this machine's where not given.",
)


@click.group(short_help="the HEALTHCHECK program for an application's image")
def probe() -> None:
    """Find or copy healthprobe, the static program that Docker's HEALTHCHECK runs."""


@probe.command()
@_arch
def path(arch: str) -> None:
    """Print where the binary is."""
    click.echo(str(_find(arch)))


@probe.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@_arch
def install(directory: Path, arch: str) -> None:
    """Copy the binary to DIR/healthprobe, executable for all, and print its path.

    DIR is made where it is missing; a healthprobe that is there is replaced at once.
    """
    source, target = _find(arch), directory / "healthprobe"
    fresh = directory / ".healthprobe.new"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, fresh)
        fresh.chmod(_EXECUTABLE)
        fresh.replace(target)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise HealthagentError(
            f"{target} cannot be written: {error.strerror}; name a directory that this user may"
            " write"
        ) from error
    click.echo(str(target))


def _find(arch: str) -> Path:
    name = f"healthprobe-{arch}"
    for place in _PLACES:
        if (place / name).is_file():
            return place / name
    raise HealthagentError(
        f"this installation carries no {name}; in a checkout, `make probe` builds it"
    )
