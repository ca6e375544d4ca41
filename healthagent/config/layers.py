"""Where settings come from: the file, then variables, then flags; the later wins."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from healthagent.config import tables
from healthagent.config.fault import Fault
from healthagent.core.notice import Notice

DEFAULT_FILE = Path("/etc/healthagent/healthagent.toml")
FILE_VARIABLE = "HEALTHAGENT_CONFIG"
PREFIX = "HEALTHAGENT_"

_VARIABLES = {key.variable: key for key in (*tables.GENERAL, *tables.DEFAULTS)}
_FIELDS = {key.path.split(".")[-1].upper() for key in tables.DATABASE}
_OF_DATABASE = re.compile(rf"{PREFIX}DATABASES_(.+?)_({'|'.join(sorted(_FIELDS))})")
_NOT_SETTINGS = {FILE_VARIABLE, "HEALTHAGENT_AGENT_URL"}
"""Variables of the command line itself."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value at one place, and where it was written."""

    path: tables.Path
    value: object
    where: str


@dataclass(slots=True)
class Gathered:
    """All layers in one. ``origins`` names by dotted path where the winner was written."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def add(self, leaves: Iterable[Leaf]) -> None:
        for leaf in leaves:
            self._put(leaf)

    def _put(self, leaf: Leaf) -> None:
        *parents, last = leaf.path
        table: Any = self.values
        for name in parents:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                return  # a fault of the layer below, which is told as such
        if leaf.value == {} and isinstance(table.get(last), dict):
            return
        table[last] = leaf.value
        self.origins[".".join(str(part) for part in leaf.path)] = leaf.where


def gather(
    config: Path | None,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    default_file: Path = DEFAULT_FILE,
) -> Gathered:
    """Everything that is set. A file that is named must be there; the default one need not be."""
    gathered = Gathered()
    if environ.get("DOCKER_HOST"):
        gathered.add([Leaf(("docker", "host"), environ["DOCKER_HOST"], "DOCKER_HOST")])
    named = config or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    if named or _may_be_there(default_file):
        file = named or default_file
        match _read(file):
            case Fault() as fault:
                gathered.faults.append(fault)
            case table:
                gathered.add(_leaves(table, str(file)))
    databases = gathered.values.get("databases")
    for leaf in _variables(environ, databases if isinstance(databases, dict) else {}):
        if leaf.value == _told(str(leaf.value)):
            gathered.add([leaf])
        else:
            key = ".".join(map(str, leaf.path))
            fault = Fault(key, "is not UTF-8", "write it in UTF-8", origin=leaf.where)
            gathered.faults.append(fault)
    gathered.notices.extend(_unheard_of(environ))
    gathered.add(
        Leaf(tuple(key.split(".")), value, "--" + re.sub("[._]", "-", key))
        for key, value in flags.items()
    )
    return gathered


def _may_be_there(file: Path) -> bool:
    """True also where nobody may look, as in a folder of root's own: reading it says so."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read(file: Path) -> dict[str, Any] | Fault:
    """The file's tables; of a syntax error the fault names the line."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        why, remedy = error.strerror or str(error), "name a file that can be read, or none"
    except UnicodeDecodeError as error:
        why, remedy = f"byte {error.start} is not UTF-8", "save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        why, remedy = f"is no TOML: {error}", "correct that line"
    return Fault("config", why, remedy, file)


def _leaves(table: Mapping[str, Any], where: str, path: tables.Path = ()) -> Iterator[Leaf]:
    for key, value in table.items():
        here = (*path, *key.split(".")) if path[:1] == ("defaults",) else (*path, key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, where, here)
        else:
            yield Leaf(here, value, where)


def _told(text: str) -> str:
    """Text of the environment as it may be told: with ``?`` for a byte that is not UTF-8, which
    Python keeps as half of a surrogate pair. No JSON may have one: all of ``/health`` would fail.
    """
    return text.encode(errors="replace").decode()


def _variables(environ: Mapping[str, str], databases: Mapping[str, object]) -> Iterator[Leaf]:
    """An empty variable counts as not set, as Compose passes ``${NAME:-}``."""
    names = {re.sub(r"\W", "_", name).upper(): name for name in databases}
    for variable, value in environ.items():
        if not value:
            continue
        if variable in _VARIABLES:
            yield Leaf(tuple(_VARIABLES[variable].path.split(".")), value, variable)
        elif matched := _OF_DATABASE.fullmatch(variable):
            name = names.get(matched[1], matched[1].lower())
            yield Leaf(("databases", name, matched[2].lower()), value, variable)


def _unheard_of(environ: Mapping[str, str]) -> Iterator[Notice]:
    """A stranger's variable may begin as ours do, so it is a notice and no fault."""
    for variable in environ:
        if not variable.startswith(PREFIX) or variable in _VARIABLES or variable in _NOT_SETTINGS:
            continue
        if _OF_DATABASE.fullmatch(variable):
            continue
        near = get_close_matches(variable, _VARIABLES, n=1, cutoff=0.8)
        yield Notice(
            about="the agent's variables",
            problem="sets nothing",
            remedy=f"did you mean {near[0]}?"
            if near
            else "remove it, or read docs/configuration.md",
            key=_told(variable),
        )
