"""Looks at each app, container, replica or image in turn; the worst finding stands for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from healthagent.audit.evidence import (
    Agent,
    App,
    Code,
    Container,
    Dockerfile,
    Evidence,
    Image,
    Package,
    Place,
    Replica,
    Text,
)
from healthagent.audit.finding import Finding, not_seen, worst
from healthagent.audit.launch import Launch, launch
from healthagent.audit.requirement import Kind, Look
from healthagent.core.observation import ProcessTree, Unseen

_WATCH = 'see `healthagent status`; recreate it with the label healthagent.enable: "true"'
_START = "start it, or say which services are the app with --service NAME"


def apps(judge: Callable[[App], Finding]) -> Look:
    return Look(Kind.FILES, lambda seen: worst(judge(app) for app in seen.apps))


def launches(judge: Callable[[App, Launch], Finding]) -> Look:
    """How each app is started."""

    def one(app: App) -> Finding:
        found = launch(app)
        if isinstance(found, Unseen):
            return not_seen(found, app.service.place)
        return judge(app, found)

    return apps(one)


def codes(judge: Callable[[App, Code], Finding]) -> Look:
    """Each app's source. A folder without any, such as one of built files, tells nothing of it."""

    def one(app: App) -> Finding:
        if isinstance(app.code, Unseen):
            return not_seen(app.code, app.service.place)
        if not app.code.source.files:
            none = Unseen(f"{app.code.folder} holds no source", "name its folder with --app DIR")
            return not_seen(none, Place(app.code.folder))
        return judge(app, app.code)

    return apps(one)


def packages(judge: Callable[[App, Code, Package], Finding]) -> Look:
    def one(app: App) -> Finding:
        if isinstance(app.code, Unseen):
            return not_seen(app.code, app.service.place)
        if isinstance(app.code.package, Unseen):
            return not_seen(app.code.package)
        return judge(app, app.code, app.code.package)

    return apps(one)


def dockerfiles(judge: Callable[[App, Dockerfile], Finding]) -> Look:
    def one(app: App) -> Finding:
        if isinstance(app.dockerfile, Unseen):
            return not_seen(app.dockerfile, app.service.place)
        return judge(app, app.dockerfile)

    return apps(one)


def images(judge: Callable[[Image], Finding]) -> Look:
    def look(seen: Evidence) -> Finding:
        if isinstance(seen.images, Unseen):
            return not_seen(seen.images)
        return worst(judge(image) for image in seen.images)

    return Look(Kind.IMAGE, look)


def image_launches(judge: Callable[[App, Launch], Finding]) -> Look:
    """How each app's image starts it, by its own configuration: what was built, whatever the
    Dockerfile says by now. What Compose gives in its place counts, as ever."""

    def one(app: App, image: Image) -> Finding:
        found = launch(replace(app, dockerfile=_as_built(image)))
        return not_seen(found, image.place) if isinstance(found, Unseen) else judge(app, found)

    return app_images(one)


def app_images(judge: Callable[[App, Image], Finding]) -> Look:
    def look(seen: Evidence) -> Finding:
        if isinstance(seen.images, Unseen):
            return not_seen(seen.images)
        return worst(
            worst(judge(app, image) for image in _of(app, seen.images, seen)) for app in seen.apps
        )

    return Look(Kind.IMAGE, look)


def _of(app: App, images: Sequence[Image], seen: Evidence) -> Sequence[Image]:
    """The images that are an app's: all of them where there is one app."""
    if len(seen.apps) == 1:
        return images
    return [image for image in images if image.name in _names(app, seen)]


def _names(app: App, seen: Evidence) -> set[str]:
    """The images that an app's containers run, or that its service names."""
    service = app.service
    named = service.image.value if service.image else f"{seen.stack.project}-{service.name}"
    running = () if isinstance(seen.containers, Unseen) else seen.containers
    return {named, *(c.image for c in running if c.service == service.name)}


def _as_built(image: Image) -> Dockerfile:
    """An image's configuration, as the Dockerfile that says the same."""
    return Dockerfile(
        image.place, Text(image.name, image.place), bases=(), runs=(), copies=(),
        command=image.command, entrypoint=image.entrypoint, healthcheck=image.healthcheck,
    )  # fmt: skip


def containers(judge: Callable[[Container], Finding]) -> Look:
    return watched(lambda container, _: judge(container))


def trees(judge: Callable[[Container, ProcessTree], Finding]) -> Look:
    """What runs in each container."""

    def one(container: Container) -> Finding:
        tree = container.processes
        if isinstance(tree, Unseen):
            return not_seen(tree, container.place)
        return judge(container, tree)

    return containers(one)


def watched(judge: Callable[[Container, Replica | None], Finding]) -> Look:
    """Each container, beside what the agent says of it."""

    def look(seen: Evidence) -> Finding:
        if isinstance(seen.containers, Unseen):
            return not_seen(seen.containers)
        told = () if isinstance(seen.agent, Unseen) else seen.agent.replicas
        known = {replica.id: replica for replica in told}
        found = (judge(container, known.get(container.id)) for container in seen.containers)
        return worst((*found, *_absent(seen, seen.containers, "runs")))

    return Look(Kind.LIVE, look)


def replicas(judge: Callable[[Replica], Finding]) -> Look:
    return agents(lambda agent: worst(map(judge, agent.replicas)))


def agents(judge: Callable[[Agent], Finding]) -> Look:
    def one(seen: Evidence) -> Finding:
        return not_seen(seen.agent) if isinstance(seen.agent, Unseen) else judge(seen.agent)

    return attested(one)


def attested(judge: Callable[[Evidence], Finding]) -> Look:
    """By what the agent says, which is nothing of what it does not watch."""

    def look(seen: Evidence) -> Finding:
        found = judge(seen)
        if isinstance(seen.agent, Unseen):
            return found
        watched = seen.agent.replicas
        return worst((found, *_absent(seen, watched, "is watched as"), *_unwatched(seen, watched)))

    return Look(Kind.LIVE, look)


def _unwatched(seen: Evidence, replicas: Iterable[Replica]) -> Iterator[Finding]:
    known = {replica.id for replica in replicas}
    for container in () if isinstance(seen.containers, Unseen) else seen.containers:
        if container.id not in known:
            unknown = f"the agent does not watch {container.name}"
            yield not_seen(Unseen(unknown, _WATCH), container.place)


def _absent(seen: Evidence, found: Iterable[Container | Replica], verb: str) -> Iterator[Finding]:
    """The others tell nothing of a service that none of them belongs to."""
    there = {each.service for each in found}
    for app in seen.apps:
        if app.service.name not in there:
            none = f"no container {verb} {app.service.name}"
            yield not_seen(Unseen(none, _START), app.service.place)
