"""What was seen: frozen facts, each of one kind, and the record that carries them to a check.

A source gives one kind of fact or :class:`Unseen`. Not having been able to look is a fact too;
a check turns it into *unknown*, never into *failed*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, TypeVar, cast

from healthagent.core.target import DatabaseRef, Target

LEFT = 10.0
"""Seconds for which Postgres, or a round with it that began before, may still show connections from
an address that no replica has any more."""

Want = Literal["unseen", "password", "not_admitted", "not_granted", "role_limit"]
"""What keeps the agent from looking: its password; pg_hba.conf, NOLOGIN or a pooler; a GRANT; its
role's CONNECTION LIMIT; or something else."""


Address = tuple[str, int]
"""A server's host and port, as somebody spelled them."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """The source could not look. ``reason`` says why, ``remedy`` which grant or step would help.
    ``code`` names what the agent itself lacks, where that is known."""

    reason: str
    remedy: str = ""
    code: Want = "unseen"

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


@dataclass(frozen=True, slots=True)
class Elsewhere(Unseen):
    """Nothing here hides it: it is not here, but in a place that is not looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """Base of all facts, so that a check's needs can be typed. ``called`` is what of a replica one
    is about, for the sentence that says it could not be looked at."""

    called: ClassVar[str] = "it"


@dataclass(frozen=True, slots=True)
class ContainerState(Fact):
    """A container as the Docker API's inspect tells it (``State``, ``RestartCount``).

    Times are seconds since the epoch, 0 where it never started or ended. ``health`` is Docker's own
    health status: it is shown, never taken as evidence, since it may itself rest on this agent's
    answer. ``restarted`` says whether Docker has a policy to start it again when it ends.
    """

    called = "its container"

    status: Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    restart_count: int = 0
    started_at: float = 0.0
    finished_at: float = 0.0
    error: str = ""
    health: str | None = None
    restarted: bool = True

    @property
    def up(self) -> bool:
        """Whether its first process is there, be it paused."""
        return self.status in ("running", "paused")


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc/PID/{stat,status,cmdline} tells it (proc(5)).

    ``cmdline`` is empty of one that has ended, and of one whose arguments could not be read: who
    reads them may have to wait for what the process itself waits for.
    ``state`` is the letter of stat's third field. ``ns_pid`` is the pid inside its own namespace
    (``NSpid``), 1 for a container's first process. ``catches_sigterm`` is bit 14 of ``SigCgt``;
    ``None`` where it cannot be seen. ``age`` is seconds since the process began. ``waits`` is for
    how many seconds it was found in state D without having run in between; ``None`` in any other
    state, and where that cannot be seen. ``wanted`` is the share of the time since the look before
    in which its first thread ran or waited for a processor, ``files`` how many it has open and how
    many it may have; ``None`` at the first look, with few open, and where they cannot be seen.
    """

    pid: int
    ppid: int
    ns_pid: int | None
    comm: str
    cmdline: tuple[str, ...]
    state: str
    catches_sigterm: bool | None = None
    age: float | None = None
    waits: float | None = None
    wanted: float | None = None
    files: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ProcessTree(Fact):
    """The replica's first process and all below it, parents before children.

    ``processes`` is empty where there is no such process any more. ``cpu`` is the share of one core
    that the tree took since the look before (1.0 is one core spinning), ``None`` at the first look.
    ``accept_queue`` counts, by listening port, connections that the kernel took and the app has not
    accepted (``rx_queue`` of a listening row in /proc/net/tcp); ``None`` where the socket tables
    cannot be read. A length is of this look; that nobody waits may be of one up to a minute before,
    where the replica seemed well since. ``turned`` is how many seconds ago the app was last found
    to have taken a connection to the replica's own port, or to have read from one: infinite where
    two looks or more showed no such thing, ``None`` where there were none to compare yet. Only its
    event loop does either, so it is a sign of life even where no answer comes in time.
    ``listeners`` are the addresses and ports that listen in its container, at most a minute ago;
    empty where they cannot be seen, and of a local process.
    """

    called = "its processes"

    processes: tuple[Process, ...]
    cpu: float | None = None
    accept_queue: Mapping[int, int] | None = None
    turned: float | None = None
    listeners: frozenset[Address] = frozenset()

    @property
    def root(self) -> Process | None:
        return self.processes[0] if self.processes else None

    def children(self, pid: int) -> tuple[Process, ...]:
        return tuple(process for process in self.processes if process.ppid == pid)


@dataclass(frozen=True, slots=True)
class ClientPorts(Fact):
    """Local ports of the replica's established TCP connections: which backends are its own.

    Needed only where replicas share an address, as local processes do.
    """

    called = "its connections"

    ports: frozenset[int]


HttpError = Literal[
    "", "name", "timeout", "unconnected", "refused", "reset", "unreachable", "invalid"
]


@dataclass(frozen=True, slots=True)
class HttpAnswer(Fact):
    """What a GET of one path brought, seen from a fresh connection as a new client would.

    ``status`` is ``None`` where no whole answer came; ``error`` then names how it ended: ``name``
    is a name that did not resolve in time, ``unconnected`` a TCP connection that was not taken in
    time, ``timeout`` one that was taken and stayed silent. ``elapsed`` is the seconds that the
    replica took. ``body`` is the beginning of the answer's text, control characters blanked, for
    the reason.
    """

    path: str
    status: int | None
    elapsed: float
    error: HttpError = ""
    body: str = ""

    @property
    def passed(self) -> bool:
        """A status from 200 to 399, which is what Kubernetes takes as success."""
        return self.status is not None and 200 <= self.status < 400


@dataclass(frozen=True, slots=True)
class Livez(HttpAnswer):
    """The answer of the replica's liveness endpoint."""

    called = "its liveness endpoint"


@dataclass(frozen=True, slots=True)
class Readyz(HttpAnswer):
    """The answer of the replica's readiness endpoint."""

    called = "its readiness endpoint"


@dataclass(frozen=True, slots=True)
class Backend:
    """One row of pg_stat_activity of type *client backend*.

    ``visible`` is false where the agent's role may not see the row's details (they read NULL
    without ``pg_monitor``). ``state`` is Postgres' own word: ``active``, ``idle``, ``idle in
    transaction``. ``idle_for`` is seconds since ``state_change``, ``age`` since the connection was
    made. ``listens_dbos`` says that its last query was DBOS's ``LISTEN``. ``asked_dbos`` is for
    how many seconds no query was seen on it that a DBOS executor alone makes; ``None`` where there
    was none, and on connections that DBOS named. No SQL text leaves the server.
    """

    pid: int
    role: str
    database: str
    application: str
    client_address: str | None
    client_port: int | None
    visible: bool = True
    state: str = ""
    idle_for: float | None = None
    age: float | None = None
    listens_dbos: bool = False
    asked_dbos: float | None = None


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How many connections the server allows, and to whom.

    ``role_limits`` and ``database_limits`` hold CONNECTION LIMITs that are set (not -1).
    """

    max_connections: int
    superuser_reserved: int
    reserved: int = 0
    role_limits: Mapping[str, int] = field(default_factory=dict)
    database_limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def allowed(self) -> int:
        """Connections open to ordinary roles."""
        return self.max_connections - self.superuser_reserved - self.reserved


@dataclass(frozen=True, slots=True)
class PendingWorkflows:
    """Workflows that an executor began, ran under a version, and has not ended.

    DBOS recovers them only in a process of the same executor id and application version.
    """

    executor: str
    version: str
    count: int


@dataclass(frozen=True, eq=False)
class Database(Fact):
    """One round of the agent's own connection: what one Postgres server told.

    ``elapsed`` is the seconds that the server took to answer; ``lasted`` those of the whole round,
    a dial and how late the agent was included. ``agent_pid`` is the agent's own backend, the one
    connection it costs. ``in_recovery`` is true on a standby, ``read_only`` where the server or
    the database has every session begin read-only. ``pending`` are the workflows in
    DBOS's tables where they are in this database, as they were at most some seconds before;
    :class:`Elsewhere` where it has no such tables.
    ``also`` are other addresses under which the agent found the same server.
    Two rounds are never the same fact: it is compared by identity, and may key what it implies.
    """

    ref: DatabaseRef
    elapsed: float
    agent_pid: int
    agent_role: str
    limits: ServerLimits
    backends: tuple[Backend, ...]
    in_recovery: bool = False
    read_only: bool = False
    pending: tuple[PendingWorkflows, ...] | Unseen = Unseen("workflows were not looked at")
    also: frozenset[Address] = frozenset()
    lasted: float = 0.0

    @property
    def addresses(self) -> frozenset[Address]:
        """All addresses by which the server is known, that of ``ref`` included."""
        return self.also | {(self.ref.host, self.ref.port)}

    @cached_property
    def clients(self) -> tuple[Backend, ...]:
        """All backends but the agent's own, which may come from the address of a replica. It has
        one in each database of the server that replicas use."""
        own = {_origin(backend) for backend in self.backends if backend.pid == self.agent_pid}
        names = {application for _, application, _ in own}
        return tuple(
            backend
            for backend in self.backends
            if backend.application not in names or _origin(backend) not in own
        )


def _origin(backend: Backend) -> tuple[str, str, str | None]:
    return backend.role, backend.application, backend.client_address


DatabaseError = Literal[
    "refused",
    "timeout",
    "unreachable",
    "name",
    "tls",
    "starting",
    "recovering",
    "stopping",
    "absent",
    "closed",
    "exhausted",
    "rejected",
    "lost",
]


@dataclass(frozen=True, slots=True)
class DatabaseDown(Fact):
    """The server gave no session: who it failed to is the *agent*, so it is the agent's evidence.

    ``sqlstate`` is Postgres' error code where the server answered (53300 is *exhausted*).
    """

    ref: DatabaseRef
    error: DatabaseError
    detail: str
    elapsed: float
    sqlstate: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseSession(Fact):
    """How the last round with the replica's database went: its facts, or why there was none."""

    called = "its database"

    outcome: Database | DatabaseDown


@dataclass(frozen=True, eq=False)
class Fleet(Fact):
    """All targets that are watched now, in the order of their names, the judged one included.

    ``left`` are addresses that were a target's until a moment ago, and when they ceased to be, in
    seconds since the epoch. Like a round of a database it is compared by identity.
    """

    targets: tuple[Target, ...]
    left: Mapping[str, float] = field(default_factory=dict)

    def followed_by(self, targets: tuple[Target, ...], now: float) -> Fleet:
        """The fleet of these targets, after this one: itself where nothing is different."""
        there = {address for target in targets for address in target.addresses}
        were = {address for target in self.targets for address in target.addresses}
        left = {**self.left, **dict.fromkeys(were - there, now)}
        left = {a: at for a, at in left.items() if a not in there and now - at < LEFT}
        return self if (targets, left) == (self.targets, self.left) else Fleet(targets, left)

    def sharing(self, database: Database) -> tuple[Target, ...]:
        """Those whose connections go to the same server, by whatever name."""
        server = database.addresses
        return tuple(
            target
            for target in self.targets
            if target.database and (target.database.host, target.database.port) in server
        )


F = TypeVar("F", bound=Fact)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a check judges: one target, and the facts that the check asked for."""

    target: Target
    facts: Mapping[type[Fact], Fact | Unseen]

    def see(self, kind: type[F]) -> F | Unseen:
        """The fact of one kind, or why it could not be seen."""
        fact = self.facts.get(kind)
        return (
            Unseen(f"no source for {kind.__name__}") if fact is None else cast("F | Unseen", fact)
        )
