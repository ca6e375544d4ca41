"""The way back, and what the migration must leave alone (NFR-4, chapter 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from healthagent.audit.evidence import App, Code, Evidence, Place, Service, Sibling, Text
from healthagent.audit.finding import Finding, met, not_met, not_seen, resolved
from healthagent.audit.launch import Launch, launch
from healthagent.core.observation import Unseen
from healthagent.core.postgres_url import database_of, role_of
from healthagent.core.runtime import PM2

_POOLER = re.compile(r"pgbouncer|pgcat|odyssey|supavisor", re.IGNORECASE)
_LIBPQ = ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER")
"""What names a database where no URL does, to the driver as to libpq (pg's manual)."""
_WRITE = "write compose.node.yaml: the same services, on Node and without PM2"
_NAME = "name it in DATABASE_URL"
_RUN = "play it, and audit with --acceptance FILE: its output"


def way_back(seen: Evidence) -> Sibling | None:
    """The Compose file beside the audited ones that runs the app under Node, without PM2."""
    for sibling in seen.siblings:
        if all(_is_node(app) for app in sibling.apps):
            return sibling
    return None


def _is_node(app: App) -> bool:
    found = launch(app)
    if isinstance(found, Launch) and set(found.programs) & PM2:
        return False
    label = app.service.labels.get("healthagent.runtime")
    if label:
        return label.value == "node"
    return isinstance(found, Launch) and found.program == "node"


def goes_back(seen: Evidence) -> Finding:
    back = way_back(seen)
    if back is None:
        return not_met(
            "no Compose file beside it runs the app under Node", seen.stack.place, remedy=_WRITE
        )
    for app in seen.apps:
        if app.service.name not in back.stack.services:
            return not_met(
                f"the way back has no service {app.service.name}", back.stack.place, remedy=_WRITE
            )
        there = back.stack.services[app.service.name]
        lost = [key for key in app.service.labels if key not in there.labels]
        if lost:
            return not_met(
                f"the way back does not label {there.name} {lost[0]}", there.place,
                app.service.labels[lost[0]].place, remedy="give it the labels of the Bun stack",
            )  # fmt: skip
    return resolved("the way back is an image of its own, on Node", back.stack.place)


def runs_on_node_too(_app: App, code: Code) -> Finding:
    modules = [text for text in code.source.imports if text.value.split(":")[0] == "bun"]
    if modules:
        return not_met(
            f"only Bun has {modules[0]}", modules[0].place,
            remedy="use what Node has as well (node:*), or a package",
        )  # fmt: skip
    uses = [text for text in code.source.texts if text.value.startswith("bun ")]
    if uses:
        return not_met(
            f"only Bun has {uses[0].value.removeprefix('bun ')}", uses[0].place,
            remedy="use what Node has as well (node:*), or a package",
        )  # fmt: skip
    return met("the source uses nothing that Node lacks", Place(code.folder))


def phases(seen: Evidence) -> Finding:
    """Package manager, runtime and scaling can be taken one by one: the app runs on Node with
    Bun's packages, and the replicas are no part of either."""
    back = way_back(seen)
    if back is None:
        return not_met(
            "packages and runtime cannot change one after the other: no file beside it runs it "
            "under Node",
            seen.stack.place, remedy=_WRITE,
        )  # fmt: skip
    for app in back.apps:
        if not isinstance(app.code, Unseen) and not set(app.code.locks.files) & {
            "bun.lock", "bun.lockb",
        }:  # fmt: skip
            return not_met(
                "under Node the packages are not Bun's", Place(app.code.folder),
                remedy="install with Bun first: it is the first phase",
            )  # fmt: skip
    return met("the app runs under Node with Bun's packages, and under Bun", back.stack.place)


def validated(seen: Evidence) -> Finding:
    if isinstance(seen.trial, Unseen):
        return not_seen(Unseen(seen.trial.reason, _RUN))
    trial = seen.trial
    if trial.rollback_lost or trial.lost or trial.met < trial.criteria:
        return not_met(
            f"{trial.met} of {trial.criteria} criteria met, {trial.lost} requests lost, "
            f"{trial.rollback_lost} on the way back", trial.place, remedy="see its report",
        )  # fmt: skip
    return met("the way back was played under traffic, and nothing was lost", trial.place)


def no_pm2_beside(seen: Evidence) -> Finding:
    for service in seen.stack.services.values():
        for text in (service.command, service.entrypoint, service.image):
            words = text.words if text is not None and not isinstance(text, Text) else (str(text),)
            if text is not None and any(w.split("@")[0].split("/")[-1] in PM2 for w in words):
                return not_met(
                    f"{service.name} runs PM2: {text}", text.place, remedy="remove the service"
                )  # fmt: skip
    return met("no service is started by PM2", seen.stack.place)


def no_pgbouncer(seen: Evidence) -> Finding:
    for service in seen.stack.services.values():
        for name in (service.name, service.image):
            if name is None or not _POOLER.search(str(name)):
                continue
            return not_met(
                f"{service.name} is a pooler: {service.image or name}", service.place,
                remedy="remove it: the pools of the app are the only ones in this phase",
            )  # fmt: skip
        for name, text in _databases(service):
            host = text.value if name == "PGHOST" else _host(text.value)
            if "pgbouncer=true" in text.value or _POOLER.search(host):
                return not_met(
                    f"{name} of {service.name} leads to a pooler", text.place,
                    remedy="name Postgres itself",
                )  # fmt: skip
    return met("no service is a pooler, and no URL leads to one", seen.stack.place)


def same_database(seen: Evidence) -> Finding:
    """Before and after, the app speaks to one server and database with one role."""
    back = way_back(seen)
    if back is None:
        return not_seen(
            Unseen("there is no way back to compare the database with", _WRITE), seen.stack.place
        )
    for app in seen.apps:
        there = back.stack.services.get(app.service.name)
        if there is None:
            continue
        others = dict(_databases(there))
        for name, text in _databases(app.service):
            other = others.get(name)
            if other is None or _target(text.value) != _target(other.value):
                return not_met(
                    f"{name} names another server, database or role than the way back",
                    text.place, (other or there).place, remedy="use the same in both",
                )  # fmt: skip
    for name, service in seen.stack.services.items():
        later = back.stack.services.get(name)
        if service.image is None or later is None or "postgres" not in service.image.value:
            continue
        if later.image is None or later.image.value != service.image.value:
            return not_met(
                f"{name} is {service.image}, and {later.image} on the way back",
                service.image.place, later.place, remedy="keep one Postgres through it all",
            )  # fmt: skip
    for app in seen.apps:
        if not any(_databases(app.service)):
            return not_seen(
                Unseen(f"nothing says which database {app.service.name} speaks to", _NAME),
                app.service.place,
            )
    return met("both ways use one server, database and role", seen.stack.place, back.stack.place)


def keeps_row_security(app: App) -> Finding:
    """A superuser passes every policy (Postgres' manual, "Row Security Policies")."""
    roles = [
        (name, text, text.value if name == "PGUSER" else role_of(text.value))
        for name, text in _databases(app.service)
    ]
    for name, text, role in roles:
        if role in ("postgres", "root"):
            return not_met(
                f"{name} names a superuser, whom no row-level policy binds", text.place,
                remedy="give the app a role of its own",
            )  # fmt: skip
    for _, text, role in roles:
        if role:
            return met(f"the app connects as {role}", text.place)
    return not_seen(
        Unseen(f"nothing says as which role {app.service.name} connects", _NAME), app.service.place
    )


def _databases(service: Service) -> Iterator[tuple[str, Text]]:
    """The variables that name a database, and are not empty. Where a part of one has to be given
    first (``${NAME:?}``), the name stands for it: a URL cannot be read otherwise."""
    for name, text in service.environment.items():
        if text.value and (name.endswith("DATABASE_URL") or name in _LIBPQ):
            yield name, replace(text, value=re.sub(r"\$\{(\w+)[^{}]*\}", r"\1", text.value))


def _host(url: str) -> str:
    try:
        return database_of(url).host
    except ValueError:
        return ""


def _target(named: str) -> tuple[str, str | None]:
    try:
        return str(database_of(named)), role_of(named)
    except ValueError:
        return named, None
