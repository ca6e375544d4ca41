"""Compose files as one tree: ``extends``, ``include``, and one file laid over another.

Shape: https://github.com/compose-spec/compose-spec/blob/main/13-merge.md, with ``14-include.md``
and the section "extends" of ``05-services.md`` beside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from healthagent.audit.reading.interpolation import env_file, interpolated
from healthagent.audit.reading.tree import (
    Map,
    Node,
    Scalar,
    Seq,
    entries_of,
    fault,
    load,
    shown,
    text_of,
    texts_of,
)

_LISTED = ("environment", "labels", "args")
"""May be written as a list of ``NAME=value`` as well."""
_REPLACED = ("command", "entrypoint", "test")
"""Sequences that an override replaces; others grow."""


def merged(files: Sequence[Path], folder: Path, variables: Mapping[str, str]) -> Map:
    """The files, later ones over earlier ones, with all that they include and extend."""
    return _without_reset(_laid([_file(file, folder, variables, ()) for file in files]))


def _laid(trees: Sequence[Node]) -> Map:
    whole: Node | None = None
    for tree in trees:
        whole = _over(whole, tree)
    assert isinstance(whole, Map)  # noqa: S101  # there is at least one, and each is a mapping
    return whole


def _file(path: Path, folder: Path, variables: Mapping[str, str], under: tuple[Path, ...]) -> Map:
    """A file with all that it includes and extends. ``folder`` is what its paths are relative to:
    the first file's for all that are laid over it, and its own for one that is included."""
    if path in under:
        raise fault(f"{path}: includes itself; break the circle")
    tree = _loaded(path, variables)
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
        whole = _over(_included(item, folder, variables, (*under, path)), whole)
    assert isinstance(whole, Map)  # noqa: S101  # both were
    return whole


def _loaded(path: Path, variables: Mapping[str, str]) -> Map:
    tree = interpolated(load(path), variables)
    assert isinstance(tree, Map)  # noqa: S101  # load() gives a mapping
    return tree


def _included(
    item: Node, folder: Path, variables: Mapping[str, str], under: tuple[Path, ...]
) -> Node:
    """A project of its own, of one file or of several that are laid over one another. Its folder
    and its variables are its own as well; those of the project that includes it come first."""
    own = item.entries if isinstance(item, Map) else {"path": item}
    files = [folder / name.value for name in texts_of(own.get("path"))]
    if not files:
        raise fault(f"{item.place}: include names no file; write `path:`, or the file itself")
    directory = text_of(own.get("project_directory"))
    inner = folder / directory.value if directory else files[0].parent
    given = [folder / name.value for name in texts_of(own.get("env_file"))] or [inner / ".env"]
    known = dict(variables)
    for file in given:
        known = {**env_file(file, known), **known}
    return _laid([_file(file, inner, known, under) for file in files])


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
        file, base = text_of(extends.entries.get("file")), text_of(extends.entries.get("service"))
    else:
        file, base = None, text_of(extends)
    wanted = base.value if base else name
    other = folder / file.value if file else path
    key = f"{other.resolve()}:{wanted}"
    if key in under:
        raise fault(f"{extends.place}: services.{name}.extends goes in a circle")
    services = entries_of(_loaded(other, variables).entries.get("services"))
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
