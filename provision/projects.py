"""Removes Compose projects by their label: all that they left, however they ended."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from provision import owner
from provision.engine import PROJECT, Engine
from provision.errors import CommandFailed

_AT_ONCE: Final = 8
_SETTLE: Final = 30.0
"""Seconds that the Engine is given until it refuses nothing any more."""
_MISCOUNT: Final = 5.0
"""Seconds after which a network without containers counts as one that is lost."""
_PAUSE: Final = 0.2


def remove(engine: Engine, project: str) -> None:
    """Remove the containers, networks and volumes of a Compose project; their images stay.

    Needs neither the compose file nor a living container, and is quiet where nothing is left.
    Two may do it at once, and a container may end by itself meanwhile: the Engine then refuses one
    of them, or refuses a network whose last container is not gone yet. So what it says is heeded
    only where something is still there at the end.

    A network of which the Engine lost count stays until it is started again. Raises CommandFailed.
    """
    begun = time.monotonic()
    while refusal := _refusal(engine, project):
        waited = time.monotonic() - begun
        if waited > _MISCOUNT and _are_miscounted(engine, project):
            return
        if waited > _SETTLE:
            raise refusal
        time.sleep(_PAUSE)


def _refusal(engine: Engine, project: str) -> CommandFailed | None:
    """Remove what can be removed; return the last that the Engine refused, if any."""
    found = _found(engine, project)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        refused = list(pool.map(partial(_refused, engine.remove), found.containers))
    refused += [_refused(engine.remove_network, id_) for id_ in found.networks]
    refused += [_refused(engine.remove_volume, name) for name in found.volumes]
    return next(filter(None, reversed(refused)), None)


def _refused(remove: Callable[[str], None], thing: str) -> CommandFailed | None:
    try:
        remove(thing)
    except CommandFailed as error:
        return error
    return None


def _are_miscounted(engine: Engine, project: str) -> bool:
    """Whether all that is left are networks that nothing is connected to.

    Engine 20.10 may lose count of a network's endpoints where a container dies while it is being
    connected. It then refuses to remove the network ("has active endpoints") and shows none; its
    next start sets that right ("Fixing inconsistent endpoint_cnt" in its log).
    """
    left = _found(engine, project)
    if left.containers or left.volumes:
        return False
    try:
        with engine.over_api("network", "inspect", *left.networks) as api:
            return not any(api.inspect_network(id_)["Containers"] for id_ in left.networks)
    except CommandFailed:  # one is gone by now
        return False


def sweep(engine: Engine) -> list[str]:
    """Remove the projects of runs that were killed; return their names.

    A project counts as such when ``owner.new_name`` made its name in a process that is gone.
    """
    abandoned = sorted(filter(owner.is_abandoned, _found(engine).projects))
    for project in abandoned:
        remove(engine, project)
    return abandoned


def in_use(engine: Engine) -> list[str]:
    """The projects of runs that go on, by the same names."""
    return sorted(filter(owner.is_in_use, _found(engine).projects))


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is, by id or, of volumes, by name; and the projects that it belongs to."""

    containers: list[str]
    networks: list[str]
    volumes: list[str]
    projects: set[str]


def _found(engine: Engine, project: str | None = None) -> _Found:
    """All that belongs to a project, or to any."""
    label = PROJECT if project is None else f"{PROJECT}={project}"
    wanted = {"label": label}
    with engine.over_api("ps", "--all", "--filter", f"label={label}") as api:
        containers = api.containers(all=True, filters=wanted)
        networks = api.networks(filters=wanted)
        volumes = api.volumes(filters=wanted)["Volumes"] or []
    return _Found(
        [container["Id"] for container in containers],
        [network["Id"] for network in networks],
        [volume["Name"] for volume in volumes],
        {thing["Labels"][PROJECT] for thing in (*containers, *networks, *volumes)},
    )
