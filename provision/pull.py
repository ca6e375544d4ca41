"""Pulls an image, and notices within seconds when the registry cannot be reached."""

import os
import select
import subprocess
import time
from typing import Final

from provision.command import give_up
from provision.engine import Engine

FIRST_WORD: Final = 8.0
"""Seconds for the registry to say that it knows the image."""
_WHOLE: Final = 900.0


def pull(engine: Engine, tag: str, *, first_word: float = FIRST_WORD) -> str | None:
    """Pull ``tag``; return None when it is there, else the reason in one line.

    The client prints ``Pulling from`` as soon as the registry has answered for the image, and then
    is silent while layers load; so the wait for the first word may be short (seconds) although
    the whole may take minutes.
    """
    process = subprocess.Popen(
        ["docker", "pull", tag],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | engine.environment,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with process:
        begun = time.monotonic()
        try:
            assert process.stdout is not None
            spoke, _, _ = select.select([process.stdout], [], [], first_word)
            if not spoke:
                give_up(process)
                return f"the registry did not answer within {first_word:.0f} s"
            left = _WHOLE - (time.monotonic() - begun)
            output, _ = process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            give_up(process)
            return f"not complete after {_WHOLE:.0f} s"
        except BaseException:
            give_up(process)
            raise
    if process.returncode == 0:
        return None
    lines = output.strip().splitlines()
    return lines[-1] if lines else f"docker pull exited {process.returncode}"
