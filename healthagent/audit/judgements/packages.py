"""Bun as the package manager, with one lock file that counts (FR-2), and the way back (NFR-4.2)."""

from __future__ import annotations

import re

from healthagent.audit.evidence import App, Code, Dockerfile, Package, Text
from healthagent.audit.finding import Finding, met, not_met, not_seen, resolved, worst
from healthagent.audit.launch import MANAGERS, Launch, launch
from healthagent.core.observation import Unseen

BUN_LOCKS = ("bun.lock", "bun.lockb")
_MANAGER = re.compile(rf"(?<![\w./@=-])({'|'.join(sorted(MANAGERS))})(?=[\s;&|)]|$)")
_BUN_INSTALL = re.compile(r"(?<![\w./@-])bun\s+(ci|i|install)\b([^&;|\n]*)")
_FROZEN = re.compile(r"--frozen-lockfile\b|--production\b")


def manager(app: App, _code: Code, package: Package) -> Finding:
    named = package.package_manager
    if named and not named.value.startswith("bun@"):
        return not_met(
            f"packageManager names {named}", named.place,
            remedy='write "packageManager": "bun@X.Y.Z", or remove the member',
        )  # fmt: skip
    runs = app.dockerfile.runs if isinstance(app.dockerfile, Dockerfile) else ()
    for text in (*runs, *package.scripts.values()):
        found = _MANAGER.search(text.value)
        if found:
            return not_met(
                f"{found[1]} is still used: {_short(text)}", text.place,
                remedy="write `bun install`, `bun run` or `bunx` in its place",
            )  # fmt: skip
    start = launch(app)
    if isinstance(start, Launch) and set(start.programs) & MANAGERS:
        return not_met(
            f"the app is started by another manager: {start}", *start.places,
            remedy='write CMD ["bun", "run", "start"]',
        )  # fmt: skip
    if isinstance(app.dockerfile, Unseen):
        return not_seen(app.dockerfile)
    return met("neither the Dockerfile nor a script calls another manager", package.place)


def lock(app: App, code: Code, package: Package) -> Finding:
    others = [place for name, place in code.locks.files.items() if name not in BUN_LOCKS]
    mine = [name for name in BUN_LOCKS if name in code.locks.files]
    if others:
        first = "" if mine else "run `bun install`, which keeps its versions, commit bun.lock; "
        return not_met(
            f"another manager's lock file is there: {', '.join(map(str, others))}", *others,
            remedy=f"{first}remove it with `git rm`: Bun's lock is the one that counts",
        )  # fmt: skip
    if not mine:
        return not_met(
            f"{code.folder} has no bun.lock", package.place,
            remedy="run `bun install`, and commit bun.lock",
        )  # fmt: skip
    if len(mine) > 1:
        return not_met(
            "bun.lock and bun.lockb are both there; Bun reads the first and lets the other age",
            *(code.locks.files[name] for name in mine),
            remedy="remove bun.lockb with `git rm`",
        )
    checks = [_obeyed(app), _agrees(code, package)]
    faults = [found for found in checks if found is not None]
    if faults:
        return worst(faults)
    if isinstance(app.dockerfile, Unseen):
        return not_seen(app.dockerfile)
    place = code.locks.files[mine[0]]
    if mine == ["bun.lock"]:
        return resolved("bun.lock is the one lock file, and agrees with package.json", place)
    return met("bun.lockb is the one lock file", place)


def _obeyed(app: App) -> Finding | None:
    """An install in the image that may change the lock makes it no authority."""
    for run in app.dockerfile.runs if isinstance(app.dockerfile, Dockerfile) else ():
        for found in _BUN_INSTALL.finditer(run.value):
            if found[1] != "ci" and not _FROZEN.search(found[2]) and " -g" not in found[2]:
                return not_met(
                    f"the image is installed without regard to the lock: {found[0].strip()}",
                    run.place,
                    remedy="write `bun install --frozen-lockfile`, or `bun ci`",
                )
    return None


def _agrees(code: Code, package: Package) -> Finding | None:
    if code.locks.locked is None:
        return None
    wanted = {name: text.value for name, text in package.packages.items()}
    for name, text in package.packages.items():
        if code.locks.locked.get(name) != text.value:
            return not_met(
                f"bun.lock is not of this package.json: it has {name} "
                f"{code.locks.locked.get(name, 'not at all')}, which asks for {text}",
                text.place, code.locks.files["bun.lock"],
                remedy="run `bun install`, and commit bun.lock",
            )  # fmt: skip
    extra = sorted(code.locks.locked.keys() - wanted.keys())
    if extra:
        return not_met(
            f"bun.lock is not of this package.json: it has {extra[0]}, which is not asked for",
            code.locks.files["bun.lock"], package.place,
            remedy="run `bun install`, and commit bun.lock",
        )  # fmt: skip
    return None


def reversible(_app: App, _code: Code, package: Package) -> Finding:
    """Another manager can install the same package.json whatever the runtime."""
    if package.bun_only:
        text = package.bun_only[0]
        return not_met(
            f"no other package manager reads {text}", text.place,
            remedy="write the version itself in package.json",
        )  # fmt: skip
    for name, script in package.scripts.items():
        if name in ("preinstall", "install", "postinstall", "prepare") and re.search(
            r"(?<![\w-])(?:bun|bunx|only-allow)(?![\w-])", script.value
        ):
            return not_met(
                f"{name} allows no manager but Bun: {script}", script.place,
                remedy="run it from the Dockerfile, or by the name of the tool itself",
            )  # fmt: skip
    start = package.scripts.get("start")
    if start and re.search(r"(?<![\w-])bun\s+(?:i|install|ci)(?![\w-])", start.value):
        return not_met(
            f"the start installs packages: {start}", start.place,
            remedy="install while the image is built, not when it starts",
        )  # fmt: skip
    return met("nothing in package.json is for Bun alone", package.place)


def _short(text: Text) -> str:
    return text.value if len(text.value) < 80 else f"{text.value[:77]}..."
