"""healthprobe for this machine's processor, which is that of all images built here too."""

import platform
import sys
from pathlib import Path
from typing import Final

from provision.command import run
from provision.paths import ROOT
from provision.progress import Progress

_BUILD: Final = 300.0


def ensure(progress: Progress) -> Path:
    """Build it where its sources have changed; return the file. Raises ProvisionError."""
    machine = platform.machine()
    with progress.step("healthprobe") as step:
        step.say("building")
        run([sys.executable, "-m", "probes.build", machine], timeout=_BUILD, directory=ROOT)
    return ROOT / "probes" / "dist" / f"healthprobe-{machine}"
