"""What the supervisor asks of the outside. The real ones stand beside it, and so do fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from healthagent.core.action import Plan, Step
from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Evidence


class Runtime(Protocol):
    """Acts on containers. Every call has a deadline of its own; what the Engine refuses raises
    :class:`~healthagent.errors.ActionError` with its own words and a remedy."""

    async def stop(self, id_: str, grace: float) -> None:
        """SIGTERM, and SIGKILL after ``grace`` seconds; returns once the container has exited."""
        ...

    async def start(self, id_: str) -> None: ...

    async def restart(self, id_: str, grace: float) -> None:
        """Stop and start, in one call of the Engine, which ends what it began even where the agent
        dies in between: a container that was stopped through the API alone would stay down, since
        ``restart: unless-stopped`` takes it for stopped on purpose."""
        ...

    async def replace(self, id_: str, plan: Plan) -> str:
        """A stopped container's successor under its name, created but not started: its id. The old
        one is kept, renamed, until :meth:`forget`."""
        ...

    async def forget(self, id_: str) -> None:
        """Remove a stopped container."""
        ...

    async def logs(self, id_: str, lines: int) -> str:
        """The last lines of what the container printed, both streams."""
        ...

    async def stats(self, id_: str) -> Mapping[str, object]: ...


class Router(Protocol):
    """What routes to the replicas: Traefik."""

    async def without(self, target: Target, timeout: float) -> bool | Unseen:
        """Whether the router sends ``target`` nothing more, waiting for it up to ``timeout``
        seconds."""
        ...


class Traffic(Protocol):
    """Who talks to a replica, seen from its sockets."""

    async def in_flight(self, target: Target, timeout: float) -> int | Unseen:
        """Requests that the replica has not answered yet. A kept-alive connection without one does
        not count."""
        ...


class Recorder(Protocol):
    """Remembers, beyond the agent's own life, what was done to replicas and why."""

    def record(self, step: Step) -> None:
        """Log a step and keep it. Quick; never waits and never raises."""
        ...

    async def preserve(self, target: Target, act: str) -> Evidence:
        """Take the evidence of a replica that is about to be stopped (process, sockets, last lines
        of its log, ...), and keep it under the id of the act. Has a deadline of its own, and never
        raises: the answer says in short what was kept, for the step."""
        ...
