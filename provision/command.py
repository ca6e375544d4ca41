"""Runs other programs: always with a deadline, never leaving one behind."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from provision.errors import CommandFailed

_KILL_AFTER = 5.0
"""Seconds between SIGTERM and SIGKILL for a program that is given up."""


def run(
    command: Sequence[str | Path],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> str:
    """Run ``command`` to its end and return what it wrote to stdout.

    ``timeout`` is in seconds; ``environment`` is added to this process's own. The program leads a
    process group of its own, so that a deadline or Ctrl-C ends its children with it.

    Raises CommandFailed when it cannot be started, exits with another code than 0, or is late.
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | dict(environment or {}),
            cwd=directory,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(words, 127, str(error)) from error
    with process:
        try:
            output, complaint = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            output, complaint = give_up(process)
            raise CommandFailed(words, None, output + complaint) from None
        except BaseException:
            give_up(process)
            raise
    if process.returncode != 0:
        raise CommandFailed(words, process.returncode, output + complaint)
    return output


def give_up(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """End a program and its group, gently first; return what it still had to say."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            output, complaint = process.communicate(timeout=_KILL_AFTER)
            return output or "", complaint or ""
    return "", ""
