"""Compose files as one stack: ``extends``, ``include``, merging and interpolation.

Shape: https://github.com/compose-spec/compose-spec/blob/main/spec.md and ``13-merge.md`` beside it.
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
from healthagent.audit.reading.interpolation import env_file, interpolated
from healthagent.audit.reading.tree import Map, Node, Scalar, Seq, fault, load
from healthagent.core.declaration import is_enabled

DEFAULTS = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In Compose's own order."""

_LISTED = ("environment", "labels", "args")
"""May be written as a list of ``NAME=value`` as well."""
_REPLACED = ("command", "entrypoint", "test")
"""Sequences that an override replaces; others grow."""
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
    merged: Node | None = None
    for file in files:
        merged = _over(merged, _file(file, folder, variables, ()))
    assert isinstance(merged, Map)  # noqa: S101  # there is at least one file
    merged = _without_reset(merged)
    services = _entries(merged.entries.get("services"))
    if not services:
        raise fault(
            f"{merged.place}: `services` is missing or empty; name a Compose file of a stack"
        )
    found = {name: _service(name, node, variables) for name, node in services.items()}
    project = _string(merged.entries.get("name"))
    return Stack(
        place=merged.place,
        files=tuple(shown(file) for file in files),
        project=variables.get("COMPOSE_PROJECT_NAME")
        or (project.value if project else _project(folder.resolve().name)),
        services=found,
        apps=_apps(found, named, merged.place),
    )


def _project(folder: str) -> str:
    """The name that Compose gives a project for its folder's."""
    return re.sub(r"[^a-z0-9_-]", "", folder.lower()).lstrip("_-")


def _apps(services: Mapping[str, Service], named: Sequence[str], place: Place) -> tuple[str, ...]:
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
    apps = tuple(named or labelled or built)
    if not apps:
        raise fault(
            f'{place.where}: no service is labelled healthagent.enable: "true", and none is built; '
            "say which one is the app with --service NAME"
        )
    return apps


# One file


def _file(path: Path, folder: Path, variables: Mapping[str, str], under: tuple[Path, ...]) -> Map:
    """A file with all that it includes and extends. ``folder`` is what its paths are relative to:
    the first file's for all that are laid over it, and its own for one that is included."""
    if path in under:
        raise fault(f"{path}: includes itself; break the circle")
    tree = interpolated(load(path, shown(path)), variables)
    assert isinstance(tree, Map)  # noqa: S101  # load() gives a mapping
    services = tree.entries.get("services")
    whole: Node = tree
    if isinstance(services, Map):
        extended = {
            name: _extended(path, folder, name, service, variables, ())
            for name, service in services.entries.items()
        }
        whole = replace(
            tree, entries={**tree.entries, "services": replace(services, entries=extended)}
        )
    included = tree.entries.get("include")
    for item in included.items if isinstance(included, Seq) else ():
        for name in _strings(item.entries.get("path") if isinstance(item, Map) else item):
            other = folder / name.value
            whole = _over(_file(other, other.parent, variables, (*under, path)), whole)
    assert isinstance(whole, Map)  # noqa: S101  # both were
    return whole


def _extended(
    path: Path,
    folder: Path,
    name: str,
    node: Node,
    variables: Mapping[str, str],
    under: tuple[str, ...],
) -> Node:
    """A service in its normal form, laid over what it extends."""
    if node.tag == "reset":
        return node
    if not isinstance(node, Map):
        raise fault(
            f"{node.place}: services.{name} is no mapping; write `image:` or `build:` below it"
        )
    own = _normal(node, folder)
    extends = node.entries.get("extends")
    if extends is None:
        return own
    if isinstance(extends, Map):
        file, base = _string(extends.entries.get("file")), _string(extends.entries.get("service"))
    else:
        file, base = None, _string(extends)
    wanted = base.value if base else name
    other = folder / file.value if file else path
    key = f"{other.resolve()}:{wanted}"
    if key in under:
        raise fault(f"{extends.place}: services.{name}.extends goes in a circle")
    tree = interpolated(load(other, shown(other)), variables)
    assert isinstance(tree, Map)  # noqa: S101  # load() gives a mapping
    services = _entries(tree.entries.get("services"))
    if wanted not in services:
        raise fault(
            f"{extends.place}: services.{name}.extends names {wanted!r}, which {shown(other)} "
            f"does not have; it has {', '.join(services)}"
        )
    beside = other.parent if file else folder
    below = _extended(other, beside, wanted, services[wanted], variables, (*under, key))
    # The service's own tag is for the file below, not for what it extends.
    whole = _over(below, replace(own, tag=""))
    return replace(whole, place=own.place, tag=own.tag)


def _normal(service: Map, folder: Path) -> Map:
    """One spelling for what has several: lists of ``NAME=value`` become mappings, as do ``build:
    DIR`` and each ``env_file``, whose paths no longer depend on the file that they stand in."""
    entries = dict(service.entries)
    build = entries.get("build")
    if isinstance(build, Scalar):
        build = Map({"context": build}, build.place, build.tag)
    if isinstance(build, Map):
        context = build.entries.get("context")
        where = context if isinstance(context, Scalar) else Scalar(".", build.place)
        absolute = replace(where, value=os.path.normpath(folder / where.value))
        built = {**build.entries, "context": absolute}
        entries["build"] = replace(build, entries=_mapped(built))
    files = entries.get("env_file")
    if files is not None:
        listed = files.items if isinstance(files, Seq) else (files,)
        located = tuple(_located(item, folder) for item in listed)
        entries["env_file"] = Seq(located, files.place, files.tag)
    entries.pop("extends", None)
    return replace(service, entries=_mapped(entries))


def _located(item: Node, folder: Path) -> Map:
    entries: dict[str, Node] = item.entries if isinstance(item, Map) else {"path": item}
    name = entries.get("path")
    if isinstance(name, Scalar):
        entries = {**entries, "path": replace(name, value=str(folder / name.value))}
    return Map(entries, item.place)


def _mapped(entries: Mapping[str, Node]) -> dict[str, Node]:
    return {
        key: _as_map(node) if key in _LISTED and isinstance(node, Seq) else node
        for key, node in entries.items()
    }


def _as_map(listed: Seq) -> Map:
    entries: dict[str, Node] = {}
    for item in listed.items:
        if isinstance(item, Scalar):
            name, equals, value = item.value.partition("=")
            entries[name] = replace(item, value=value, null=not equals)
    return Map(entries, listed.place, listed.tag)


def _over(below: Node | None, above: Node, key: str = "") -> Node:
    """``above`` merged over ``below``, as Compose merges an override."""
    if below is None or below.tag == "reset" or above.tag in ("reset", "override"):
        return above
    if isinstance(below, Map) and isinstance(above, Map):
        entries = dict(below.entries)
        for name, node in above.entries.items():
            entries[name] = _over(entries.get(name), node, name)
        return replace(below, entries=entries)
    if isinstance(below, Seq) and isinstance(above, Seq) and key not in _REPLACED:
        return replace(above, items=(*below.items, *above.items))
    return above


def _without_reset(node: Map) -> Map:
    """Once all is merged: until then, what is reset takes away from the files below."""
    kept = {key: value for key, value in node.entries.items() if value.tag != "reset"}
    return replace(
        node,
        entries={k: _without_reset(v) if isinstance(v, Map) else v for k, v in kept.items()},
    )


# One service


def _service(name: str, node: Node, variables: Mapping[str, str]) -> Service:
    entries = _entries(node)
    deploy = _entries(entries.get("deploy"))
    logging = _entries(entries.get("logging"))
    return Service(
        name=name,
        place=node.place,
        image=_string(entries.get("image")),
        build=_build(entries.get("build")),
        command=_command(entries.get("command")),
        entrypoint=_command(entries.get("entrypoint")),
        environment=_environment(entries, variables),
        labels=_texts(entries.get("labels")),
        healthcheck=_healthcheck(entries.get("healthcheck")),
        restart=_restart(deploy.get("restart_policy")) or _string(entries.get("restart")),
        replicas=_string(deploy.get("replicas")) or _string(entries.get("scale")),
        container_name=_string(entries.get("container_name")),
        init=_string(entries.get("init")),
        logging=_string(logging.get("driver")),
        ports=tuple(_ports(entries.get("ports"))),
        addresses=tuple(
            address
            for network in _entries(entries.get("networks")).values()
            for key in ("ipv4_address", "ipv6_address")
            if (address := _string(_entries(network).get(key))) is not None
        ),
        namespaces={
            key: text
            for key in ("network_mode", "pid", "ipc")
            if (text := _string(entries.get(key))) is not None
        },
        mounts=any(isinstance(entries.get(key), Seq) for key in ("volumes", "configs")),
    )


def _restart(policy: Node | None) -> Text | None:
    """``deploy.restart_policy`` by the names of ``restart``, whose place it takes: measured with
    Docker Compose 5.6.1, as is that it restarts nothing where it names no condition."""
    if policy is None:
        return None
    condition = _string(_entries(policy).get("condition")) or Text("none", policy.place)
    return replace(condition, value=_RESTARTS.get(condition.value, condition.value))


def _environment(entries: Mapping[str, Node], variables: Mapping[str, str]) -> dict[str, Text]:
    """The service's own over those of its files; one that is only named has the value that Compose
    would pass on."""
    own = {
        key: Text(variables.get(key, "") if node.null else node.value, node.place)
        for key, node in _entries(entries.get("environment")).items()
        if isinstance(node, Scalar)
    }
    found: dict[str, Text] = {}
    files = entries.get("env_file")
    for item in files.items if isinstance(files, Seq) else ():
        path, form = (_string(_entries(item).get(key)) for key in ("path", "format"))
        if path is not None:
            raw = form is not None and form.value == "raw"
            known = {key: text.value for key, text in (found | own).items()} | dict(variables)
            given = env_file(Path(path.value), known, raw=raw)
            found |= {key: Text(value, path.place) for key, value in given.items()}
    return found | own


def _build(node: Node | None) -> Build | None:
    if node is None:
        return None
    entries = _entries(node)
    context, dockerfile = _string(entries.get("context")), _string(entries.get("dockerfile"))
    target = _string(entries.get("target"))
    return Build(
        context=context.value if context else ".",
        dockerfile=dockerfile.value if dockerfile else "Dockerfile",
        target=target.value if target else None,
        args=_texts(entries.get("args")),
        place=node.place,
    )


def _command(node: Node | None) -> Command | None:
    """A text is split into words as Compose splits it; no shell runs it."""
    if isinstance(node, Seq):
        return Command(tuple(text.value for text in _strings(node)), False, node.place)
    text = _string(node)
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
    entries = _entries(node)
    disabled, test = _string(entries.get("disable")), entries.get("test")
    words = [text.value for text in _strings(test)]
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
            published, target = (_string(item.entries.get(k)) for k in ("published", "target"))
            left, right = (text.value if text else "" for text in (published, target))
            yield Text(f"{left}:{right}" if left else right, item.place)


# Values


def _entries(node: Node | None) -> dict[str, Node]:
    return node.entries if isinstance(node, Map) else {}


def _string(node: Node | None) -> Text | None:
    return node.text if isinstance(node, Scalar) and not node.null else None


def _strings(node: Node | None) -> tuple[Text, ...]:
    if isinstance(node, Seq):
        return tuple(item.text for item in node.items if isinstance(item, Scalar))
    text = _string(node)
    return (text,) if text else ()


def _texts(node: Node | None) -> dict[str, Text]:
    return {key: value.text for key, value in _entries(node).items() if isinstance(value, Scalar)}


def shown(path: Path) -> str:
    """A path as it is reported: from the working directory where it is below that."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
