"""YAML as a tree whose every value knows its file and line.

Scalars stay text: Compose files are read as YAML 1.2 by Compose, and as 1.1 by PyYAML, and what
``on`` or ``22:22`` means is not for the audit to guess. ``!reset`` and ``!override`` are Compose's
own tags (Compose specification, "Merge and override").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from healthagent.audit.evidence import Place, Text
from healthagent.errors import ConfigurationError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: it takes a fifteenth of the time."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_DEEPEST = 60


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text; ``null`` where nothing is written."""

    value: str
    place: Place
    null: bool = False
    tag: str = ""

    @property
    def text(self) -> Text:
        return Text(self.value, self.place)


@dataclass(frozen=True, slots=True)
class Seq:
    items: tuple[Node, ...]
    place: Place
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Map:
    entries: dict[str, Node]
    place: Place
    tag: str = ""


Node = Scalar | Seq | Map


def entries_of(node: Node | None) -> dict[str, Node]:
    return node.entries if isinstance(node, Map) else {}


def text_of(node: Node | None) -> Text | None:
    return node.text if isinstance(node, Scalar) and not node.null else None


def texts_of(node: Node | None) -> tuple[Text, ...]:
    if isinstance(node, Seq):
        return tuple(item.text for item in node.items if isinstance(item, Scalar))
    text = text_of(node)
    return (text,) if text else ()


def mapped_texts_of(node: Node | None) -> dict[str, Text]:
    return {key: value.text for key, value in entries_of(node).items() if isinstance(value, Scalar)}


def load(path: Path) -> Map:
    """The mapping in a YAML file.

    Raises :class:`ConfigurationError` where it cannot be read, is no YAML, or is no mapping.
    """
    name = shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise fault(f"{name}: there is no such file; name one with --compose FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise fault(f"{name}: cannot be read: {error}; name a Compose file") from None
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise fault(
            f"{name}:{line}: is no YAML: {error.problem or error.context}; "
            "`docker compose config` reads the same file"
        ) from None
    except yaml.YAMLError as error:
        raise fault(f"{name}: is no YAML: {error}; write a Compose file") from None
    found = _Reader(name).node(root) if root is not None else None
    if not isinstance(found, Map):
        raise fault(f"{name}:1: is no mapping; a Compose file begins with `services:`")
    return found


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name

    def node(self, node: yaml.Node, depth: int = 0) -> Node:
        place = Place(self._name, node.start_mark.line + 1)
        if depth > _DEEPEST:
            raise fault(f"{place}: is nested too deeply, or holds itself; write it out")
        tag = node.tag[1:] if node.tag in ("!reset", "!override") else ""
        if isinstance(node, yaml.MappingNode):
            return Map(dict(self._entries(node, depth)), place, tag)
        if isinstance(node, yaml.SequenceNode):
            return Seq(tuple(self.node(item, depth + 1) for item in node.value), place, tag)
        plain = isinstance(node, yaml.ScalarNode) and not node.style
        return Scalar(str(node.value), place, plain and node.value in _NULLS, tag)

    def _entries(self, node: yaml.MappingNode, depth: int) -> Iterator[tuple[str, Node]]:
        """What ``<<`` brings first, so that what is written beside it wins."""
        own: list[tuple[str, Node]] = []
        for key, value in node.value:
            read = self.node(value, depth + 1)
            if key.value == "<<" and not key.style:
                for merged in reversed(read.items if isinstance(read, Seq) else (read,)):
                    if isinstance(merged, Map):
                        yield from merged.entries.items()
            else:
                own.append((str(key.value), read))
        yield from own


def fault(text: str) -> ConfigurationError:
    """One fault of a file or a flag: it names key, value and remedy."""
    return ConfigurationError((text,))


def shown(path: Path) -> str:
    """A path as it is reported: from the working directory where it is below that."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
