"""Reads the labels that a user wrote for Traefik's Docker provider.

They are read as Traefik reads them: field names in any case, lists with commas, ``[0]`` for the
entries of a list of structures, ``true`` for a structure that needs no field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from healthagent.surfaces.traefik.schema import (
    KINDS,
    MIDDLEWARE,
    Indexed,
    Leaf,
    Named,
    Shape,
    Switch,
)

PREFIX = "traefik.http."
ENABLE = "traefik.enable"
UNSERVED = ("traefik.tcp.", "traefik.udp.")

LONGEST_NAME = 256
"""Characters of a label's name. Traefik's YAML reader takes 1024 for a key, escapes included; and
since each dot goes one deeper, no tree is too deep to be written."""

_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is none of YAML's printable characters (YAML 1.2, 5.1): Traefik reads JSON as YAML."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,17}")
"""Ten times of it, as a slow start has weights, is within Go's int64."""

_DURATION = re.compile(r"-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+|[0-9]+")
_NANOSECONDS = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 6e10, "h": 3.6e12, "": 1e9}
_LONGEST_DURATION = 9.2e18
"""Nanoseconds, some 291 years: where Go's int64 ends."""

_TRUE = frozenset({"1", "t", "true"})
_FALSE = frozenset({"0", "f", "false"})


@dataclass(frozen=True, slots=True)
class Fault:
    """A label that Traefik would refuse. ``value`` is left empty where it might be a secret."""

    key: str
    problem: str
    remedy: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Labels:
    """What one container's labels say, by name. Whatever has a fault is left out whole, as
    Traefik's Docker provider does: a router without the guard that was misspelt is worse than none.
    """

    routers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    middlewares: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


class _Refused(Exception):
    """The label does not fit its place. Its text is the rest of the sentence, then the remedy."""

    def __init__(self, problem: str, remedy: str, tell_value: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.tell_value = tell_value


def enabled(labels: Mapping[str, str]) -> bool:
    """False for a container that its labels hide from Traefik; it must not come to light here."""
    said = (value for key, value in labels.items() if key.lower() == ENABLE)
    return next(said, "true").lower() in _TRUE


def is_name(text: str) -> bool:
    """Whether Traefik takes it as the name of a thing."""
    return len(text) <= LONGEST_NAME and not _UNPRINTABLE.search(text)


def read(labels: Mapping[str, str]) -> Labels:
    """The routers, services and middlewares that ``labels`` describe."""
    return _read(tuple(sorted(labels.items())))


@lru_cache(maxsize=512)  # a container's labels never change; reports come each second
def _read(labels: tuple[tuple[str, str], ...]) -> Labels:
    found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    faults: list[Fault] = []
    spoilt: set[tuple[str, str]] = set()
    for key, value in labels:
        kind, _, rest = key[len(PREFIX) :].partition(".")
        name, _, path = rest.partition(".")
        if not key.lower().startswith(PREFIX):
            faults.extend(_unserved(key, value))
            continue
        try:
            _must_be_taken(key, value)
            if kind.lower() not in KINDS or "" in (name, *path.split(".")):
                raise _Refused("is no label of Traefik 3", "correct its name, or remove it")
            things = found[kind.lower()]
            things[name] = _put(things.get(name), KINDS[kind.lower()], path.split("."), value)
        except _Refused as refused:
            told = value if refused.tell_value else ""
            faults.append(Fault(key[:LONGEST_NAME], refused.problem, refused.remedy, told))
            spoilt.add((kind.lower(), name))
    whole = {
        kind: {n: _finish(thing) for n, thing in things.items() if (kind, n) not in spoilt}
        for kind, things in found.items()
    }
    for name, empty in _empty(whole["middlewares"]):
        del whole["middlewares"][name]
        key = f"{PREFIX}middlewares.{name}.{empty}"
        faults.append(Fault(key, "has nothing left that is not switched off", "give it a field"))
    return Labels(**whole, faults=tuple(faults))


def _must_be_taken(key: str, value: str) -> None:
    if len(key) > LONGEST_NAME:
        raise _Refused(f"is longer than {LONGEST_NAME} characters", "give it a shorter name")
    if _UNPRINTABLE.search(key) or _UNPRINTABLE.search(value):
        raise _Refused("has a character that cannot be printed", "write it without")


def _empty(middlewares: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The middlewares, with their kinds, that have no field though only a switch needs none."""
    return [
        (name, kind)
        for name, middleware in middlewares.items()
        for kind, fields in middleware.items()
        if not fields and not isinstance(MIDDLEWARE[kind], Switch)
    ]


def _unserved(key: str, value: str) -> Iterator[Fault]:
    if key.lower().startswith(UNSERVED):
        problem = "is not passed on: the agent routes HTTP alone"
        yield Fault(key, problem, "declare it in Traefik's file provider")
    if key.lower() == ENABLE and value.lower() not in _TRUE | _FALSE:
        problem = "is neither true nor false, so that nothing is routed"
        yield Fault(key, problem, "write true or false", value)


def _put(into: Any, shape: Shape, path: list[str], text: str) -> Any:
    """``into`` with ``text`` put at ``path``, read as its place asks for."""
    match shape:
        case Leaf.ANYTHING if path:
            return _put_free(into, path, text)
        case Leaf() if not path and shape is not Leaf.ANYTHING:
            return _value(shape, text)
        case Named() if path:
            return {**(into or {}), ".".join(path): _value(shape.of, text)}
        case Switch() if not path:
            return (into or {}) if _value(Leaf.FLAG, text) else None
        case Switch():
            return _put_field(into, shape.of, path, text)
        case Mapping() if path:
            return _put_field(into, shape, path, text)
        case _:
            raise _Refused("is no label of Traefik 3", "correct its name, or remove it")


def _put_field(into: Any, fields: Mapping[str, Shape], path: list[str], text: str) -> Any:
    spelt, _, index = path[0].removesuffix("]").partition("[")
    name = next((name for name in fields if name.lower() == spelt.lower()), None)
    if name is None:
        raise _Refused("is no label of Traefik 3", "correct its name, or remove it")
    structure = into or {}
    shape = fields[name]
    if isinstance(shape, Indexed):
        if not (index.isascii() and index.isdecimal()):
            raise _Refused("has no index", f"write {name}[0]")
        entries = structure.get(name) or {}
        entry = _put_field(entries.get(int(index)), shape.of, path[1:] or [""], text)
        return {**structure, name: {**entries, int(index): entry}}
    return {**structure, name: _put(structure.get(name), shape, path[1:], text)}


def _put_free(into: Any, path: list[str], text: str) -> Any:
    if not path:
        return text
    structure = into if isinstance(into, dict) else {}
    return {**structure, path[0]: _put_free(structure.get(path[0]), path[1:], text)}


def _value(leaf: Leaf, text: str) -> Any:
    """The text as a value, in the way that Go's strconv and time packages read it."""
    match leaf:
        case Leaf.NUMBER if _NUMBER.fullmatch(text):
            return int(text)
        case Leaf.NUMBER:
            raise _Refused("is no whole number", "write a whole number", tell_value=True)
        case Leaf.FLAG if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        case Leaf.FLAG:
            raise _Refused("is neither true nor false", "write true or false", tell_value=True)
        case Leaf.DURATION if _is_duration(text):
            return text
        case Leaf.DURATION:
            raise _Refused("is no duration", "write one such as 10s or 250ms", tell_value=True)
        case Leaf.LIST:
            return [part.strip() for part in text.split(",") if part.strip()]
        case _:
            return text


def _is_duration(text: str) -> bool:
    """Whether Go reads it; a plain number is one of seconds."""
    if not _DURATION.fullmatch(text):
        return False
    parts = re.findall(r"([0-9.]+)([a-zµ]*)", text)
    return sum(float(number) * _NANOSECONDS[unit] for number, unit in parts) < _LONGEST_DURATION


def _finish(thing: Any) -> Any:
    """Without what was switched off, and with entries by index turned into a list."""
    if not isinstance(thing, dict):
        return thing
    kept = {key: _finish(value) for key, value in thing.items() if value is not None}
    if kept and all(isinstance(key, int) for key in kept):
        return [kept[index] for index in sorted(kept)]
    return kept
