"""Chromium, for the tests of the page: used as found, else Debian's."""

import shutil
from pathlib import Path
from typing import Final

from provision import apt, state
from provision.errors import Unavailable
from provision.progress import Progress

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def ensure(progress: Progress | None = None) -> Path:
    """The browser. Raises Unavailable where there is none and none can be installed."""
    progress = progress or Progress()
    with state.exclusive(progress), progress.step("Chromium") as step:
        if (found := _find()) is None:
            apt.install(step, "chromium")
            found = _find()
        if found is None:
            raise Unavailable("Debian's chromium has no program of that name", "install Chromium")
        step.outcome = str(found)
    return found


def _find() -> Path | None:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return Path(found) if found else None
