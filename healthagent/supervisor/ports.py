"""What the supervisor asks of the outside. The real ones stand beside it, and so do fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from healthagent.core.action import Plan, Step
from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Evidence


@dataclass(frozen=True, slots=True)
class Container:
    """What an act must know of a container beforehand.

    ``image`` is as its creator wrote it, ``image_id`` what that was then. ``grace`` is how many
    seconds it has between SIGTERM and SIGKILL. ``published`` are host ports that only one container
    can hold. ``healthcheck`` is its command, empty where it has none. ``variables`` are the
    names of those that it has. ``exit_code`` is that of its last run, ``None`` while it runs.
    """

    id: str
    name: str
    image: str
    image_id: str
    grace: float = 10.0
    published: tuple[int, ...] = ()
    healthcheck: tuple[str, ...] = ()
    variables: frozenset[str] = frozenset()
    exit_code: int | None = None

    @property
    def running(self) -> bool:
        return self.exit_code is None


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is on this Engine. ``healthcheck`` is its command, empty where it has none;
    ``missing`` are the files that were asked for and are not in it."""

    id: str
    healthcheck: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Successor:
    """What a container's successor is to be: its command with the entrypoint, and its labels,
    wherever each comes from."""

    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


class Runtime(Protocol):
    """Acts on containers. Every call has a deadline of its own; what the Engine refuses raises
    :class:`~healthagent.errors.ActionError` with its own words and a remedy."""

    async def inspect(self, id_: str) -> Container: ...

    async def image(self, reference: str, files: tuple[str, ...] = ()) -> Image | None:
        """What an image has; ``None`` where it is not on this Engine."""
        ...

    async def foresee(self, id_: str, plan: Plan) -> Successor:
        """What :meth:`replace` would put in a container's place; nothing is done."""
        ...

    async def stop(self, id_: str) -> int:
        """SIGTERM, and SIGKILL after the container's own grace; returns its exit code once it has
        exited. One that does not run stays as it is."""
        ...

    async def start(self, id_: str) -> None:
        """Start a container; one that runs already stays as it is."""
        ...

    async def restart(self, id_: str) -> None:
        """Stop and start, in one call of the Engine, which ends what it began even where the agent
        dies in between: a container that was stopped through the API alone would stay down, since
        ``restart: unless-stopped`` takes it for stopped on purpose."""
        ...

    async def replace(self, id_: str, plan: Plan) -> str:
        """Put a stopped container's successor in its place: under its name, with all that it had
        but what ``plan`` changes, created and not started. Returns its id; the old one is gone.
        Where the successor cannot be created the old one stays; where anything else fails,
        :meth:`recover` puts right what is left of the two."""
        ...

    async def recover(self, id_: str, name: str) -> Container:
        """Bring back a replica of which a replacement was not ended: running, and under its name.
        Returns what runs. That is its successor where the old one is gone, or so far gone that the
        Engine does not start it; as long as it has the name still, the successor has another one.
        Else it is the old one, which is restarted: it was told to end, and may yet."""
        ...

    async def add(self, id_: str, name: str, number: int, plan: Plan) -> str:
        """Create one more container beside a running one, with all that it has but what ``plan``
        changes, as number ``number`` of its service; returns its id. It is not started."""
        ...

    async def remove(self, id_: str) -> None:
        """Remove a stopped container that :meth:`add` made, with its anonymous volumes."""
        ...

    async def logs(self, id_: str, lines: int) -> str:
        """The last lines of what the container printed, both streams."""
        ...

    async def stats(self, id_: str) -> Mapping[str, object]:
        """Docker's own figures of the container now; empty where it does not run."""
        ...


class Router(Protocol):
    """What routes to the replicas: Traefik."""

    async def settles(self, target: Target, routed: bool, timeout: float) -> bool | Unseen:
        """Wait up to ``timeout`` seconds until the router sends ``target`` requests (``routed``),
        or sends it none any more; whether it came to that. Where the router cannot be seen it waits
        as long as one usually takes."""
        ...


class Traffic(Protocol):
    """Who talks to a replica, seen from its sockets."""

    def in_flight(self, target: Target, within: float) -> AsyncIterator[int | Unseen]:
        """Requests that the replica has not answered yet: at once, and again several times a second
        until it is closed. A kept-alive connection without a request does not count. It ends after
        the first ``Unseen``. Who asks closes it within so many seconds; what counts outside the
        agent ends by itself after them, should the agent die."""
        ...


class Recorder(Protocol):
    """Remembers, beyond the agent's own life, what was done to replicas and why."""

    def record(self, step: Step) -> None:
        """Tell a step and keep it. Quick; never waits and never raises."""
        ...

    async def preserve(self, target: Target, act: str) -> Evidence:
        """Take the evidence of a replica that is about to be stopped (process, sockets, last lines
        of its log, ...), and keep it under the id of the act. Has a deadline of its own, and never
        raises: the answer says in short what was kept, for the step."""
        ...
