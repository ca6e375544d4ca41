"""``ClientPorts``: which connections of a shared address are the replica's own."""

from __future__ import annotations

import os

from healthagent.core.observation import ClientPorts, Unseen
from healthagent.core.target import Target
from healthagent.sources.procfs import files, sock_diag
from healthagent.sources.procfs.tree import PidOf

_SOCKET = "socket:["


class ClientPortsSource:
    """Matches the sockets that the replica's processes hold with the connections of the agent's
    own network namespace.

    Wanted only of local processes, which share an address: a container has its own, unless it is on
    the host's network.
    Reading another user's file descriptors takes CAP_SYS_PTRACE (proc_pid_fd(5)).
    """

    kind = ClientPorts

    def __init__(self, pid_of: PidOf, proc: str = "/proc") -> None:
        self._pid_of = pid_of
        self._proc = proc
        self._children = files.children_in(proc)

    async def look(self, target: Target, timeout: float) -> ClientPorts | Unseen:  # noqa: ARG002
        if target.is_container:
            return Unseen(
                "the ports of a container's connections are not looked at",
                "give it an address of its own, on a network of Docker's",
            )
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
