"""The Docker Engine and its client: used as found, else installed and started."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from docker import APIClient
from docker.errors import ImageNotFound

from healthagent import docker_api
from provision import apt, state, tools
from provision.command import run
from provision.errors import CommandFailed, ProvisionError, Unavailable
from provision.paths import STATE
from provision.process import Process
from provision.progress import Progress, Step

SOCKET: Final = "unix:///var/run/docker.sock"
PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
"""Compose's labels on what it made."""

_LOG: Final = STATE / "dockerd.log"
_ANSWER: Final = 10.0
_ACT: Final = 60.0
"""Seconds that the Engine has to say whether it is there, and for what it is told to do."""

_START: Final = 60.0
_STOP: Final = 30.0
_GC: Final = "400"
"""GOGC of a dockerd started here, which lives a short and busy life: starting a container takes a
tenth less of a core where its garbage is collected less often than Go's default of 100 has it."""

_FREEZE: Final = 5
"""Attempts to freeze a container that forks."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker Engine that answered, and the client commands that reach it."""

    host: str
    """As in DOCKER_HOST: ``unix:///PATH`` or ``tcp://HOST:PORT``."""
    version: str
    """The server's version."""
    buildkit: bool
    """Whether the client has buildx; without it only the older builder works."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables for every client command: the docker program and client libraries alike.

        ``DOCKER_GID`` is the socket's group, for ``group_add`` of a container that reads the
        socket without being root.
        """
        variables = {"DOCKER_HOST": self.host}
        if not self.buildkit:
            variables["DOCKER_BUILDKIT"] = "0"
        if (path := self.socket) is not None and path.exists():
            variables["DOCKER_GID"] = str(path.stat().st_gid)
        return variables

    @property
    def socket(self) -> Path | None:
        """The unix socket; None for an engine that is reached over TCP."""
        parts = urlsplit(self.host)
        return Path(parts.path) if parts.scheme == "unix" else None

    def docker(self, *arguments: str | Path, timeout: float = _ACT) -> str:
        """Run ``docker ARGUMENTS`` and return its stdout. Raises CommandFailed."""
        return run(["docker", *arguments], timeout=timeout, environment=self.environment)

    @contextmanager
    def over_api(self, *arguments: str) -> Iterator[APIClient]:
        """What ``docker ARGUMENTS`` does, done over the API: the docker program takes ten times as
        long, which counts for what is done again and again. Raises CommandFailed, as that does."""
        try:
            yield _client(self.host)
        except docker_api.FAULTS as error:
            raise CommandFailed(["docker", *arguments], 1, str(error)) from error

    def inspect(self, container: str) -> dict[str, Any]:
        """The Engine's document on a container, by its name or id. Raises CommandFailed."""
        with self.over_api("inspect", container) as api:
            return dict(api.inspect_container(container))

    def containers(self, project: str, service: str = "") -> dict[str, str]:
        """The containers of a Compose project, or of one of its services, running or not: their ids
        by their names, in the order of these. One that is being removed may have lost its name, and
        is left out. Raises CommandFailed."""
        labels = [f"{PROJECT}={project}", *([f"{SERVICE}={service}"] if service else [])]
        told = (word for label in labels for word in ("--filter", f"label={label}"))
        with self.over_api("ps", "--all", *told) as api:
            found = api.containers(all=True, filters={"label": labels})
        named = ((each["Names"][0].lstrip("/"), each["Id"]) for each in found if each["Names"])
        return dict(sorted(named))

    def address(self, container: str, network: str = "") -> str:
        """A container's IPv4 address on a network, by default on the first that it is on; empty
        where it has none. Raises CommandFailed."""
        networks = self.inspect(container)["NetworkSettings"]["Networks"]
        attached = networks.get(network) if network else next(iter(networks.values()), None)
        return str((attached or {}).get("IPAddress", ""))

    def start(self, container: str) -> None:
        """Start a container that exists. Raises CommandFailed."""
        with self.over_api("start", container) as api:
            api.start(container)

    def remove(self, container: str) -> None:
        """Remove a container, whatever it does, and its nameless volumes. Raises CommandFailed."""
        with self.over_api("rm", "--force", "--volumes", container) as api:
            api.remove_container(container, force=True, v=True)

    def remove_network(self, network: str) -> None:
        """Remove a network that no container is on. Raises CommandFailed."""
        with self.over_api("network", "rm", network) as api:
            api.remove_network(network)

    def remove_volume(self, volume: str) -> None:
        """Remove a volume that no container uses. Raises CommandFailed."""
        with self.over_api("volume", "rm", "--force", volume) as api:
            api.remove_volume(volume, force=True)

    def image(self, tag: str) -> dict[str, Any] | None:
        """The Engine's document on a local image; None without one. Raises CommandFailed."""
        with self.over_api("image", "inspect", tag) as api:
            try:
                return dict(api.inspect_image(tag))  # type: ignore[no-untyped-call]
            except ImageNotFound:
                return None

    def image_id(self, tag: str) -> str:
        """The id of a local image, which changes with what is in it. Raises CommandFailed."""
        if (found := self.image(tag)) is None:
            raise CommandFailed(["docker", "image", "inspect", tag], 1, f"no such image: {tag}")
        return str(found["Id"])

    def published(self, container: str, port: int) -> str:
        """Where a port of a container is on this machine, as ``http://HOST:PORT``; the next start
        may change it. Raises CommandFailed where it is not published, or does not run."""
        ports = self.inspect(container)["NetworkSettings"]["Ports"]
        if not (bound := ports.get(f"{port}/tcp")):
            told = f"port {port} is not published, or the container does not run"
            raise CommandFailed(["docker", "port", container, str(port)], 1, told)
        return f"http://{bound[0]['HostIp']}:{bound[0]['HostPort']}"

    def pause(self, container: str) -> None:
        """Freeze a container. Under cgroup v1 the kernel may fail to freeze one whose processes
        fork at that moment (freezer-subsystem in the kernel's documentation): then again."""
        for _ in range(_FREEZE):
            try:
                self.docker("pause", container)
            except CommandFailed as error:
                if "unable to freeze" not in str(error):
                    raise
            else:
                return
        self.docker("pause", container)

    def compose(self, *arguments: str | Path, timeout: float = 300.0) -> str:
        """Run ``docker compose ARGUMENTS`` and return its stdout. Raises CommandFailed."""
        return self.docker("compose", *arguments, timeout=timeout)


@cache
def _client(host: str) -> APIClient:
    return docker_api.connect(host, timeout=_ACT)


def ensure(progress: Progress | None = None) -> Engine:
    """Return an engine that answers, with Compose: found, or installed and started.

    Raises Unavailable where this machine cannot have one (no right to install, Debian cannot be
    reached, DOCKER_HOST names an engine that does not answer, ...), with the reason: callers can do
    without an engine, whatever it was that kept them from having it.
    """
    progress = progress or Progress()
    with state.exclusive(progress):
        with progress.step("Docker Engine") as step:
            try:
                host, version, origin = _engine(step)
            except CommandFailed as error:
                raise Unavailable(
                    f"one can be neither found nor set up: {error.reason}", error.remedy
                ) from error
            step.outcome = f"{version} at {host}, {origin}"
        with progress.step("Docker Compose") as step:
            step.outcome = _compose(host)
        return Engine(host, version, buildkit=_answers(host, "buildx", "version"))


def find() -> Engine | None:
    """Return the engine that answers now, without setting up anything; None where none does."""
    host = os.environ.get("DOCKER_HOST") or SOCKET
    try:
        version = _server_version(host)
    except CommandFailed:
        return None
    return Engine(host, version, buildkit=_answers(host, "buildx", "version"))


def down(progress: Progress) -> None:
    """Stop the daemon and remove the Compose link, where ``ensure`` brought them.

    Nothing is touched while containers run on that daemon: they may be somebody else's.
    """
    remembered = state.load()
    if (remembered.engine or remembered.unit) and (busy := _running_containers()):
        with progress.step("Docker Engine") as step:
            step.warn(f"goes on, since {busy} containers run; stop them, then do this again")
        return
    if (link := remembered.compose_plugin) is not None:
        with progress.step("Docker Compose") as step:
            if Path(link).is_symlink():
                Path(link).unlink()
            state.save(compose_plugin=None)
            step.outcome = f"{link} removed"
    if (daemon := remembered.engine) is not None:
        with progress.step("Docker Engine") as step:
            step.say(f"stopping dockerd, pid {daemon.pid}")
            step.outcome = "stopped" if daemon.alive() else "was no longer running"
            daemon.stop(_STOP)
            state.save(engine=None)
    if (unit := remembered.unit) is not None:
        with progress.step("Docker Engine") as step:
            step.say(f"stopping {unit}")
            run(["systemctl", "stop", "docker.socket", unit], timeout=_STOP)
            state.save(unit=None)
            step.outcome = f"{unit} stopped"


def _engine(step: Step) -> tuple[str, str, str]:
    """Return host, version and where it came from."""
    named = os.environ.get("DOCKER_HOST")
    host = named or SOCKET
    bare = shutil.which("docker") is None
    if bare:
        apt.install(step, "docker.io", "iptables")
    try:
        version, origin = _server_version(host), "already running"
        # Where systemd runs, Debian's package has started it just now.
        if bare and not named and _systemd():
            origin = _start(step)
    except CommandFailed as error:
        if "permission denied" in error.output:
            raise Unavailable(
                f"the Docker Engine at {host} does not let this user in",
                "run this as root, or add the user to the group `docker` and log in again",
            ) from error
        if named:
            raise Unavailable(
                f"the Docker Engine that DOCKER_HOST={named} names does not answer",
                "start that engine, or unset DOCKER_HOST to use one on this machine",
            ) from error
        origin = _start(step)
        version = _server_version(host)
    return host, version, origin


def _server_version(host: str) -> str:
    return run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        timeout=_ANSWER,
        environment={"DOCKER_HOST": host},
    ).strip()


def _answers(host: str, *arguments: str) -> bool:
    try:
        run(["docker", *arguments], timeout=_ANSWER, environment={"DOCKER_HOST": host})
    except CommandFailed:
        return False
    return True


def _start(step: Step) -> str:
    if shutil.which("dockerd") is None or shutil.which("iptables") is None:
        apt.install(step, "docker.io", "iptables")
    if os.geteuid() != 0:
        raise Unavailable(
            "no Docker Engine answers, and starting one takes root",
            "run this as root, or start the engine first",
        )
    if _systemd():
        step.say("starting docker.service")
        run(["systemctl", "start", "docker.service"], timeout=_START)
        state.save(unit="docker.service")
        return "started by systemd"
    return _start_by_hand(step)


def _systemd() -> bool:
    """Whether systemd runs this machine, by the sign that sd_booted(3) names."""
    return Path("/run/systemd/system").is_dir()


def _start_by_hand(step: Step) -> str:
    """Start dockerd in a session of its own, so that it outlives this one."""
    step.say("starting dockerd")
    STATE.mkdir(parents=True, exist_ok=True)
    with _LOG.open("ab") as log:
        daemon = subprocess.Popen(
            ["dockerd", "--host", SOCKET],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            env=os.environ | {"GOGC": _GC},
        )
    state.save(engine=Process.of(daemon.pid))
    deadline = time.monotonic() + _START
    while not _answers(SOCKET, "version"):
        if daemon.poll() is not None:
            state.save(engine=None)
            raise Unavailable(
                f"dockerd exited {daemon.returncode}: {_last_words(_LOG)}",
                f"see {_LOG}; in a container, the Engine needs --privileged",
            )
        if time.monotonic() > deadline:
            daemon.terminate()
            state.save(engine=None)
            raise Unavailable(
                f"dockerd did not answer within {_START:.0f} s: {_last_words(_LOG)}", f"see {_LOG}"
            )
        time.sleep(0.1)
    # It is meant to go on; without this the interpreter would warn that it still runs.
    daemon.returncode = 0
    return f"started, pid {daemon.pid}"


def _running_containers() -> int:
    engine = find()
    return len(engine.docker("ps", "--quiet").split()) if engine else 0


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"


def _compose(host: str) -> str:
    """Make ``docker compose`` work, for the person at the shell as well; return its version.

    Where the client has no Compose, its folder of plugins gets a link to the venv's binary. The
    link leaves nothing else on the machine, and ``down`` removes it.
    """
    if _answers(host, "compose", "version"):
        return f"{_compose_version(host)}, already there"
    binary = tools.docker_compose()
    settings = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    link = settings / "cli-plugins" / "docker-compose"
    if link.exists() and not link.is_symlink():
        raise ProvisionError(
            f"{link} is there, but `docker compose` does not answer",
            "repair or remove that file: it was not put there by provision",
        )
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(binary)
    except OSError as error:
        raise ProvisionError(
            f"{link} cannot be made: {error.strerror}",
            "make that folder writable, or set DOCKER_CONFIG to a folder that is",
        ) from error
    state.save(compose_plugin=str(link))
    return f"{_compose_version(host)}, linked from {link}"


def _compose_version(host: str) -> str:
    return run(
        ["docker", "compose", "version", "--short"],
        timeout=_ANSWER,
        environment={"DOCKER_HOST": host},
    ).strip()
