"""Names that say which process made a thing, so that what a killed one left can be found.

Compose projects and temporary folders carry such a name. Compose puts the project's name on every
container, network and volume by itself, so nothing has to be added to a compose file.
"""

import hashlib
import itertools
import platform
from pathlib import Path

from provision.process import Process

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MACHINES = 36**5

_counter = itertools.count(1)


def new_name(purpose: str) -> str:
    """A name no other call returns: ``healthagent-PURPOSE-MACHINE-PID-START-N``.

    It is fit for a Compose project (lower-case letters, digits, ``-``); so must ``purpose`` be.
    Numbers are written to base 36, since what is derived from the name may have to be short:
    Postgres cuts the name of a DBOS executor's connections at 63 bytes.
    """
    me = Process.myself()
    numbers = (me.pid, me.start, next(_counter))
    return "-".join(("healthagent", purpose, _machine(), *map(_base36, numbers)))


def is_abandoned(name: str) -> bool:
    """Whether a process of this machine made ``name`` and is gone.

    False for names made elsewhere: an engine may be shared by several machines, and of another
    machine's processes nothing is known here.
    """
    return _lives(name) is False


def is_in_use(name: str) -> bool:
    """Whether a process of this machine made ``name`` and still runs."""
    return _lives(name) is True


def _lives(name: str) -> bool | None:
    """Whether the process that made ``name`` runs; None where that cannot be told."""
    match name.split("-"):
        case ["healthagent", *_, machine, pid, start, count] if machine == _machine() and all(
            map(_is_base36, (pid, start, count))
        ):
            owner = Process.of(int(pid, 36))
            return owner is not None and owner.start == int(start, 36)
    return None


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _is_base36(text: str) -> bool:
    return text != "" and set(text) <= set(_DIGITS)


def _machine() -> str:
    try:
        identity = Path("/etc/machine-id").read_text().strip()
    except OSError:
        identity = ""
    digest = hashlib.sha256((identity or platform.node()).encode()).digest()
    return _base36(int.from_bytes(digest) % _MACHINES)
