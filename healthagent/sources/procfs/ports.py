"""``ClientPorts``: which connections of a shared address are the replica's own."""

from __future__ import annotations

import os
from collections.abc import Callable

from healthagent.core.observation import ClientPorts, Unseen
from healthagent.core.target import Target
from healthagent.sources.procfs import files, sock_diag
from healthagent.sources.procfs.tree import PidOf

_SOCKET = "socket:["


class ClientPortsSource:
    """Matches the sockets that the replica's processes hold with the connections of the agent's
    own network namespace.

    Wanted only where replicas share an address; ``wanted`` says for whom. By default that is every
    local process, since a container has an address of its own.
    Reading another user's file descriptors takes CAP_SYS_PTRACE (proc_pid_fd(5)).
    """

    kind = ClientPorts

    def __init__(
        self,
        pid_of: PidOf,
        proc: str = "/proc",
        wanted: Callable[[Target], bool] = lambda target: not target.is_container,
    ) -> None:
        self._pid_of = pid_of
        self._proc = proc
        self._wanted = wanted
        self._children = files.children_in(proc)

    async def look(self, target: Target, timeout: float) -> ClientPorts | Unseen:  # noqa: ARG002
        if not self._wanted(target):
            return Unseen("its ports were not looked at, since it has an address of its own")
        pid = self._pid_of(target)
        if not pid:
            return Unseen("the pid of its first process is not known")
        try:
            held = {
                inode
                for member in files.family(pid, self._children)
                for inode in self._sockets_of(member)
            }
        except OSError as error:
            return Unseen(
                f"{error.filename} may not be read",
                "run the agent as the user of the replica, or give it CAP_SYS_PTRACE",
            )
        try:
            established = sock_diag.sockets(sock_diag.ESTABLISHED)
        except OSError as error:
            return Unseen(f"the kernel tells no sockets ({error})", "modprobe tcp_diag")
        return ClientPorts(frozenset(found.port for found in established if found.inode in held))

    def _sockets_of(self, pid: int) -> set[int]:
        found: set[int] = set()
        folder = f"{self._proc}/{pid}/fd"
        try:
            descriptors = os.listdir(folder)  # noqa: PTH208  # hot, names alone needed
        except (FileNotFoundError, ProcessLookupError):
            return found
        for descriptor in descriptors:
            try:
                name = os.readlink(f"{folder}/{descriptor}")  # noqa: PTH115
            except (FileNotFoundError, ProcessLookupError):
                continue  # closed meanwhile
            if name.startswith(_SOCKET):
                found.add(int(name[len(_SOCKET) : -1]))
        return found
