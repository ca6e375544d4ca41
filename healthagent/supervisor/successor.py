"""What the Engine is asked to create in a container's place: from what it says of the old one.

An inspected container carries its image's settings merged with its own. Where the image changes,
what came from the old one must not outlive it, so all that equals the old image's setting is left
to the new one. Everything else stays, Compose's labels above all: ``docker compose up`` compares
``com.docker.compose.config-hash`` and ``com.docker.compose.image`` with its file and the image that
its file names (pkg/compose/convergence.go of docker/compose), so a container that keeps them is
still its own, and is not created anew.

Shapes: https://docs.docker.com/reference/api/engine/version/v1.41/#operation/ContainerCreate
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from healthagent.core import compose
from healthagent.core.action import Plan
from healthagent.supervisor.ports import Successor

Document = Mapping[str, Any]

_OF_THE_IMAGE = ("User", "WorkingDir", "StopSignal", "Shell", "ArgsEscaped", "OnBuild")
"""Settings that a container has from its image, or else of its own."""

_NEVER = ("MacAddress", "Image")
"""Not carried over as they are; an address is drawn anew."""

_ANONYMOUS = re.compile("[0-9a-f]{64}")
"""How the Engine names a volume that nobody named."""


@dataclass(frozen=True, slots=True)
class Creation:
    """A request to create, and the networks to join before the start, by name: an Engine before
    API 1.44 takes one at the creation. ``image`` is what the Engine says of the image to run."""

    body: dict[str, Any]
    networks: dict[str, dict[str, Any]]
    image: Document


def image_of(old: Document, plan: Plan) -> str:
    """The reference of the successor's image."""
    return plan.image or str(old["Config"]["Image"])


def creation(
    old: Document,
    image: Document,
    new_image: Document,
    plan: Plan,
    *,
    name: str | None = None,
    number: int | None = None,
) -> Creation:
    """The successor of the container ``old``, which runs ``image``, under ``new_image``.

    All three are what the Engine's inspect says. ``name`` and ``number`` are those of one more
    container beside it; without them it takes the old one's place.
    """
    config = _config(old, image.get("Config") or {})
    reference = image_of(old, plan)
    config["Image"] = reference
    config["Env"] = _environment(config.get("Env") or (), plan.variables)
    labels = {**config["Labels"], **plan.labels}
    if compose.IMAGE in labels and reference == old["Config"]["Image"]:
        labels[compose.IMAGE] = new_image["Id"]
    if number is not None and compose.NUMBER in labels:
        labels[compose.NUMBER] = str(number)
    config["Labels"] = labels
    host = _without_volumes(old, config) if name else _with_volumes(old)
    host.pop("ContainerIDFile", None)
    networks = _networks(old, name)
    primary = str(host.get("NetworkMode", ""))
    first = primary if primary in networks else next(iter(networks), None)
    if primary.startswith("container:"):
        config.pop("ExposedPorts", None)
    body = {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": {}}}
    if first is not None:
        body["NetworkingConfig"]["EndpointsConfig"] = {first: networks.pop(first)}
    return Creation(body, networks, new_image)


def foreseen(asked: Creation) -> Successor:
    """What the Engine makes of a creation. It takes the image's command only where no entrypoint
    is asked for (moby, daemon/commit.go, ``merge``)."""
    config = asked.image.get("Config") or {}
    entrypoint, command = asked.body.get("Entrypoint"), asked.body.get("Cmd")
    if not entrypoint:
        command = command or config.get("Cmd")
    if entrypoint is None:
        entrypoint = config.get("Entrypoint")
    labels = {**(config.get("Labels") or {}), **asked.body["Labels"]}
    return Successor((*(entrypoint or ()), *(command or ())), labels)


def _config(old: Document, image: Document) -> dict[str, Any]:
    """The container's own settings, without what it has from its image."""
    config = {key: value for key, value in old["Config"].items() if key not in _NEVER}
    for key in _OF_THE_IMAGE:
        if config.get(key) == image.get(key):
            config.pop(key, None)
    if config.get("Hostname") == old["Id"][:12] or _shares_network(old):
        config.pop("Hostname", None)
    if _shares_network(old):
        config.pop("Domainname", None)
    if config.get("Entrypoint") == image.get("Entrypoint"):
        # A command beside an entrypoint of the container's own must stay: there the Engine takes
        # none from the image.
        config.pop("Entrypoint", None)
        if config.get("Cmd") == image.get("Cmd"):
            config.pop("Cmd", None)
    elif config.get("Entrypoint") is None:
        config["Entrypoint"] = []  # it was reset: nothing at all would ask for the image's
    for key in ("ExposedPorts", "Volumes"):
        config[key] = _own(config.get(key) or {}, image.get(key) or {})
    config["Labels"] = _own(config.get("Labels") or {}, image.get("Labels") or {})
    theirs = set(image.get("Env") or ())
    config["Env"] = [pair for pair in config.get("Env") or () if pair not in theirs]
    if config.get("Healthcheck"):
        check = _own(config["Healthcheck"], image.get("Healthcheck") or {})
        config.pop("Healthcheck")
        if check:
            config["Healthcheck"] = check
    return config


def _shares_network(old: Document) -> bool:
    mode = str((old.get("HostConfig") or {}).get("NetworkMode", ""))
    return mode == "host" or mode.startswith("container:")


def _own(settings: Mapping[str, Any], images: Mapping[str, Any]) -> dict[str, Any]:
    missing = object()
    return {key: v for key, v in settings.items() if images.get(key, missing) != v}


def _environment(pairs: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    split = (pair.partition("=") for pair in pairs)
    merged = {name: value for name, _, value in split} | dict(variables)
    return [f"{name}={value}" for name, value in merged.items()]


def _with_volumes(old: Document) -> dict[str, Any]:
    """The host's settings, with the anonymous volumes named: the successor goes on with them."""
    host = dict(old["HostConfig"])
    binds = list(host.get("Binds") or ())
    known = {bind.split(":")[1] for bind in binds if ":" in bind}
    mounts = [dict(mount) for mount in host.get("Mounts") or ()]
    named = {mount["Target"] for mount in mounts if mount.get("Source")}
    for mount in old.get("Mounts") or ():
        where = mount.get("Destination")
        if mount.get("Type") != "volume" or where in known | named:
            continue
        mine = [declared for declared in mounts if declared.get("Target") == where]
        if mine:
            mine[0]["Source"] = mount["Name"]
        else:
            binds.append(f"{mount['Name']}:{where}:{'rw' if mount.get('RW', True) else 'ro'}")
    host["Binds"] = binds or None
    if mounts:
        host["Mounts"] = mounts
    return host


def _without_volumes(old: Document, config: dict[str, Any]) -> dict[str, Any]:
    """The host's settings of a replica more, which gets anonymous volumes of its own, as another
    one of Compose's does. The old one's have their names here once it was created in the place of
    another, by Compose or by a roll."""
    host = dict(old["HostConfig"])
    binds = host.get("Binds") or ()
    anonymous = [bind for bind in binds if _ANONYMOUS.fullmatch(bind.split(":")[0])]
    config["Volumes"] |= {bind.split(":")[1]: {} for bind in anonymous}
    host["Binds"] = [bind for bind in binds if bind not in anonymous] or None
    if host.get("Mounts"):
        host["Mounts"] = [_anonymous(mount) for mount in host["Mounts"]]
    return host


def _anonymous(mount: Mapping[str, Any]) -> dict[str, Any]:
    theirs = mount.get("Type") == "volume" and _ANONYMOUS.fullmatch(mount.get("Source") or "")
    return {key: value for key, value in mount.items() if not (theirs and key == "Source")}


def _networks(old: Document, name: str | None) -> dict[str, dict[str, Any]]:
    """By network what the container had asked for there; its address is drawn anew, unless it was
    given one of its own, which another container beside it cannot have."""
    if _shares_network(old):
        return {}
    former = str(old.get("Name", "")).lstrip("/")
    found: dict[str, dict[str, Any]] = {}
    for network, attached in ((old.get("NetworkSettings") or {}).get("Networks") or {}).items():
        aliases = [
            name if name and alias == former else alias
            for alias in attached.get("Aliases") or ()
            if alias != old["Id"][:12]
        ]
        endpoint = {
            "Aliases": aliases or None,
            "Links": attached.get("Links"),
            "DriverOpts": attached.get("DriverOpts"),
            "IPAMConfig": None if name else attached.get("IPAMConfig"),
        }
        found[network] = {key: value for key, value in endpoint.items() if value}
    return found
