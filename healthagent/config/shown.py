"""The settings as a person reads them: key, value, where it was written; no secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from healthagent.config.settings import Settings
from healthagent.config.tables import Address, Path, StaticTarget, key_of
from healthagent.core.masking import HIDDEN, masked

DEFAULT = "default"
"""The origin of what nobody has set."""


@dataclass(frozen=True, slots=True)
class Row:
    """One value, and where it was written."""

    key: str
    value: str
    origin: str


def rows(settings: Settings) -> Iterator[Row]:
    """Every value that is set or has a default."""
    for path, value in _values(settings):
        known = key_of(path)
        secret = known is not None and known.setting.secret
        match path:
            case ("targets", int(number), *rest):
                parts = (f"targets[{settings.targets[number].name}]", *rest)
                origin = settings.origins["targets"]
            case parts:
                origin = settings.origins.get(".".join(map(str, parts)), DEFAULT)
        key = ".".join(map(str, parts))
        if value not in (None, (), {}):
            yield Row(key, HIDDEN if secret else masked(_text(value)), origin)
        elif known is not None and known.setting.default:
            yield Row(key, known.setting.default, DEFAULT)


def _values(table: BaseModel, prefix: Path = ()) -> Iterator[tuple[Path, object]]:
    fields: dict[str, object] = {name: getattr(table, name) for name in type(table).model_fields}
    options = table.options if isinstance(table, StaticTarget) else {}
    for name, value in (*fields.items(), *options.items()):
        path = (*prefix, name)
        match value:
            case BaseModel():
                yield from _values(value, path)
            case dict() if path == ("databases",):
                for database, inner in value.items():
                    yield from _values(inner, (*path, database))
            case dict() if path == ("defaults",):
                yield from (((*path, key), text) for key, text in value.items())
            case tuple() if path == ("targets",):
                for number, inner in enumerate(value):
                    yield from _values(inner, (*path, number))
            case _:
                yield path, value


def _text(value: object) -> str:
    """As it may be written in the file, but for quotes."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{str(value).removesuffix('.0')}s"
        case tuple() if not isinstance(value, Address):
            return ", ".join(str(part) for part in value)
        case _:
            return str(value)
