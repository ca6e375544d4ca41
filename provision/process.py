"""A process that cannot be mistaken for another one."""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process known by its pid and the moment it started.

    The kernel gives a pid out again once its process is gone; the start time (field 22 of
    /proc/PID/stat, proc(5), in clock ticks since boot) tells the two apart, and the boot id
    (/proc/sys/kernel/random/boot_id) tells this boot from an earlier one.
    """

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The living process that has ``pid`` now; None where there is none, or only a zombie."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The name, in parentheses, may itself hold spaces and parentheses: count from its end.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]), _boot())

    @classmethod
    def myself(cls) -> "Process":
        """The process that asks."""
        me = cls.of(os.getpid())
        assert me is not None, "/proc is not mounted"
        return me

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return Process.of(self.pid) == self

    def stop(self, grace: float) -> None:
        """Send SIGTERM, and SIGKILL after ``grace`` seconds; return once it is gone.

        The pidfd (pidfd_open(2)) is opened before the identity is checked, so no signal can
        reach a process that took the pid over in between.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.alive():
                return
            gone = select.poll()
            gone.register(handle, select.POLLIN)
            for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
                signal.pidfd_send_signal(handle, number)
                if gone.poll(seconds * 1000):
                    return
        finally:
            os.close(handle)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
