"""A monorepo: which folders are packages of one workspace, and which of them an app is made of.

Shape: https://bun.sh/docs/install/workspaces (``workspaces`` in package.json, as npm and yarn have
it) and https://pnpm.io/pnpm-workspace_yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthagent.audit.evidence import Service
from healthagent.audit.reading.tree import load, shown, texts_of
from healthagent.core.observation import Unseen
from healthagent.errors import ConfigurationError

_HIGHEST = 4
"""Folders between a package and the root of its workspace, at most."""
_SECTIONS = ("dependencies", "optionalDependencies", "devDependencies")


@dataclass(frozen=True, slots=True)
class Workspace:
    """``members`` are the folders of its packages, by the packages' names."""

    root: Path
    members: Mapping[str, Path]

    def needed(self, folder: Path) -> tuple[Path, ...]:
        """The members that a package depends on, and these in turn."""
        found: dict[Path, None] = {}
        look = [folder.resolve()]
        while look:
            document = _package(look.pop())
            names = [name for section in _SECTIONS for name in _table(document, section)]
            for member in (self.members[name] for name in names if name in self.members):
                if member not in found and member != folder.resolve():
                    found[member] = None
                    look.append(member)
        return tuple(found)


def around(folder: Path) -> Workspace | None:
    """The workspace that this folder is the root or a member of."""
    own = folder.resolve()
    for root in (own, *own.parents[:_HIGHEST]):
        members = dict(_members(root))
        if members and (root == own or own in members.values()):
            return Workspace(root, members)
    return None


def app_of(folder: Path, service: Service) -> Path | Unseen:
    """The folder of a service's app: where its Dockerfile lies, or what has its name, where this
    folder is only the root of a workspace."""
    space = around(folder)
    if space is None or space.root != folder.resolve():
        return folder
    if service.build:
        dockerfile = (Path(service.build.context) / service.build.dockerfile).resolve()
        for member in space.members.values():
            if dockerfile.is_relative_to(member):
                return member
    alike = [
        member
        for name, member in space.members.items()
        if service.name in (member.name, name.rsplit("/", 1)[-1])
    ]
    if len(alike) == 1:
        return alike[0]
    if (folder / "src").is_dir() or any(folder.glob("svelte.config.*")):
        return folder
    return Unseen(
        f"{shown(folder / 'package.json')} is a workspace's, and nothing says which of its "
        f"{len(space.members)} packages {service.name} is",
        "name its folder with --app DIR",
    )


def _members(root: Path) -> Iterator[tuple[str, Path]]:
    patterns = list(_patterns(root))
    without = {path for p in patterns if p.startswith("!") for path in _found(root, p[1:])}
    for pattern in patterns:
        for path in () if pattern.startswith("!") else _found(root, pattern):
            if path not in without:
                name = _package(path).get("name")
                yield name if isinstance(name, str) else path.name, path


def _found(root: Path, pattern: str) -> Iterator[Path]:
    clean = pattern.removeprefix("./").rstrip("/")
    try:
        paths = sorted(root.glob(clean))
    except (ValueError, NotImplementedError):  # it is empty, absolute, or no pattern
        return
    for path in paths:
        if "node_modules" not in path.parts and (path / "package.json").is_file():
            yield path.resolve()


def _patterns(root: Path) -> Iterator[str]:
    given = _package(root).get("workspaces")
    if isinstance(given, dict):
        given = given.get("packages")
    yield from (each for each in given if isinstance(each, str)) if isinstance(given, list) else ()
    file = root / "pnpm-workspace.yaml"
    if file.is_file():
        try:
            packages = load(file).entries.get("packages")
        except ConfigurationError:
            return
        yield from (text.value for text in texts_of(packages))


def _package(folder: Path) -> Mapping[str, Any]:
    """A package.json as it is; one that cannot be read is told of where it is the app's."""
    try:
        document = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _table(document: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = document.get(section)
    return found if isinstance(found, dict) else {}
