"""What is wrong with the settings: key, value, problem, remedy of each fault."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from healthagent.config import tables
from healthagent.config.fault import Fault
from healthagent.config.layers import Gathered
from healthagent.core.masking import HIDDEN, masked
from healthagent.core.options import OPTIONS, Option

_OPTIONS = {option.key: option for option in OPTIONS}


def of_schema(error: ValidationError, gathered: Gathered) -> Iterator[Fault]:
    """The faults that the schema found."""
    for fault in error.errors(include_url=False, include_context=True):
        path: tables.Path = fault["loc"]
        match fault["type"]:
            case "extra_forbidden":
                yield _unknown(path, gathered, _siblings(path))
            case "missing":
                yield _fault(path, gathered, "is missing", _write(path))
            case "value_error" if tables.key_of(path) is None:
                yield _fault(path, gathered, *str(fault["ctx"]["error"]).split("; ", 1))
            case _:
                yield _fault(path, gathered, "cannot be read", _write(path), fault["input"])


def of_options(gathered: Gathered) -> Iterator[Fault]:
    """The faults in ``[defaults]`` and in what ``[[targets]]`` declare beside their own keys."""
    defaults = gathered.values.get("defaults")
    if isinstance(defaults, Mapping):
        known = _OPTIONS.keys() - {"enable"}
        yield from _of_texts(("defaults",), defaults, {}, known, gathered)
    targets = gathered.values.get("targets")
    for number, target in enumerate(targets if isinstance(targets, list) else ()):
        if isinstance(target, Mapping):
            yield from _of_target(("targets", number), target, gathered)


def of_places(gathered: Gathered) -> Iterator[Fault]:
    """The faults of where the agent is to listen: it would end with them as it starts."""
    first = gathered.values.get("listen", tables.Tables.model_fields["listen"].default)
    second = gathered.values.get("public_listen")
    with suppress(ValueError):
        if second is not None and _meet(tables.address(first), tables.address(second)):
            remedy = "choose another port for one of them"
            yield _fault(("public_listen",), gathered, "is where listen is too", remedy, second)
    admin = gathered.values.get("admin")
    socket = admin.get("socket") if isinstance(admin, Mapping) else None
    if not isinstance(socket, str) or socket in ("", "none"):
        return
    if why := _closed(Path(socket).parent):
        remedy = f"choose a folder that user id {os.geteuid()} may write to, or none"
        yield _fault(("admin", "socket"), gathered, why, remedy, socket)


def _meet(one: tables.Address, other: tables.Address) -> bool:
    """Whether only one of them can be bound. Port 0 is another one each time."""
    same_family = (":" in one.host) == (":" in other.host)
    hosts = {one.host, other.host}
    everywhere = {"", "0.0.0.0", "::"} if same_family else {""}  # noqa: S104
    shared = len(hosts) == 1 or hosts & everywhere
    return one.port == other.port != 0 and bool(shared)


def _closed(folder: Path) -> str | None:
    """Why nothing can be made in a folder, in the system's words."""
    try:
        os.stat(f"{folder}/.")  # noqa: PTH116  # a Path would leave out the dot
    except OSError as error:
        return error.strerror
    return None if os.access(folder, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)


def _of_target(path: tables.Path, target: Mapping[str, Any], gathered: Gathered) -> Iterator[Fault]:
    own = tables.StaticTarget.model_fields.keys()
    declared = {key: value for key, value in target.items() if key not in own}
    environment = target.get("environment")
    variables = environment if isinstance(environment, Mapping) else {}
    yield from _of_texts(path, declared, variables, _OPTIONS.keys() | own, gathered)
    name = target.get("name")
    if [other for other in gathered.values["targets"][: path[1]] if _named(other, name)]:
        remedy = "give each target a name of its own"
        yield _fault((*path, "name"), gathered, "is another target's too", remedy, name)
    database = dict(tables.texts(declared)).get("database")
    databases = gathered.values.get("databases")
    known = databases if isinstance(databases, Mapping) else {}
    if "database_url" in target or database is None or database in known:
        return
    if _readable(_OPTIONS["database"], database):
        remedy = f"add [databases.{database}], or set database_url"
        yield _fault((*path, "database"), gathered, "is not in [databases]", remedy, database)


def _of_texts(
    path: tables.Path,
    table: Mapping[str, object],
    variables: Mapping[str, object],
    known: Collection[str],
    gathered: Gathered,
) -> Iterator[Fault]:
    for key, text in tables.texts(table):
        option = _OPTIONS.get(key)
        if option is None or key not in known:
            yield _unknown((*path, key), gathered, known)
        elif text.startswith("env:"):
            name = text.removeprefix("env:")
            if path[0] == "targets" and name not in variables:
                remedy = f"set environment.{name} of this target"
                yield _fault((*path, key), gathered, f"has no variable {name}", remedy, text)
        elif not _readable(option, text):
            yield _fault((*path, key), gathered, "cannot be read", f"write {option.expects}", text)


def _readable(option: Option, text: str) -> bool:
    try:
        option.read(text)
    except ValueError:
        return False
    return True


def _named(target: object, name: object) -> bool:
    return name is not None and isinstance(target, Mapping) and target.get("name") == name


def _siblings(path: tables.Path) -> Collection[str]:
    """What could have been meant: the keys and tables beside an unknown one."""
    match path:
        case (_,):
            return tables.Tables.model_fields.keys()
        case ("databases", _, _):
            return tables.Database.model_fields.keys()
        case _:
            inside = f"{path[0]}."
            return [key.removeprefix(inside) for key in tables.KEYS if key.startswith(inside)]


def _unknown(path: tables.Path, gathered: Gathered, known: Collection[str]) -> Fault:
    """No value: what was mistyped may have been a password."""
    near = get_close_matches(str(path[-1]), known, n=1)
    remedy = f"did you mean {near[0]}?" if near else "remove it, or read docs/configuration.md"
    return _fault(path, gathered, "is no setting", remedy)


def _write(path: tables.Path) -> str:
    key = tables.key_of(path)
    if key is not None:
        return f"write {key.setting.expects}"
    named = f"[[{path[0]}]]" if path[0] == "targets" else f"[{'.'.join(map(str, path))}]"
    return f"write it as a table, {named}"


def _fault(
    path: tables.Path, gathered: Gathered, problem: str, remedy: str, value: object = None
) -> Fault:
    key, origin = _spelled(path, gathered.values), _origin(path, gathered.origins)
    return Fault(key, problem, remedy, _told(path, value), origin)


def _told(path: tables.Path, value: object) -> object:
    """The value, where its key is known to hold no secret. A table or a list says nothing of what
    stands in it, nor does a text in the place of a table: each may hold a password."""
    key = tables.key_of(path)
    if key is None or value is None:
        return None
    if key.setting.secret:
        return HIDDEN
    if isinstance(value, Mapping | list):
        return None
    return masked(value) if isinstance(value, str) else value


def _origin(path: tables.Path, origins: Mapping[str, str]) -> str | None:
    """Where a value was written, or the nearest one around it."""
    for end in range(len(path), 0, -1):
        here = ".".join(str(part) for part in path[:end])
        for key, origin in origins.items():
            if key == here or key.startswith(f"{here}."):
                return origin
    return None


def _spelled(path: tables.Path, values: Mapping[str, Any]) -> str:
    """A dotted path, with a target's name in the place of its number where it has one."""
    match path:
        case ("targets", int(number), *rest):
            target = values["targets"][number]
            name = target.get("name") if isinstance(target, Mapping) else None
            return ".".join((f"targets[{name or number}]", *(str(part) for part in rest)))
        case _:
            return ".".join(str(part) for part in path)
