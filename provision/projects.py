"""Removes Compose projects by their label: all that they left, however they ended."""

import json
import time
from typing import Final

from provision import owner
from provision.engine import Engine
from provision.errors import CommandFailed

_LABEL: Final = "com.docker.compose.project"
_REMOVE: Final = 120.0
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
    while True:
        refusal = None
        for listing, removal in (
            (("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
            (("network", "ls", "--quiet"), ("network", "rm")),
            (("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
        ):
            found = engine.docker(*listing, "--filter", f"label={_LABEL}={project}").split()
            try:
                if found:
                    engine.docker(*removal, *found, timeout=_REMOVE)
            except CommandFailed as error:
                refusal = error
        waited = time.monotonic() - begun
        if refusal is None or (waited > _MISCOUNT and _are_miscounted(engine, project)):
            return
        if waited > _SETTLE:
            raise refusal
        time.sleep(_PAUSE)


def _are_miscounted(engine: Engine, project: str) -> bool:
    """Whether all that is left are networks that nothing is connected to.

    Engine 20.10 may lose count of a network's endpoints where a container dies while it is being
    connected. It then refuses to remove the network ("has active endpoints") and shows none; its
    next start sets that right ("Fixing inconsistent endpoint_cnt" in its log).
    """
    label = ("--filter", f"label={_LABEL}={project}", "--quiet")
    if engine.docker("ps", "--all", *label) or engine.docker("volume", "ls", *label):
        return False
    networks = engine.docker("network", "ls", *label).split()
    count = ("network", "inspect", "--format", "{{len .Containers}}")
    try:
        return all(engine.docker(*count, network).strip() == "0" for network in networks)
    except CommandFailed:  # one is gone by now
        return False


def sweep(engine: Engine) -> list[str]:
    """Remove the projects of runs that were killed; return their names.

    A project counts as such when ``owner.new_name`` made its name in a process that is gone.
    """
    abandoned = sorted(filter(owner.is_abandoned, _projects(engine)))
    for project in abandoned:
        remove(engine, project)
    return abandoned


def in_use(engine: Engine) -> list[str]:
    """The projects of runs that go on, by the same names."""
    return sorted(filter(owner.is_in_use, _projects(engine)))


def _projects(engine: Engine) -> set[str]:
    found: set[str] = set()
    for listing in (("ps", "--all"), ("network", "ls"), ("volume", "ls")):
        template = f'{{{{json (.Label "{_LABEL}")}}}}'
        lines = engine.docker(*listing, "--filter", f"label={_LABEL}", "--format", template)
        found.update(json.loads(line) for line in lines.splitlines())
    return found
