"""The agent as a whole: which parts there are, and how long each lives.

This is the one file that names concrete classes. It reads as the life of the agent: open what
observes, open what shows, watch until a signal, close in the opposite order.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial

import uvloop

from healthagent.checks import CHECKS
from healthagent.config import Settings
from healthagent.core.observation import Livez, Readyz
from healthagent.core.ports import Discovery, Source, Surface
from healthagent.core.target import Target, authority
from healthagent.names import Names
from healthagent.release import RELEASE
from healthagent.sources.docker import ContainerStateSource, DockerDiscovery, DockerTop, ExitsSource
from healthagent.sources.first_seen import FirstSeen
from healthagent.sources.http import HttpSource
from healthagent.sources.postgres import PostgresSource, SessionDetail
from healthagent.sources.procfs import (
    ClientPortsSource,
    ProcessDetail,
    ProcessTreeSource,
    connections,
)
from healthagent.sources.static import StaticDiscovery
from healthagent.supervisor import (
    DockerBeside,
    DockerRuntime,
    Drains,
    Earlier,
    History,
    Inquest,
    Journal,
    Limits,
    Notices,
    ReplicaOperations,
    ReplicaTraffic,
    Supervisor,
    TraefikRouter,
    located,
)
from healthagent.surfaces import log
from healthagent.surfaces.http import Admin, HttpSurface
from healthagent.surfaces.otel import Telemetry, from_environment
from healthagent.surfaces.traefik import offered
from healthagent.watcher import Watcher

_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run the agent until SIGTERM or SIGINT. Returns its exit code: 0.

    Raises :class:`~healthagent.errors.ConfigurationError` where an address cannot be bound.
    """
    lines = log.setup(settings.log.level)
    _may_open_many()
    try:
        uvloop.run(_life(settings))
    finally:
        lines.close()
    return 0


def _may_open_many() -> None:
    """As many descriptors as the agent is allowed. By default an engine allows a container some
    1000 and lets it ask for more: a big fleet needs them, and with none left a crowd of idle
    connections keeps Traefik and the probes from the agent. Nothing here is select(2)'s."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # the kernel allows nobody as many any more
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _life(settings: Settings) -> None:
    stop = _asked_to_stop()
    async with AsyncExitStack() as stack:
        docker, notices = _docker(settings), Notices()
        history = History(located(settings.supervisor.state), notices.add, notices.remove)
        stack.push_async_callback(history.aclose)
        earlier = await history.open()
        drains = Drains(earlier.drains, history.keep_drains)
        http = HttpSurface(settings.listen, settings.public_listen, history=history)
        names = Names()
        postgres = PostgresSource(settings.credentials, names=names)
        otel = from_environment(elsewhere=http.notices_of_routing)
        inquest = _inquest(settings, docker, postgres)
        logged = log.LogSurface()
        journal = Journal(history, inquest, told=(logged.record, http.record, otel.record))
        operations = _hands(settings, docker, http, drains, journal, names)
        operations.take_up(earlier.steps)
        supervisor = _supervisor(settings, operations, journal, notices, earlier)
        admin = Admin(operations, settings.admin_token, settings.admin_socket())
        bound = await stack.enter_async_context(http.serve(admin))
        stack.push_async_callback(_close, postgres, otel)
        stack.push_async_callback(operations.aclose)
        acting = (journal, drains, operations, supervisor)
        shown: Sequence[Surface] = (logged, otel, http, *acting)
        discoveries, sources = _eyes(settings, docker, postgres, names)
        _log.info("healthagent %s listens on %s", RELEASE, authority(*bound.listen))
        watcher = Watcher([*discoveries, notices], sources, CHECKS, shown, rotation=drains)
        await _work(watcher, supervisor, stop)
    _log.info("healthagent has stopped; routing stays as it was")


async def _work(
    watcher: Watcher, supervisor: Supervisor, stop: asyncio.Future[signal.Signals]
) -> None:
    """Watch and supervise until asked to stop. What ends by itself is a fault, and is raised."""
    working = asyncio.gather(watcher.run(), supervisor.run())
    await asyncio.wait((working, stop), return_when=asyncio.FIRST_COMPLETED)
    if stop.done():
        _log.info("%s: stopping", stop.result().name)
        working.cancel()
    try:
        await working
    except asyncio.CancelledError:
        if not stop.done():
            raise


def _asked_to_stop() -> asyncio.Future[signal.Signals]:
    """Done with the signal that asks the agent to end; a second one changes nothing."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[signal.Signals] = loop.create_future()

    def ask(number: signal.Signals) -> None:
        if not asked.done():
            asked.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number)
    return asked


async def _close(postgres: PostgresSource, otel: Telemetry) -> None:
    """Both at once: each may take up to a second, and the agent is to stop within two."""
    await asyncio.gather(postgres.aclose(), asyncio.to_thread(otel.close))


def _docker(settings: Settings) -> DockerDiscovery:
    return DockerDiscovery(
        settings.docker.host,
        project=settings.docker.project,
        databases=settings.database_refs(),
        defaults=settings.defaults,
        routed=settings.traefik.network,
    )


def _pid_of(docker: DockerDiscovery, target: Target) -> int | None:
    return docker.pid_of(target) if target.is_container else target.pid


def _inquest(settings: Settings, docker: DockerDiscovery, postgres: PostgresSource) -> Inquest:
    """What takes evidence."""
    return Inquest(
        DockerRuntime(settings.docker.host),
        ProcessDetail(ProcessTreeSource(partial(_pid_of, docker))).look,
        SessionDetail(postgres).look,
        docker.secrets_of,
    )


def _hands(
    settings: Settings,
    docker: DockerDiscovery,
    http: HttpSurface,
    drains: Drains,
    journal: Journal,
    names: Names,
) -> ReplicaOperations:
    """Everything that acts, as the settings ask for it."""
    host, traefik, pid_of = settings.docker.host, settings.traefik, partial(_pid_of, docker)
    return ReplicaOperations(
        DockerRuntime(host),
        TraefikRouter(
            lambda: http.told,
            traefik.api,
            traefik.throttle,
            traefik.poll,
            offered=offered,
            names=names,
        ),
        ReplicaTraffic(
            lambda target: connections.busy(target, pid_of, docker.own_id),
            DockerBeside(host, lambda: docker.own_id),
        ),
        drains,
        journal,
        settings.drain.longest,
    )


def _supervisor(
    settings: Settings,
    operations: ReplicaOperations,
    journal: Journal,
    notices: Notices,
    earlier: Earlier,
) -> Supervisor:
    """What acts by itself."""
    limits = Limits(settings.supervisor.patience, settings.supervisor.restarts)
    return Supervisor(
        operations,
        journal,
        notices,
        limits,
        busy=operations.busy,
        earlier=earlier.steps,
        died=earlier.died,
    )


def _eyes(
    settings: Settings, docker: DockerDiscovery, postgres: PostgresSource, names: Names
) -> tuple[list[Discovery], list[Source]]:
    """Everything that observes, as the settings ask for it."""
    targets, notices = settings.static_targets()
    static = StaticDiscovery(targets, (*settings.notices, *notices), settings.pidfiles())
    pid_of = partial(_pid_of, docker)
    processes = ProcessTreeSource(pid_of)
    sources: list[Source] = [
        HttpSource(Livez, names, processes.doubt, processes.refused, docker.apart),
        HttpSource(Readyz, names, apart=docker.apart),
        ClientPortsSource(pid_of),
        postgres,
    ]
    if not settings.watches_docker:
        return [static], [*sources, processes]
    top = DockerTop(settings.docker.host, pid_of)
    sources += [ContainerStateSource(docker), ExitsSource(docker), FirstSeen(processes, top)]
    return [static, docker], sources
