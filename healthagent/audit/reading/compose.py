"""Compose files as one stack: the services, and which of them are the app.

Shape: https://github.com/compose-spec/compose-spec/blob/main/spec.md.
Only what a requirement asks about is kept.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from healthagent.audit.evidence import Build, Command, Healthcheck, Place, Service, Stack, Text
from healthagent.audit.reading.interpolation import env_file
from healthagent.audit.reading.merge import merged
from healthagent.audit.reading.tree import (
    Map,
    Node,
    Scalar,
    Seq,
    entries_of,
    fault,
    mapped_texts_of,
    shown,
    text_of,
    texts_of,
)
from healthagent.core.declaration import is_enabled

DEFAULTS = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In Compose's own order."""

_RESTARTS = {"any": "always", "none": "no"}
_TRUE = ("true", "yes", "on", "1", "y")


def default_files(folder: Path) -> tuple[Path, ...]:
    """What ``docker compose`` would read here: what COMPOSE_FILE lists, else a file, and its
    override."""
    variables = {**env_file(folder / ".env", os.environ), **os.environ}
    if listed := variables.get("COMPOSE_FILE"):
        separator = variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        return tuple(folder / name for name in listed.split(separator) if name)
    for name in DEFAULTS:
        path = folder / name
        if path.is_file():
            overrides = (path.with_suffix(f".override{suffix}") for suffix in (".yaml", ".yml"))
            beside = (folder / override.name for override in overrides)
            found = tuple(override for override in beside if override.is_file())
            return (path, *found[:1])
    looked = ", ".join(DEFAULTS)
    raise fault(f"{folder}: holds no Compose file ({looked}); name one with --compose FILE")


def read(files: Sequence[Path], named: Sequence[str] = ()) -> Stack:
    """The stack of these files, later ones over earlier ones.

    ``named`` are the services that are the app; else those labelled ``healthagent.enable``, else
    those that are built. Raises :class:`ConfigurationError`.
    """
    folder = files[0].parent
    variables = {**env_file(folder / ".env", os.environ), **os.environ}
    whole = merged(files, folder, variables)
    services = entries_of(whole.entries.get("services"))
    if not services:
        raise fault(
            f"{whole.place}: `services` is missing or empty; name a Compose file of a stack"
        )
    on = _profiles(variables)
    found = {
        name: _service(name, node, variables)
        for name, node in services.items()
        if name in named or _is_on(node, on)
    }
    if not found:
        raise fault(f"{whole.place}: each service is of a profile; name those in COMPOSE_PROFILES")
    project = text_of(whole.entries.get("name"))
    return Stack(
        place=whole.place,
        files=tuple(shown(file) for file in files),
        project=variables.get("COMPOSE_PROJECT_NAME")
        or (project.value if project else _project(folder.resolve().name)),
        services=found,
        apps=_apps(found, named, _jobs(services), whole.place),
    )


def _profiles(variables: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name.strip() for name in variables.get("COMPOSE_PROFILES", "").split(","))


def _is_on(service: Node, profiles: frozenset[str]) -> bool:
    """A service of profiles is there where one of them is asked for."""
    own = {text.value for text in texts_of(entries_of(service).get("profiles"))}
    return not own or "*" in profiles or not profiles.isdisjoint(own)


def _project(folder: str) -> str:
    """The name that Compose gives a project for its folder's."""
    return re.sub(r"[^a-z0-9_-]", "", folder.lower()).lstrip("_-")


def _jobs(services: Mapping[str, Node]) -> frozenset[str]:
    """Those that others wait for to end, such as a migration."""
    return frozenset(
        name
        for service in services.values()
        for name, on in entries_of(entries_of(service).get("depends_on")).items()
        if str(text_of(entries_of(on).get("condition"))) == "service_completed_successfully"
    )


def _apps(
    services: Mapping[str, Service], named: Sequence[str], jobs: frozenset[str], place: Place
) -> tuple[str, ...]:
    for name in named:
        if name not in services:
            known = ", ".join(services)
            raise fault(f"--service {name}: {place.where} has no such service; it has {known}")
    labelled = [
        name
        for name, service in services.items()
        if is_enabled({key: text.value for key, text in service.labels.items()})
    ]
    built = [name for name, service in services.items() if service.build]
    stay = [name for name in built if name not in jobs]
    images = {str(services[name].image) for name in built if services[name].image}
    alike = [n for n, s in services.items() if n not in jobs and str(s.image) in images]
    apps = tuple(named or labelled or stay or alike or built)
    if not apps:
        raise fault(
            f'{place.where}: no service is labelled healthagent.enable: "true", and none is built; '
            "say which one is the app with --service NAME"
        )
    return apps


# One service


def _service(name: str, node: Node, variables: Mapping[str, str]) -> Service:
    entries = entries_of(node)
    deploy = entries_of(entries.get("deploy"))
    logging = entries_of(entries.get("logging"))
    return Service(
        name=name,
        place=node.place,
        image=text_of(entries.get("image")),
        build=_build(entries.get("build")),
        command=_command(entries.get("command")),
        entrypoint=_command(entries.get("entrypoint")),
        environment=_environment(entries, variables),
        labels=mapped_texts_of(entries.get("labels")),
        healthcheck=_healthcheck(entries.get("healthcheck")),
        restart=_restart(deploy.get("restart_policy")) or text_of(entries.get("restart")),
        replicas=text_of(deploy.get("replicas")) or text_of(entries.get("scale")),
        container_name=text_of(entries.get("container_name")),
        init=text_of(entries.get("init")),
        logging=text_of(logging.get("driver")),
        ports=tuple(_ports(entries.get("ports"))),
        addresses=tuple(
            address
            for network in entries_of(entries.get("networks")).values()
            for key in ("ipv4_address", "ipv6_address")
            if (address := text_of(entries_of(network).get(key))) is not None
        ),
        namespaces={
            key: text
            for key in ("network_mode", "pid", "ipc")
            if (text := text_of(entries.get(key))) is not None
        },
        mounts=any(isinstance(entries.get(key), Seq) for key in ("volumes", "configs")),
    )


def _restart(policy: Node | None) -> Text | None:
    """``deploy.restart_policy`` by the names of ``restart``, whose place it takes: measured with
    Docker Compose 5.6.1, as is that it restarts nothing where it names no condition."""
    if policy is None:
        return None
    condition = text_of(entries_of(policy).get("condition")) or Text("none", policy.place)
    return replace(condition, value=_RESTARTS.get(condition.value, condition.value))


def _environment(entries: Mapping[str, Node], variables: Mapping[str, str]) -> dict[str, Text]:
    """The service's own over those of its files; one that is only named has the value that Compose
    would pass on."""
    own = {
        key: Text(variables.get(key, "") if node.null else node.value, node.place)
        for key, node in entries_of(entries.get("environment")).items()
        if isinstance(node, Scalar)
    }
    found: dict[str, Text] = {}
    files = entries.get("env_file")
    for item in files.items if isinstance(files, Seq) else ():
        path, form = (text_of(entries_of(item).get(key)) for key in ("path", "format"))
        if path is not None:
            raw = form is not None and form.value == "raw"
            known = {key: text.value for key, text in (found | own).items()} | dict(variables)
            given = env_file(Path(path.value), known, raw=raw)
            found |= {key: Text(value, path.place) for key, value in given.items()}
    return found | own


def _build(node: Node | None) -> Build | None:
    if node is None:
        return None
    entries = entries_of(node)
    context, dockerfile = text_of(entries.get("context")), text_of(entries.get("dockerfile"))
    target = text_of(entries.get("target"))
    return Build(
        context=context.value if context else ".",
        dockerfile=dockerfile.value if dockerfile else "Dockerfile",
        target=target.value if target else None,
        inline=text_of(entries.get("dockerfile_inline")),
        args=mapped_texts_of(entries.get("args")),
        place=node.place,
    )


def _command(node: Node | None) -> Command | None:
    """A text is split into words as Compose splits it; no shell runs it."""
    if isinstance(node, Seq):
        return Command(tuple(text.value for text in texts_of(node)), False, node.place)
    text = text_of(node)
    if text is None or node is None:
        return None
    try:
        return Command(tuple(shlex.split(text.value)), False, text.place)
    except ValueError as error:
        raise fault(
            f"{text.place}: {text.value!r} cannot be split into words: {error}; write a list"
        ) from None


def _healthcheck(node: Node | None) -> Healthcheck | None:
    if node is None:
        return None
    entries = entries_of(node)
    disabled, test = text_of(entries.get("disable")), entries.get("test")
    words = [text.value for text in texts_of(test)]
    off = (disabled is not None and disabled.value.lower() in _TRUE) or words[:1] == ["NONE"]
    if not off and not words:
        return None  # only its times are set: whether there is one the image says
    return Healthcheck(not off, node.place, tested(words))


def tested(words: Sequence[str]) -> str:
    """The command of a HEALTHCHECK's test, which may begin with how it is run."""
    return " ".join(words[1:] if words[:1] in (["CMD"], ["CMD-SHELL"]) else words)


def _ports(node: Node | None) -> Iterable[Text]:
    """Each as ``HOST:CONTAINER``; the host's part is empty where Docker chooses."""
    for item in node.items if isinstance(node, Seq) else ():
        if isinstance(item, Scalar):
            yield item.text
        elif isinstance(item, Map):
            published, target = (text_of(item.entries.get(k)) for k in ("published", "target"))
            left, right = (text.value if text else "" for text in (published, target))
            yield Text(f"{left}:{right}" if left else right, item.place)
