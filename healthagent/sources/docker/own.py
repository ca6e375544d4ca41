"""In which container the agent itself runs, as far as its own /proc tells."""

from __future__ import annotations

import re
import socket
from pathlib import Path

_ID = re.compile(r"[0-9a-f]{64}")
_MOUNTED = re.compile(r"/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) ")


def own_containers(proc: str = "/proc") -> tuple[str, ...]:
    """Ids that may be the agent's own container's, the likeliest first; the Engine knows which.

    Docker mounts a container's /etc/hostname from a folder named by its id, and that of the
    container whose network it shares (``network_mode: service:NAME``), which is the one whose
    networks count. The cgroup tells it unless that is namespaced too. A container's default
    hostname is the beginning of its id.
    """
    mounted = _MOUNTED.findall(_read(proc, "mountinfo"))
    grouped = _ID.findall(_read(proc, "cgroup"))
    name = socket.gethostname()
    named = [name] if re.fullmatch(r"[0-9a-f]{12}", name) else []
    return tuple(dict.fromkeys([*mounted, *grouped, *named]))


def has_users_of_machine(proc: str = "/proc") -> bool:
    """Whether the agent is in no user namespace but the machine's own (user_namespaces(7))."""
    return _read(proc, "uid_map").split() in ([], ["0", "0", str(2**32 - 1)])


def _read(proc: str, name: str) -> str:
    try:
        return Path(proc, "self", name).read_text(errors="replace")
    except OSError:
        return ""
