"""Targets from the Docker Engine: every labelled container, and what is heard of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace

from healthagent.core.exits import Exits
from healthagent.core.notice import Notice
from healthagent.core.observation import ContainerState, Unseen
from healthagent.core.ports import Sighting
from healthagent.core.report import natural
from healthagent.core.target import DatabaseRef, Target
from healthagent.sources.docker.engine import Engine
from healthagent.sources.docker.exits import History
from healthagent.sources.docker.messages import Heard, Inspected, Lost, Message, Surveyed, Untold
from healthagent.sources.docker.own import own_containers
from healthagent.sources.docker.registry import Registry, Survey

RETRY = (0.5, 5.0)
"""Seconds from one attempt to reach the Engine to the next: the first pause, and the longest."""

APART = Unseen(
    "the Engine is rootless, so that its containers' addresses do not lead to them from outside",
    "run the agent in a container of that Engine",
)


class DockerDiscovery:
    """Finds the containers that ask to be watched and follows what happens to them.

    While the Engine cannot be reached the targets stay, and one notice says why.

    ``url`` is as in DOCKER_HOST. ``project`` restricts it to one Compose project. ``databases`` and
    ``defaults`` are the agent's own settings, see :func:`declare`. ``routed`` is the network by
    which Traefik reaches replicas. ``own_ids`` are ids that may be the agent's own container's.
    """

    name = "docker"

    def __init__(
        self,
        url: str,
        *,
        project: str | None = None,
        databases: Mapping[str, DatabaseRef] | None = None,
        defaults: Mapping[str, str] | None = None,
        routed: str | None = None,
        own_ids: Iterable[str] | None = None,
    ) -> None:
        self._url = url
        self._project = project
        self._own_ids = tuple(own_containers() if own_ids is None else own_ids)
        self._registry = Registry(project, databases or {}, defaults or {}, routed)
        self._since = 0
        self._lost: Notice | None = None
        self._surveyed = False

    def state_of(self, target: Target) -> ContainerState | Unseen:
        """What is known of a container now, without asking."""
        if not self._surveyed:
            lost = self._lost
            return Unseen(lost.problem, lost.remedy) if lost else Unseen("Docker was not asked yet")
        known = self._registry.known.get(target.id)
        return known.state if known else Unseen(f"Docker knows no container {target.short_id}")

    def history_of(self, target: Target) -> History | Unseen:
        """How the container's runs ended, as far as it was seen, without asking."""
        state = self.state_of(target)
        return state if isinstance(state, Unseen) else self._registry.history(target.id)

    def pid_of(self, target: Target) -> int | None:
        """The pid of the container's first process as the host counts; ``None`` if none runs."""
        known = self._registry.known.get(target.id)
        state = known.state if known else None
        return (state.pid or None) if isinstance(state, ContainerState) else None

    def apart(self, target: Target) -> Unseen | None:
        """Why a container must not be dialled from here; ``None`` where it may be."""
        return APART if target.is_container and self._registry.apart else None

    def secrets_of(self, target: Target) -> tuple[str, ...]:
        """What must not be kept of what a container prints."""
        known = self._registry.known.get(target.id)
        return known.secrets if known else ()

    @property
    def own_id(self) -> str | None:
        """The id of the agent's own container, if it runs in one of this Engine's."""
        return self._registry.own

    async def sightings(self) -> AsyncIterator[Sighting]:
        pause, longest = RETRY
        lost = 0
        told = self._sighting()
        yield told
        while True:
            engine = Engine(self._url, self._project, self._own_ids, self._since)
            engine.open()
            try:
                while self._fold(await engine.messages(), engine):
                    if told.complete and not self._surveyed:
                        continue  # an event came before the survey: that is no outage yet
                    pause, lost = RETRY[0], 0
                    now = self._sighting()
                    if now != told:
                        yield now
                        told = replace(now, touched=frozenset(), mentioned=frozenset())
            finally:
                engine.close()
            lost += 1
            now = self._sighting()
            # How a connection ended says less than why there is no other.
            if now != told and not (told.complete and lost == 1):
                yield now
                told = replace(now, touched=frozenset(), mentioned=frozenset())
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    def _sighting(self) -> Sighting:
        """All that is known; what was touched or mentioned is told once."""
        containers = self._registry.known.values()
        targets = [container.target for container in containers if container.target]
        ids = {target.id for target in targets}
        notices = [notice for container in containers for notice in container.all_notices]
        lost = [self._lost] if self._lost else []
        return Sighting(
            targets=tuple(sorted(targets, key=lambda t: (t.service, natural(t.name)))),
            touched=self._registry.take_touched() & ids,
            mentioned=self._registry.take_mentioned() & ids,
            notices=(*lost, *sorted((*notices, *self._registry.mixed()), key=str)),
            complete=self._surveyed,
        )

    def _fold(self, messages: Iterable[Message], engine: Engine) -> bool:
        """Take in what the Engine told; false once the connection is lost."""
        for message in messages:
            match message:
                case Heard():
                    self._since = message.event.at + 1
                    match self._registry.hear(message):
                        case str(id_):
                            engine.inspect(id_)
                        case Survey():
                            engine.survey()
                case Inspected() | Untold():
                    self._registry.take(message)
                case Surveyed():
                    self._registry.take_all(message)
                    self._lost, self._surveyed = None, True
                case Lost(notice):
                    self._lost, self._surveyed = notice, False
                    return False
        return True


class ContainerStateSource:
    """``ContainerState`` from what the discovery knows: no look asks the Engine."""

    kind = ContainerState

    def __init__(self, discovery: DockerDiscovery) -> None:
        self._discovery = discovery

    async def look(self, target: Target, timeout: float) -> ContainerState | Unseen:  # noqa: ARG002
        return self._discovery.state_of(target)


class ExitsSource:
    """``Exits`` from what the discovery heard. ``clock`` tells seconds since the epoch."""

    kind = Exits

    def __init__(self, discovery: DockerDiscovery, clock: Callable[[], float] = time.time) -> None:
        self._discovery = discovery
        self._clock = clock

    async def look(self, target: Target, timeout: float) -> Exits | Unseen:  # noqa: ARG002
        known = self._discovery.history_of(target)
        if isinstance(known, Unseen):
            return known
        return Exits(self._clock(), known.ends, known.final, known.stopping, known.outlived)
