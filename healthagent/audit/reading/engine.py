"""The app's containers and images, as the Docker API tells them. Nothing is changed there."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

from healthagent.audit.evidence import Command, Container, Healthcheck, Image, Place
from healthagent.audit.reading import layers
from healthagent.audit.reading.compose import tested
from healthagent.config.tables import DOCKER_SOCKET
from healthagent.core import ps
from healthagent.core.compose import ONE_OFF, PROJECT, SERVICE
from healthagent.core.observation import Elsewhere, ProcessTree, Unseen
from healthagent.docker_api import FAULTS, connect, elsewhere, explained

SILENCE = 60
"""Seconds that it has between two pieces of a saved image."""

LINES = 20
"""Newest log lines that are asked for."""

COLUMNS = "pid,ppid,stat,args"
_BROKEN = (*FAULTS, KeyError, tarfile.TarError)
_START = "start the stack with `docker compose up --detach`, or name its project with --project"
_GZIP = "build it with `--output type=image,compression=gzip,force-compression=true`"

Say = Callable[[str], None]


def look(
    project: str, tags: Mapping[str, str], say: Say
) -> tuple[tuple[Container, ...] | Unseen, tuple[Image, ...] | Unseen]:
    """The running containers of the services that ``tags`` names, and the images that they run.

    ``tags`` has each service's image as the Compose files name it, for where no container runs.
    """
    url = os.environ.get("DOCKER_HOST") or DOCKER_SOCKET
    try:
        client = connect(url)
    except _BROKEN as error:
        notice = explained(error, url)
        remedy = elsewhere(url) or f"{notice.remedy}, or name it in DOCKER_HOST"
        away = Unseen(notice.problem, remedy)
        return away, away
    try:
        containers = _containers(client, url, project, tags.keys())
        running = () if isinstance(containers, Unseen) else containers
        idle = tags.keys() - {c.service for c in running}
        wanted = {c.image_id: c.image for c in running}
        wanted |= {tag: tag for name, tag in tags.items() if name in idle}
        return containers, _images(url, list(wanted.items()), say)
    finally:
        client.close()


def _containers(
    client: Any, url: str, project: str, services: Collection[str]
) -> tuple[Container, ...] | Unseen:
    try:
        listed = client.containers(filters={"label": [f"{PROJECT}={project}"]})
        ours = [
            c["Id"]
            for c in listed
            if c["Labels"].get(SERVICE) in services and c["Labels"].get(ONE_OFF) != "True"
        ]
        documents = [client.inspect_container(id_) for id_ in ours]
        found = tuple(container(d, _top(client, d), _lines(client, d["Id"])) for d in documents)
    except _BROKEN as error:
        return Unseen(f"the Docker Engine does not tell: {_short(error)}", "look at dockerd's log")
    if not found:
        missing = f"no container of project {project!r} runs {' or '.join(services)}"
        return Elsewhere(missing, elsewhere(url) or _START)
    return tuple(sorted(found, key=lambda c: c.name))


def container(
    document: Mapping[str, Any], top: Mapping[str, Any] | Unseen, lines: int | None
) -> Container:
    """A container from its inspect document and from ``docker top``."""
    config, host = document["Config"], document["HostConfig"]
    variables = dict(pair.partition("=")[::2] for pair in config.get("Env") or ())
    health = document["State"].get("Health") or {}
    return Container(
        name=document["Name"].lstrip("/"),
        id=document["Id"],
        service=config["Labels"].get(SERVICE, ""),
        image=config["Image"],
        image_id=document["Image"],
        restart=host["RestartPolicy"]["Name"],
        health=health.get("Status"),
        log_driver=host["LogConfig"]["Type"],
        lines=lines,
        namespaces={
            "network_mode": host.get("NetworkMode") or "",
            "pid": host.get("PidMode") or "",
            "ipc": host.get("IpcMode") or "",
        },
        processes=top if isinstance(top, Unseen) else _tree(document["State"]["Pid"], top),
        variables=frozenset(variables),
        told=_last_line(health),
        otel={k: v for k, v in variables.items() if k.startswith("OTEL_") and "HEADERS" not in k},
    )


def _last_line(health: Mapping[str, Any]) -> str:
    """Of what the HEALTHCHECK printed last, which may say what it is about."""
    looks = health.get("Log") or ()
    lines = (looks[-1]["Output"] if looks else "").strip().splitlines()
    return lines[-1][:200] if lines else ""


def _tree(root: int, top: Mapping[str, Any]) -> ProcessTree:
    """What runs in it. A child that has ended does not, though PID 1 may never wait for it."""
    width = len(COLUMNS.split(","))
    told = [ps.process(*row) for row in top.get("Processes") or () if len(row) == width]
    return ProcessTree(tuple(each for each in ps.family(root, told) if each.state != "Z"))


def _top(client: Any, document: Mapping[str, Any]) -> Mapping[str, Any] | Unseen:
    name, state = document["Name"].lstrip("/"), document["State"]
    logs = f"`docker logs {name}` may say why"
    if state.get("Restarting"):
        return Unseen(f"{name} ended with exit code {state['ExitCode']}, and is restarting", logs)
    try:
        told: Mapping[str, Any] = client.top(document["Id"], f"-o {COLUMNS}")
    except _BROKEN as error:
        return Unseen(f"docker top {name} failed: {_short(error)}", logs)
    return told


def _lines(client: Any, id_: str) -> int | None:
    try:
        return len(bytes(client.logs(id_, tail=LINES)).splitlines())
    except _BROKEN:
        return None


def _images(url: str, wanted: Sequence[tuple[str, str]], say: Say) -> tuple[Image, ...] | Unseen:
    if not wanted:
        return Unseen("the Compose files name no image of the app", "build it and start the stack")
    names = ", ".join(name for _, name in wanted)
    try:
        with closing(connect(url, SILENCE)) as patient:
            return tuple(_image(patient, id_, name, say) for id_, name in wanted)
    except layers.Unreadable as error:
        return Unseen(f"image {names} cannot be looked into: {error}", _GZIP)
    except _BROKEN as error:
        return Unseen(f"image {names} cannot be looked into: {_short(error)}", "build it first")


def _image(patient: Any, id_: str, name: str, say: Say) -> Image:
    say(f"reading the layers of {name}")
    return image(name, patient.inspect_image(id_), layers.files(patient.get_image(id_)))


def image(name: str, document: Mapping[str, Any], files: Mapping[str, tuple[str, ...]]) -> Image:
    """An image from its inspect document, and from what its layers hold.

    A command in shell form is there as ``/bin/sh -c TEXT``; a HEALTHCHECK that is switched off as
    ``NONE`` (https://docs.docker.com/reference/api/engine, ImageInspect).
    """
    config, place = document.get("Config") or {}, Place(f"image {name}")
    test = (config.get("Healthcheck") or {}).get("Test")
    return Image(
        name,
        files,
        entrypoint=_command(config.get("Entrypoint"), place),
        command=_command(config.get("Cmd"), place),
        healthcheck=Healthcheck(test[0] != "NONE", place, tested(test)) if test else None,
    )


def _command(words: Sequence[str] | None, place: Place) -> Command | None:
    return Command(tuple(words), shell=False, place=place) if words else None


def _short(error: BaseException) -> str:
    text = str(getattr(error, "explanation", None) or error)
    return text.splitlines()[0][:200] if text else type(error).__name__
