"""All evidence of one stack: the files that are there, the containers that run, what they say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from healthagent.audit.evidence import App, Code, Dockerfile, Evidence, Service, Sibling, Stack
from healthagent.audit.reading import compose, dockerfile, source, starts, workspace
from healthagent.audit.reading.tree import fault, shown
from healthagent.core.observation import Elsewhere, Unseen
from healthagent.errors import ConfigurationError

_COMPOSE_FILE = re.compile(r"(?:docker-)?compose\.[\w.-]*ya?ml")
Reader = Callable[[Path], Code]
_UNASKED = Unseen("only files were looked at", "audit without --static")


@dataclass(frozen=True, slots=True)
class Files:
    """Which files to read: the Compose files, later ones over earlier ones; the services that are
    the app, and the folder of its code, where they are not to be found out."""

    compose: tuple[Path, ...]
    services: tuple[str, ...] = ()
    folder: Path | None = None
    project: str | None = None


def from_files(asked: Files, say: Callable[[str], None] = lambda _: None) -> Evidence:
    """What files alone tell; the rest is unseen. ``say`` is told what takes long.

    Raises :class:`ConfigurationError`.
    """
    if asked.folder is not None and not asked.folder.is_dir():
        raise fault(f"--app {asked.folder}: is no folder; name the app's own")
    stack = compose.read(asked.compose, asked.services)
    if asked.project:
        stack = replace(stack, project=asked.project)
    read = source.reader(say)
    return Evidence(
        stack=stack,
        apps=_apps(stack, asked, read),
        siblings=tuple(_siblings(asked, stack, read)),
        images=_UNASKED,
        containers=_UNASKED,
        agent=_UNASKED,
        router=_UNASKED,
        metrics=_UNASKED,
        trial=_UNASKED,
    )


def _apps(stack: Stack, asked: Files, read: Reader) -> tuple[App, ...]:
    return tuple(_app(stack.services[name], asked, read) for name in stack.apps)


def _app(service: Service, asked: Files, read: Reader) -> App:
    beside = asked.compose[0].parent
    folder = _folder(service, asked)
    code = read(folder) if isinstance(folder, Path) else folder
    folders = [*([folder] if isinstance(folder, Path) else ()), beside]
    build = service.build
    built: Dockerfile | Unseen
    if build is not None:
        path = Path(build.context) / build.dockerfile
        built = (
            dockerfile.of(build.inline, build.args, build.target)
            if build.inline
            else dockerfile.read(path, build.args, build.target)
        )
        folders = [Path(build.context), path.parent, *folders]
    elif isinstance(folder, Path):
        built = dockerfile.read(folder / "Dockerfile", {}, None)
    else:
        built = folder
    return App(service, built, code, starts.read(service, built, code, folders))


def _folder(service: Service, asked: Files) -> Path | Unseen:
    """Where package.json is: as told, where it is built, or beside the Compose file."""
    beside = asked.compose[0].parent
    candidates = [beside / service.name, beside / "app", beside]
    if service.build:
        candidates.insert(0, Path(service.build.context))
    if asked.folder:
        candidates = [asked.folder]
    for folder in candidates:
        if (folder / "package.json").is_file():
            return folder if asked.folder else workspace.app_of(folder, service)
    return Unseen(
        f"{service.place}: no folder of {service.name}'s code was found", "name it with --app DIR"
    )


def _siblings(asked: Files, audited: Stack, read: Reader) -> Iterator[Sibling]:
    """Other Compose files in the same folder: whole stacks, or overrides of the audited one, which
    name only some of its services. What cannot be read was not asked for, and is passed over."""
    given = {path.resolve() for path in asked.compose}
    for path in sorted(asked.compose[0].parent.iterdir()):
        if not _COMPOSE_FILE.fullmatch(path.name) or path.resolve() in given:
            continue
        try:
            stack = compose.read((path,), asked.services)
            if stack.services.keys() < audited.services.keys():
                stack = compose.read((*asked.compose, path), asked.services)
        except ConfigurationError:
            continue
        place = replace(stack.place, where=shown(path), line=None)
        yield Sibling(replace(stack, place=place), _apps(stack, asked, read))


def tags(stack: Stack) -> Mapping[str, str]:
    """The name of each app's image, as Compose gives it where the file gives none."""
    services = {name: stack.services[name] for name in stack.apps}
    return {
        name: service.image.value if service.image else f"{stack.project}-{name}"
        for name, service in services.items()
    }


def joined(evidence: Evidence) -> Evidence:
    """What the agent says of this stack's own containers. It may watch others beside them, and is
    no witness where it watches none of them."""
    agent, containers = evidence.agent, evidence.containers
    if isinstance(agent, Unseen):
        return evidence
    if isinstance(containers, Unseen):
        return (
            replace(evidence, agent=containers) if isinstance(containers, Elsewhere) else evidence
        )
    ids = {container.id for container in containers}
    ours = tuple(replica for replica in agent.replicas if replica.id in ids)
    other = Unseen(
        f"the agent at {agent.url} watches other containers than project "
        f"{evidence.stack.project!r} has",
        "name this stack's own with --agent URL",
    )
    return replace(evidence, agent=replace(agent, replicas=ours) if ours else other)
