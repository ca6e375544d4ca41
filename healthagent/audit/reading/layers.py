"""What lies in an image's layers, as ``docker save`` streams them.

Shape: https://github.com/moby/docker-image-spec/blob/main/spec.md (``manifest.json``, whiteouts).
Nothing is written and nothing is started; names are looked at and contents are passed over.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, cast

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_PACKAGES = ("pm2", "ts-node")
PROGRAM = 1_000_000
"""Bytes from which a file called ``node`` is Node itself, and not somebody's script."""


class Unreadable(Exception):
    """A layer of the image cannot be read, such as one that zstd compressed."""


@dataclass(slots=True)
class _Layer:
    found: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)


class _Stream:
    """Chunks as the file that tarfile reads."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


def files(saved: Iterable[bytes]) -> Mapping[str, tuple[str, ...]]:
    """By kind (``node``, ``pm2``, ``ts-node``) the paths that a container of the image would see.

    Raises ``tarfile.TarError``, ``ValueError`` or ``KeyError`` where it is no saved image, and
    :class:`Unreadable` where what a layer holds is not to be seen.
    """
    layers: dict[str, _Layer | None] = {}
    links: dict[str, str] = {}
    order: list[str] | None = None
    with tarfile.open(fileobj=cast("Any", _Stream(saved)), mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if member.issym():
                target = PurePosixPath(member.name).parent / member.linkname
                links[member.name] = _normal(target)
            elif content is not None and member.name == "manifest.json":
                order = json.loads(content.read())[0]["Layers"] or []
            elif content is not None:
                layers[member.name] = _layer(content)
    if order is None:
        raise ValueError("what the Engine saved has no manifest.json")
    seen: dict[str, str] = {}
    for name in order:
        layer = layers.get(links.get(name, name))
        if layer is None:
            raise Unreadable(f"layer {name} is no tar archive, plain or compressed with gzip")
        for gone in layer.removed:
            seen = {p: k for p, k in seen.items() if p != gone and not p.startswith(f"{gone}/")}
        seen |= layer.found
    kinds = dict.fromkeys(seen.values())
    return {kind: tuple(sorted(p for p, k in seen.items() if k == kind)) for kind in kinds}


def _layer(content: Any) -> _Layer | None:
    """What a layer adds and removes; ``None`` for what cannot be read as one, as a configuration
    cannot."""
    layer = _Layer()
    try:
        with tarfile.open(fileobj=content, mode="r|*") as archive:
            for entry in archive:
                _note(layer, entry)
    except tarfile.TarError:
        return None
    return layer


def _note(layer: _Layer, entry: tarfile.TarInfo) -> None:
    path = PurePosixPath(_normal(PurePosixPath(entry.name)))
    if path.name == _OPAQUE:
        layer.removed.append(str(path.parent))
    elif path.name.startswith(_WHITEOUT):
        layer.removed.append(str(path.parent / path.name.removeprefix(_WHITEOUT)))
    for kind in _kinds(path, entry):
        layer.found[str(path)] = kind


def _kinds(path: PurePosixPath, entry: tarfile.TarInfo) -> Iterator[str]:
    if path.name in ("node", "nodejs") and _is_node(entry):
        yield "node"
    package = path.parent
    is_package = path.name == "package.json" and package.parent.name == "node_modules"
    if is_package and package.name in _PACKAGES:
        yield package.name


def _is_node(entry: tarfile.TarInfo) -> bool:
    """A link called ``node`` that leads to Bun is the fallback of Bun's own images."""
    if entry.issym() or entry.islnk():
        return PurePosixPath(entry.linkname).name not in ("bun", "bunx")
    return entry.isfile() and bool(entry.mode & 0o111) and entry.size >= PROGRAM


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part not in (".", "/"):
            parts.append(part)
    return "/".join(parts)
