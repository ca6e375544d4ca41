"""Installs Debian packages that are missing."""

import fcntl
import os
import shutil
import time
from typing import Final

from provision.command import run
from provision.errors import CommandFailed, Unavailable
from provision.paths import STATE
from provision.progress import Step

_INSTALL: Final = 600.0
_UPDATE: Final = 120.0
_HELD: Final = 120.0
"""Seconds that others may hold apt's locks: a machine that has just started updates itself."""
_AGAIN: Final = 1.0


def install(step: Step, *packages: str) -> None:
    """Install ``packages`` without what they only recommend, fetching the lists if need be.

    Raises Unavailable where there is no apt-get or no right to use it, CommandFailed where it
    fails.
    """
    wanted = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise Unavailable(
            f"{wanted} cannot be installed: there is no apt-get here",
            "install it with this system's own package manager",
        )
    if os.geteuid() != 0:
        raise Unavailable(
            f"{wanted} cannot be installed: that takes root",
            f"run this as root, or have root run: apt-get install {wanted}",
        )
    step.say(f"installing {wanted} from Debian")
    try:
        _install(packages)
    except CommandFailed:
        # No package lists yet, or old ones that name files which are gone.
        _update(step)
        _install(packages)


def _update(step: Step) -> None:
    """Fetch the lists, once nobody else does: apt-get waits for dpkg's lock, but not for theirs."""
    deadline = time.monotonic() + _HELD
    told = False
    while True:
        try:
            _apt("update", timeout=_UPDATE)
        except CommandFailed as error:
            if "/lists/lock" not in error.output or time.monotonic() > deadline:
                raise
        else:
            return
        if not told:
            step.say("waiting for whoever else fetches Debian's package lists")
            told = True
        time.sleep(_AGAIN)


def _install(packages: tuple[str, ...]) -> None:
    _apt("install", "--yes", "--no-install-recommends", *packages, timeout=_INSTALL)


def _apt(*arguments: str, timeout: float) -> None:
    """Run apt-get, one at a time of this checkout."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(
            ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={_HELD:.0f}", *arguments],
            timeout=timeout,
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )
