"""The app's folder: package.json, lock files and source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from healthagent.audit.evidence import Code, Locks, Package, Place, Source, Text
from healthagent.audit.reading import workspace
from healthagent.audit.reading.script import Script
from healthagent.audit.reading.tree import shown
from healthagent.core.observation import Unseen

LOCKS = (
    "bun.lock", "bun.lockb", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock",
    "pnpm-lock.yaml",
)  # fmt: skip
PM2_FILES = re.compile(r"(?:ecosystem|pm2)(?:\.config)?\.(?:c?js|mjs|ts|json|ya?ml)")
_OTHER_STAGES = re.compile(
    r"(?:Dockerfile|(?:docker-)?compose)[.-](?:dev|devel|development|test|testing|ci|staging)\b.*"
)
"""Files beside the audited ones, of development and test."""
_PM2 = re.compile(r"^(?!\s*#).*(?<![\w./@-])pm2(?:-runtime|-docker|-dev)?(?![\w/-])", re.MULTILINE)

_SCRIPTS = frozenset({".ts", ".js", ".mts", ".mjs", ".cts", ".cjs", ".tsx", ".jsx", ".svelte"})
_ROOTS = ("src", "server", "lib", "prisma")
"""Where an app that has ``src`` keeps what it is made of; else the whole folder is read."""
_SKIPPED = frozenset(
    {"node_modules", "build", "dist", "out", "generated", "coverage", "test", "tests", "__tests__",
     "e2e", "seed", "seeds"}
)  # fmt: skip
_APART = re.compile(r"\.(?:test|spec|d)\.[cm]?[jt]sx?$|^seed\.[cm]?[jt]s$")
"""Tests, declarations, and what fills a database: no part of the app's process."""
_MANY_FILES = 500
"""From here on it takes a second or more."""
_MOST_FILES = 3_000
_LARGEST = 1_000_000
_ROUNDS = 4
"""How many names in a row are followed from an option to where it is read."""


def reader(say: Callable[[str], None]) -> Callable[[Path], Code]:
    """What reads each folder and each file once: services, and the Compose files beside these,
    mostly share them. It says so where somebody has to wait."""
    script = cache(_script)
    return cache(lambda folder: _read(folder, script, say))


def _script(path: Path) -> Script:
    return Script(path.read_text(encoding="utf-8", errors="replace"), shown(path))


def _read(folder: Path, script: Callable[[Path], Script], say: Callable[[str], None]) -> Code:
    """What stands in the folder, and in the packages of its workspace that it depends on; nothing
    is run, and ``node_modules`` is left out."""
    space = workspace.around(folder)
    root = space.root if space else folder
    others = space.needed(folder) if space else ()
    beside = list(dict.fromkeys((folder.resolve(), root.resolve())))
    files = [path for each in (folder, *others) for path in _files(each)]
    if len(files) > _MANY_FILES:
        say(f"reading {len(files)} files of {shown(folder)}")
    return Code(
        folder=shown(folder),
        package=_joined(folder, root, others),
        locks=_locks(root, [root, *others, folder]),
        source=_source(folder, [script(path) for path in files]),
        pm2_files=tuple(
            Place(shown(path))
            for path in sorted(path for each in beside for path in each.iterdir())
            if PM2_FILES.fullmatch(path.name) or _calls_pm2(path)
        ),
        stems=frozenset(path.stem for path in folder.iterdir() if path.suffix in _SCRIPTS),
    )


def _joined(folder: Path, root: Path, others: Sequence[Path]) -> Package | Unseen:
    """The app's package.json with what the others bring; what it says itself goes first."""
    own = _package(folder / "package.json")
    above = own if root.resolve() == folder.resolve() else _package(root / "package.json")
    if isinstance(own, Unseen) or isinstance(above, Unseen):
        return own
    brought = [_package(other / "package.json") for other in others]
    all_told = [above, *(each for each in brought if isinstance(each, Package)), own]
    return replace(
        own,
        scripts={**above.scripts, **own.scripts},
        dependencies=_merged(each.dependencies for each in all_told),
        dev_dependencies=_merged(each.dev_dependencies for each in all_told),
        package_manager=own.package_manager or above.package_manager,
        bun_only=tuple(dict.fromkeys(text for each in all_told for text in each.bun_only)),
    )


def _merged(tables: Iterable[Mapping[str, Text]]) -> dict[str, Text]:
    return {name: value for table in tables for name, value in table.items()}


def _calls_pm2(path: Path) -> bool:
    if not _OTHER_STAGES.fullmatch(path.name) or not path.is_file():
        return False
    return _PM2.search(path.read_text(encoding="utf-8", errors="replace")) is not None


def _package(path: Path) -> Package | Unseen:
    name = shown(path)
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except FileNotFoundError:
        return Unseen(f"{name}: there is no such file", "say with --app DIR where the app is")
    except (OSError, ValueError) as error:
        return Unseen(f"{name}: cannot be read: {error}", "mend it; `bun install` reads it too")
    if not isinstance(document, dict):
        return Unseen(f"{name}: is no object", "mend it; `bun install` reads it too")
    table = _Table(text, name, document)
    scripts = table.texts("scripts")
    dependencies = {**table.texts("optionalDependencies"), **table.texts("dependencies")}
    packages = {**dependencies, **table.texts("devDependencies")}
    bun_only = [text for text in packages.values() if text.value.startswith("catalog:")]
    bun_only += [
        Text(key, table.place(key))
        for key in ("patchedDependencies", "catalog", "catalogs")
        if document.get(key)
    ]
    manager = document.get("packageManager")
    return Package(
        place=Place(name),
        scripts=scripts,
        dependencies=dependencies,
        dev_dependencies=table.texts("devDependencies"),
        package_manager=(
            Text(manager, table.place("packageManager")) if isinstance(manager, str) else None
        ),
        bun_only=tuple(bun_only),
    )


class _Table:
    """A JSON document whose members know their lines, found by their text behind their section."""

    def __init__(self, text: str, name: str, document: Mapping[str, Any]) -> None:
        self._text, self._name, self._document = text, name, document

    def texts(self, section: str) -> dict[str, Text]:
        found = self._document.get(section)
        if not isinstance(found, dict):
            return {}
        return {k: Text(str(v), self.place(section, k)) for k, v in found.items()}

    def place(self, *path: str) -> Place:
        position = 0
        for key in path:
            match = re.compile(rf"{re.escape(json.dumps(key))}\s*:").search(self._text, position)
            position = match.start() if match else position
        return Place(self._name, self._text.count("\n", 0, position) + 1)


def _locks(root: Path, folders: Sequence[Path]) -> Locks:
    files = {name: Place(shown(root / name)) for name in LOCKS if (root / name).is_file()}
    if "bun.lock" not in files:
        return Locks(files)
    members = [str(each.resolve().relative_to(root.resolve())) for each in folders]
    return Locks(files, _locked(root / "bun.lock", ["" if m == "." else m for m in members]))


def _locked(path: Path, members: Sequence[str]) -> dict[str, str] | None:
    """What bun.lock says that these packages of its workspace ask for: JSON, but for its commas."""
    try:
        text = re.sub(r",(\s*[}\]])", r"\1", path.read_text(encoding="utf-8"))
        packages = json.loads(text)["workspaces"]
        return {
            str(name): str(wanted)
            for section in ("devDependencies", "optionalDependencies", "dependencies")
            for member in members
            for name, wanted in packages.get(member, {}).get(section, {}).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _source(folder: Path, scripts: list[Script]) -> Source:
    calls = tuple(call for script in scripts for call in script.calls())
    paths = {path: place for script in scripts for path, place in script.paths()}
    paths |= dict(_routes(folder))
    return Source(
        files=len(scripts),
        calls=calls,
        imports=tuple(text for script in scripts for text in script.imports()),
        paths=paths,
        definitions=_definitions(
            scripts,
            [option for call in calls for option in (*call.options.values(), *call.arguments)],
        ),
        texts=tuple(text for script in scripts for text in script.uses()),
    )


def _definitions(scripts: list[Script], options: list[str]) -> dict[str, tuple[Text, ...]]:
    """What the names in options are assigned, and the names in that, a few rounds long."""
    defining: dict[str, list[Script]] = {}
    for script in scripts:
        for name in script.defined:
            defining.setdefault(name, []).append(script)
    found: dict[str, tuple[Text, ...]] = {}
    texts = options
    for _ in range(_ROUNDS):
        names = {name for text in texts for name in re.findall(r"[A-Za-z_$][\w$]*", text)}
        fresh = {
            name: tuple(text for script in defining[name] for text in script.definitions(name))
            for name in names & (defining.keys() - found.keys())
        }
        found |= fresh
        texts = [text.value for defined in fresh.values() for text in defined]
    return {name: defined for name, defined in found.items() if defined}


def _files(folder: Path) -> Iterator[Path]:
    """The scripts of the app, not of its tests, and not what was built from them."""
    inner = folder / "src"
    if inner.is_dir():
        own = [path for path in sorted(folder.iterdir()) if path.is_file()]
        roots = [folder / name for name in _ROOTS if (folder / name).is_dir()]
        walked = (*own, *(path for root in roots for path in _walk(root)))
    else:
        walked = tuple(_walk(folder))
    count = 0
    for path in walked:
        if path.suffix not in _SCRIPTS or _APART.search(path.name) or path.is_symlink():
            continue
        if PM2_FILES.fullmatch(path.name) or path.stat().st_size > _LARGEST:
            continue
        count += 1
        if count > _MOST_FILES:
            return
        yield path


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name not in _SKIPPED and not path.name.startswith("."):
                yield from _walk(path)
        elif path.is_file():
            yield path


def _routes(folder: Path) -> Iterator[tuple[str, Place]]:
    """SvelteKit's endpoints: ``src/routes/(group)/livez/+server.ts`` answers ``/livez``."""
    routes = folder / "src" / "routes"
    for path in sorted(routes.rglob("+server.*")) if routes.is_dir() else ():
        parts = [p for p in path.parent.relative_to(routes).parts if not p.startswith("(")]
        yield "/" + "/".join(parts), Place(shown(path))
