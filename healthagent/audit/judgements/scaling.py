"""Replicas by Compose alone, with no change of code and no rebuild (FR-4, 8.2)."""

from __future__ import annotations

import re

from healthagent.audit.evidence import App, Evidence, Service, Text
from healthagent.audit.finding import Finding, met, not_met, not_seen
from healthagent.core.observation import Unseen

_NUMBER = re.compile(r"[-_]?\d+$")
_WORKER = re.compile(r"worker|dbos|queue|jobs?\b")


def can_have_replicas(app: App) -> Finding:
    service = app.service
    if service.container_name:
        return not_met(
            f"container_name: {service.container_name} allows one container only",
            service.container_name.place,
            remedy="remove `container_name`",
        )
    for port in service.ports:
        parts = port.value.split("/")[0].rsplit(":", 2)
        published = parts[-2] if len(parts) > 1 else ""
        if published and published != "0" and "-" not in published and "." not in published:
            return not_met(
                f"the host's port {published} can belong to one replica only",
                port.place,
                remedy="remove `ports`; Traefik reaches the replicas over the network",
            )
    for address in service.addresses:
        return not_met(
            f"the address {address} can belong to one replica only", address.place,
            remedy="remove it; Docker gives each replica an address of its own",
        )  # fmt: skip
    mode = service.namespaces.get("network_mode")
    if mode and mode.value == "host":
        return not_met(
            "network_mode: host lets one replica have the port", mode.place,
            remedy="remove `network_mode`",
        )  # fmt: skip
    return met(f"nothing keeps {service.name} to one container", service.place)


def is_one_service(seen: Evidence) -> Finding:
    """``app1`` and ``app2`` are copies of a service, not replicas of one."""
    apps = [app.service for app in seen.apps]
    for service in apps:
        twins = [
            other
            for other in seen.stack.services.values()
            if other is not service
            and _stem(other.name) == _stem(service.name)
            and _same_work(service, other)
        ]
        if twins:
            return not_met(
                f"{service.name} and {twins[0].name} are copies of one service",
                service.place, twins[0].place,
                remedy="keep one, and run `docker compose up --scale SERVICE=N`",
            )  # fmt: skip
    return met(
        f"{' and '.join(service.name for service in apps)} can be scaled with --scale",
        *(service.replicas.place if service.replicas else service.place for service in apps),
    )


def scales_live(seen: Evidence) -> Finding:
    if isinstance(seen.containers, Unseen):
        return not_seen(seen.containers)
    for app in seen.apps:
        ours = [c for c in seen.containers if c.service == app.service.name]
        images = {container.image_id for container in ours}
        if len(images) > 1:
            return not_met(
                f"the replicas of {app.service.name} run {len(images)} images",
                *(container.place for container in ours),
                remedy="finish the rollout: `docker compose up --detach`",
            )
    return met(
        f"{len(seen.containers)} containers, of one image each service",
        *(container.place for container in seen.containers),
    )


def needs_no_code(app: App) -> Finding:
    """All replicas have the same variables: one that names a single replica needs a change."""
    id_ = app.service.environment.get("DBOS__VMID")
    if id_ and id_.value:
        return not_met(
            f"DBOS__VMID={id_} would be the id of every replica", id_.place,
            remedy="remove it; let the app take its container's name",
        )  # fmt: skip
    for name in ("INSTANCE_ID", "REPLICA", "REPLICA_ID", "WORKER_ID", "NODE_APP_INSTANCE"):
        if name in app.service.environment:
            return not_met(
                f"{name} gives every replica one number", app.service.environment[name].place,
                remedy=f"remove {name}; let the app take its container's name",
            )  # fmt: skip
    return met("no variable names a single replica", app.service.place)


def needs_no_rebuild(app: App) -> Finding:
    build = app.service.build
    for name, text in build.args.items() if build else ():
        if re.search(r"REPLICA|INSTANCE|WORKER|SCALE|CONCURRENCY", name.upper()):
            return not_met(
                f"build argument {name} bakes the number of replicas into the image", text.place,
                remedy="take it out of the image; scale with `--scale`",
            )  # fmt: skip
    return met("the image knows nothing of its number", app.service.place)


def keeps_dbos_with_web(seen: Evidence) -> Finding:
    """No second service stays up on the app's image or code for DBOS's work alone; one that ends,
    such as a migration, may have it."""
    for app in seen.apps:
        for other in seen.stack.services.values():
            if other is app.service or not _stays(other):
                continue
            if other.name in seen.stack.apps and not _WORKER.search(other.name):
                continue
            if _same_work(app.service, other):
                own = _own_work(app.service, other)
            elif _WORKER.search(other.name) and other.build:
                own = _same_code(app.service, other)
            else:
                own = None
            if own:
                return not_met(
                    f"{other.name} does part of {app.service.name}'s work: {own}",
                    other.place, own.place,
                    remedy="remove the service: web and DBOS stay in one container for now",
                )  # fmt: skip
    return met(
        "no other service runs the app's image or code", *(a.service.place for a in seen.apps)
    )


def _stays(service: Service) -> bool:
    """A worker does so whatever its restart policy is; a job or a migration ends by itself."""
    if service.restart and service.restart.value in ("always", "unless-stopped"):
        return True
    return "worker" in f"{service.name} {service.command} {service.entrypoint}"


def _own_work(app: Service, other: Service) -> Text | None:
    """What makes another service on the app's image do something else than the app."""
    for mine, theirs in ((app.entrypoint, other.entrypoint), (app.command, other.command)):
        if theirs and str(theirs) != str(mine):
            return Text(str(theirs), theirs.place)
    for name, text in other.environment.items():
        if _WORKER.fullmatch(text.value.lower()) and not _alike(app, name, text):
            return Text(f"{name}={text}", text.place)
    return None


def _same_code(app: Service, other: Service) -> Text | None:
    """What shows that a worker with an image of its own belongs to the app: its folder, the app's
    database, or DBOS's variables."""
    if app.build and other.build and app.build.context == other.build.context:
        return Text(f"it is built from {other.build.dockerfile} beside it", other.build.place)
    for name, text in other.environment.items():
        shared = name.endswith("DATABASE_URL") and _alike(app, name, text)
        if shared or name.startswith("DBOS"):
            return Text(f"it has {name}", text.place)
    return None


def _alike(app: Service, name: str, text: Text) -> bool:
    mine = app.environment.get(name)
    return mine is not None and mine.value == text.value


def _stem(name: str) -> str:
    return _NUMBER.sub("", name)


def _same_work(one: Service, other: Service) -> bool:
    if one.image and other.image and one.image.value == other.image.value:
        return True
    return bool(
        one.build and other.build and one.build.context == other.build.context
        and one.build.dockerfile == other.build.dockerfile
    )  # fmt: skip
