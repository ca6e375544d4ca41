"""What the audit rests on, as frozen records: what files say, what an image holds, what runs.

The readers in ``reading/`` make them; the judgements see nothing else. What could not be looked at
is :class:`~healthagent.core.observation.Unseen`, with the command that would show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from healthagent.core.observation import ProcessTree, Unseen
from healthagent.core.rotation import routes_to
from healthagent.core.target import Pools, Target


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was seen: a file with a line from 1, or a container, image or route."""

    where: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.where}:{self.line}" if self.line else self.where


@dataclass(frozen=True, slots=True)
class Text:
    """A text, and where it stands."""

    value: str
    place: Place

    def at(self, line: int) -> Place:
        """Where a line of it stands: in its file, or behind the line that it begins on."""
        return Place(self.place.where, (self.place.line or 0) + line)

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Command:
    """A command as an image or a Compose file gives it. ``shell`` where ``/bin/sh -c`` runs it."""

    words: tuple[str, ...]
    shell: bool
    place: Place

    def __str__(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Build:
    """How Compose builds an image: the folder, the Dockerfile in it, and its arguments; ``inline``
    where the Dockerfile stands in the Compose file."""

    context: str
    dockerfile: str
    target: str | None
    args: Mapping[str, Text]
    place: Place
    inline: Text | None = None


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """A HEALTHCHECK; ``enabled`` is false where one is switched off (``NONE``, ``disable``), and
    ``test`` the command that it runs."""

    enabled: bool
    place: Place
    test: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the merged Compose files."""

    name: str
    place: Place
    image: Text | None = None
    build: Build | None = None
    command: Command | None = None
    entrypoint: Command | None = None
    environment: Mapping[str, Text] = field(default_factory=dict)
    labels: Mapping[str, Text] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    restart: Text | None = None
    replicas: Text | None = None
    container_name: Text | None = None
    init: Text | None = None
    logging: Text | None = None
    ports: tuple[Text, ...] = ()
    addresses: tuple[Text, ...] = ()
    """Those that it is to have in its networks."""
    namespaces: Mapping[str, Text] = field(default_factory=dict)
    """``network_mode``, ``pid`` and ``ipc``, as far as they are written."""
    mounts: bool = False
    """Whether it has files from elsewhere: ``volumes`` or ``configs``."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The merged Compose files. ``apps`` are the names of the services that are the app."""

    place: Place
    files: tuple[str, ...]
    project: str
    services: Mapping[str, Service]
    apps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """What a Dockerfile builds. ``base`` is the image that the final stage goes back to; ``bases``
    those of all stages, and those that a stage copies from; ``runs`` the RUN instructions of all
    stages, ``last_runs`` the final one's; ``copies`` what is copied and added there."""

    place: Place
    base: Text
    bases: tuple[Text, ...]
    runs: tuple[Text, ...]
    copies: tuple[Text, ...]
    command: Command | None = None
    entrypoint: Command | None = None
    healthcheck: Healthcheck | None = None
    environment: Mapping[str, Text] = field(default_factory=dict)
    last_runs: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """A package.json."""

    place: Place
    scripts: Mapping[str, Text] = field(default_factory=dict)
    dependencies: Mapping[str, Text] = field(default_factory=dict)
    """With the optional ones, which are installed as well."""
    dev_dependencies: Mapping[str, Text] = field(default_factory=dict)
    package_manager: Text | None = None
    bun_only: tuple[Text, ...] = ()
    """What no other package manager reads: ``catalog:``, ``patchedDependencies``."""

    @property
    def packages(self) -> Mapping[str, Text]:
        return {**self.dev_dependencies, **self.dependencies}


@dataclass(frozen=True, slots=True)
class Locks:
    """Lock files by name. ``locked`` is what bun.lock says that package.json asks for; ``None``
    where there is none that can be read."""

    files: Mapping[str, Place]
    locked: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call in the app's source: the callee, its arguments, and the members of the last of them
    that is an object literal. ``spread`` where that has members which do not stand there."""

    callee: str
    arguments: tuple[str, ...]
    options: Mapping[str, str]
    place: Place
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What was found in the app's source, with comments left out.

    ``paths`` are URL paths: SvelteKit's routes, and texts that begin with a slash. ``definitions``
    are what each name is assigned, as far as an option of a call leads there.
    """

    files: int
    calls: tuple[Call, ...] = ()
    imports: tuple[Text, ...] = ()
    paths: Mapping[str, Place] = field(default_factory=dict)
    definitions: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)
    texts: tuple[Text, ...] = ()
    """Uses that need no call: ``process.env.pm_id``, ``Bun.serve``, a file that is a log."""

    def named(self, *callees: str) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if call.callee in callees)


@dataclass(frozen=True, slots=True)
class Code:
    """What stands in the app's folder."""

    folder: str
    package: Package | Unseen
    locks: Locks
    source: Source
    pm2_files: tuple[Place, ...] = ()
    """PM2's own, and Dockerfiles and Compose files of development and test that call it."""
    stems: frozenset[str] = frozenset()
    """The scripts that lie there, by the name that Bun finds each by too: without its suffix."""


@dataclass(frozen=True, slots=True)
class App:
    """One service that is the app, with what it is made of."""

    service: Service
    dockerfile: Dockerfile | Unseen
    code: Code | Unseen
    scripts: Mapping[str, Text] = field(default_factory=dict)
    """The shell's scripts that its start may go through, by their names."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another Compose file beside the audited ones, which may be the way back."""

    stack: Stack
    apps: tuple[App, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the Engine has it. ``files`` are those of its layers that a requirement names,
    by what they are: ``node``, ``pm2``, ``ts-node``; the rest is its configuration."""

    name: str
    files: Mapping[str, tuple[str, ...]]
    entrypoint: Command | None = None
    command: Command | None = None
    healthcheck: Healthcheck | None = None

    @property
    def place(self) -> Place:
        return Place(f"image {self.name}")


@dataclass(frozen=True, slots=True)
class Container:
    """A running container of the app's, as the Docker API tells it.

    ``lines`` is how many of its newest log lines the Engine could show, ``None`` where its log
    driver keeps none. ``variables`` are the names of its variables; the values of those that begin
    with ``OTEL_`` are in ``otel``. ``told`` is what its HEALTHCHECK printed last.
    """

    name: str
    id: str
    service: str
    image: str
    image_id: str
    restart: str
    health: str | None
    log_driver: str
    lines: int | None
    namespaces: Mapping[str, str]
    processes: ProcessTree | Unseen
    variables: frozenset[str] = frozenset()
    otel: Mapping[str, str] = field(default_factory=dict)
    told: str = ""

    @property
    def place(self) -> Place:
        return Place(f"container {self.name}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the agent holds of one check. ``answered`` is the HTTP status that it was answered with,
    where that is what speaks against the replica."""

    status: str
    code: str
    reason: str
    answered: int | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica of the app as the agent reports it. ``held`` are its connections, ``pools`` the
    most that it declares to hold."""

    name: str
    id: str
    service: str
    ready: bool
    checks: Mapping[str, Verdict]
    address: str | None
    port: int | None
    """Where its probes are answered; ``None`` where it serves no HTTP."""
    held: int | None
    pools: Pools

    @property
    def place(self) -> Place:
        return Place(f"replica {self.name}")


@dataclass(frozen=True, slots=True)
class Server:
    """One Postgres server's connections as ``/budget`` counts them. ``replicas`` are the names of
    those that use it, the stack's and others."""

    name: str
    planned: int
    allowed: int
    held: int
    agent: int
    others: int
    surge: int
    fits: bool
    replicas: frozenset[str]


@dataclass(frozen=True, slots=True)
class Agent:
    """What a running agent says."""

    url: str
    replicas: tuple[Replica, ...]
    servers: tuple[Server, ...]

    @property
    def outage(self) -> str:
        """What it says of Postgres where no replica has it; empty where one does."""
        verdicts = [replica.checks.get("postgres") for replica in self.replicas]
        failed = [v.reason for v in verdicts if v and v.status in ("failed", "degraded")]
        return failed[0] if len(failed) == len(verdicts) else ""

    @property
    def place(self) -> Place:
        return Place(self.url)


@dataclass(frozen=True, slots=True)
class Router:
    """What Traefik itself says. ``servers`` are those that it sends requests to, each a host with
    its port."""

    place: Place
    servers: frozenset[str]

    def has(self, replica: Replica) -> bool:
        """Whether it sends requests to this replica, be it on another port than its probes'."""
        target = Target(
            replica.id, replica.name, replica.service, address=replica.address, port=replica.port
        )
        return replica.address is not None and routes_to(self.servers, target)


@dataclass(frozen=True, slots=True)
class Metrics:
    """What arrived where metrics are collected: the values of labels that name a process."""

    place: Place
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Trial:
    """The last line of an acceptance run."""

    place: Place
    criteria: int
    met: int
    lost: int
    rollback_lost: int
    beside_frozen: tuple[int, int] | None = None
    """Requests that were served, and that failed, while one replica was frozen."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was seen, for a judgement to look at."""

    stack: Stack
    apps: tuple[App, ...]
    siblings: tuple[Sibling, ...]
    images: tuple[Image, ...] | Unseen
    containers: tuple[Container, ...] | Unseen
    agent: Agent | Unseen
    router: Router | Unseen
    metrics: Metrics | Unseen
    trial: Trial | Unseen
