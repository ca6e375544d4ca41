"""Bun as the runtime, pinned, started so that the app gets its signals (FR-1, 7.1, 8.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from healthagent.audit.evidence import App, Container, Dockerfile, Image, Text
from healthagent.audit.finding import Finding, met, not_met, not_seen, resolved
from healthagent.audit.launch import (
    MANAGERS,
    RUN,
    SUPERVISORS,
    Launch,
    script_name,
    without_flags,
)
from healthagent.core.observation import ProcessTree, Unseen
from healthagent.core.runtime import PM2, SHELLS, application, is_launcher, is_runtime

BUN_START = 'CMD ["bun", "run", "start"] with "start": "exec bun build/index.js"'
_NODE_IMAGE = re.compile(r"(?:^|/)node(?::|@|$)")
_BUN_IMAGE = re.compile(r"(?:^|/)bun(?::(?P<tag>[^@]+))?(?P<digest>@sha256:[0-9a-f]+)?$")
_NODE_COPIED = re.compile(r"--from=(?:\S*/)?node[:@]|--from=.*\s\S*/bin/node(?:js)?\s")
_NODE_INSTALLED = re.compile(
    r"\b(?:apk|apt|apt-get|dnf|yum)\s[^&;|\n]*(?:add|install)\s[^&;|\n]*\b(?:nodejs|npm)\b|"
    r"\bnodesource\.com/|\bnodejs\.org/dist/|\b(?:nvm|fnm)\s+install\b"
)
_BUN_INSTALLED = re.compile(
    r"\bbun\.(?:sh|com)/install|\boven-sh/bun/releases/|\bbun\s+upgrade\b|"
    r"\b(?:npm|pnpm|yarn|apk)\s+(?:[^\s&;|]+\s+)*bun(?:@[^\s&;|]+)?(?=[\s&;|]|$)"
)
_BUN_VERSION = re.compile(r"\bbun(?:-v|@)(\d+\.\d+\.\d+)\b")
_GIVE = "give the ARG a default, or set it in `build.args`"
_EXACT = re.compile(r"v?\d+\.\d+\.\d+(?:-[\w.-]+)?")
_TRANSPILERS = ("ts-node", "ts-node-dev", "tsx", "@swc-node/register", "esbuild-register",
                "sucrase", "@babel/node")  # fmt: skip


def starts_bun(app: App, launch: Launch) -> Finding:
    declared = app.service.labels.get("healthagent.runtime")
    if declared and declared.value != "bun":
        return not_met(
            f"healthagent.runtime declares {declared}",
            declared.place,
            remedy="write `healthagent.runtime: bun`, and start the app with Bun",
        )
    if launch.missing:
        return _no_script(launch)
    if launch.program != "bun":
        return not_met(
            f"the app is started by {launch.program or 'nothing'}, which is not Bun: {launch}",
            *launch.places,
            remedy=f"start the built file with Bun itself: {BUN_START}",
        )
    return met(f"started by {launch}", *launch.places)


def runs_bun(container: Container, tree: ProcessTree) -> Finding:
    app = application(tree, "bun")
    if app is None:
        root = tree.root.comm if tree.root else "nothing"
        return not_met(
            f"no process is Bun; PID 1 is {root}",
            container.place,
            remedy="start the app with Bun, and recreate the containers",
        )
    return met("the app's process is Bun", container.place)


def needs_no_node(_app: App, launch: Launch) -> Finding:
    node = [name for name in launch.programs if name in ("node", *MANAGERS, *PM2)]
    if node:
        return not_met(
            f"the start needs Node: {', '.join(dict.fromkeys(node))} in {launch}",
            *launch.places,
            remedy=f"start it with Bun alone: {BUN_START}",
        )
    return met("its start does not need Node", *launch.places)


def brings_no_node(_app: App, dockerfile: Dockerfile) -> Finding:
    if "$" in dockerfile.base.value:
        return _unset(dockerfile.base)
    if _NODE_IMAGE.search(dockerfile.base.value):
        return not_met(
            f"the image is built on {dockerfile.base}",
            dockerfile.base.place,
            remedy="build the last stage on oven/bun:X.Y.Z",
        )
    for brought in _node_brought(dockerfile):
        return not_met(
            f"the image is given Node: {brought}",
            brought.place,
            remedy="copy only what runs into a stage on oven/bun, and leave Node behind",
        )
    return met("neither the image's base nor its last stage brings Node", dockerfile.base.place)


def _node_brought(dockerfile: Dockerfile) -> Iterator[Text]:
    """What puts Node into the final stage, whatever that is built on."""
    yield from (copy for copy in dockerfile.copies if _NODE_COPIED.search(copy.value))
    yield from (run for run in dockerfile.last_runs if _NODE_INSTALLED.search(run.value))


def image_has_no_node(image: Image) -> Finding:
    found = image.files.get("node", ())
    if found:
        return not_met(
            f"Node is in the image: /{', /'.join(found[:3])}",
            image.place,
            remedy="copy only what runs into a stage on oven/bun, and leave Node behind",
        )
    return met("no layer holds Node", image.place)


def runs_no_node(container: Container, tree: ProcessTree) -> Finding:
    node = [process for process in tree.processes if is_runtime(process, "node")]
    if node:
        are = "is" if len(node) == 1 else "are"
        return not_met(
            f"{len(node)} of its processes {are} Node (pid {node[0].pid})",
            container.place,
            remedy="start the app with Bun, and recreate the containers",
        )
    return met("no process is Node", container.place)


def _unset(image: Text) -> Finding:
    return not_seen(
        Unseen(f"which image {image} is depends on an ARG that nothing here sets", _GIVE),
        image.place,
    )


def bun_is_pinned(app: App, dockerfile: Dockerfile) -> Finding:
    found = list(_buns(app, dockerfile))
    for base in dockerfile.bases:
        if "$" in base.value:
            return _unset(base)
    for source, version in found:
        if not version:
            return not_met(
                f"{source} follows whatever Bun is newest",
                source.place,
                remedy="name all three numbers, such as oven/bun:1.4.4-slim or "
                "`bash -s bun-v1.4.4`, or a digest",
            )
    if not found:
        return not_met(
            f"no Bun is named; the image is built on {dockerfile.base}",
            dockerfile.base.place,
            remedy="build on oven/bun with all three numbers, such as oven/bun:1.4.4-slim",
        )
    versions = {version for _, version in found if not version.startswith("@")}
    if len(versions) > 1:
        return not_met(
            f"the stages use several Buns: {', '.join(sorted(versions))}",
            *(source.place for source, _ in found),
            remedy="name one version in an ARG before the first FROM, and use it in each",
        )
    return met(f"pinned: {found[-1][0]}", found[-1][0].place)


def _buns(app: App, dockerfile: Dockerfile) -> Iterator[tuple[Text, str]]:
    """What brings Bun, each with the version or digest that it names: empty for the newest."""
    named = () if app.service.build or not app.service.image else (app.service.image,)
    for image in (*dockerfile.bases, *named):
        match = _BUN_IMAGE.search(image.value)
        if match:
            version = (match["tag"] or "").split("-")[0]
            yield image, version if _EXACT.fullmatch(version) else match["digest"] or ""
    for run in dockerfile.runs:
        if _BUN_INSTALLED.search(run.value):
            pinned = _BUN_VERSION.search(run.value)
            yield run, pinned[1] if pinned else ""


def enters_by_bun_run(app: App, launch: Launch) -> Finding:
    if launch.missing:
        return _no_script(launch)
    if launch.by_bun_run and without_flags(launch.entry) == RUN:
        if launch.shell or launch.inner:
            return met(f"the entry is {launch}", *launch.places)
        return resolved(f"the entry is {launch}, and its script executes the app", *launch.places)
    files = frozenset() if isinstance(app.code, Unseen) else app.code.stems
    is_file = launch.script is None and script_name(launch.entry) in {None, *files}
    if launch.entry[:1] == ("bun",) and is_file and not launch.shell:
        return resolved(f"the entry is {launch}, so that the app is PID 1", *launch.places)
    return not_met(f"the entry is {launch}", *launch.places, remedy=f"write {BUN_START}")


def _no_script(launch: Launch) -> Finding:
    return not_met(
        f"package.json has no script {launch.missing}, which {launch} asks for", *launch.places,
        remedy=f"write {BUN_START}",
    )  # fmt: skip


def runs_typescript_itself(app: App, launch: Launch) -> Finding:
    used = [name for name in launch.programs if name in _TRANSPILERS]
    words = [word for word in (*launch.final, launch.script_text) if "ts-node" in word]
    if used or words:
        return not_met(
            f"the start goes through {(used or ['ts-node'])[0]}: {launch.script_text or launch}",
            *launch.places,
            remedy="give the .ts file to Bun, which runs it as it is",
        )
    if isinstance(app.code, Unseen):
        return not_seen(app.code, *launch.places)
    if isinstance(app.code.package, Unseen):
        return not_seen(app.code.package, *launch.places)
    package = app.code.package
    for name in _TRANSPILERS:
        if name in package.packages:
            return not_met(
                f"{name} is a dependency",
                package.packages[name].place,
                remedy=f"remove it: `bun remove {name}`; Bun runs TypeScript as it is",
            )
    for script in package.scripts.values():
        found = re.search(r"(?<![\w@/-])(?:ts-node(?:-dev|-esm)?|tsx)(?![\w-])", script.value)
        if found:
            return not_met(
                f"a script uses {found[0]}: {script}",
                script.place,
                remedy="write `bun FILE.ts` in its place",
            )
    return met("neither a dependency nor a script transpiles at run time", package.place)


def image_has_no_transpiler(image: Image) -> Finding:
    found = image.files.get("ts-node", ())
    if found:
        return not_met(
            f"ts-node is in the image: /{found[0]}", image.place,
            remedy="`bun remove ts-node`, and build the image anew",
        )  # fmt: skip
    return met("no layer holds ts-node", image.place)


def app_is_first(app: App, launch: Launch) -> Finding:
    init = app.service.init
    if init is not None and init.value.lower() == "true":
        return not_met(
            "init: true makes Docker's init PID 1, and the app its child",
            init.place,
            remedy="remove `init: true`; handle SIGTERM in the app, and wait for children there",
        )
    if launch.init:
        return not_met(
            f"{launch.init} is PID 1, and the app its child",
            *launch.places,
            remedy="start the app itself; handle SIGTERM in it",
        )
    if launch.missing:
        return _no_script(launch)
    if set(launch.programs) & (SUPERVISORS | PM2):
        first = next(p for p in launch.programs if p in SUPERVISORS | PM2)
        return not_met(
            f"{first} is PID 1, and the app its child",
            *launch.places,
            remedy=f"let Docker supervise: {BUN_START}",
        )
    if set(launch.stays) & MANAGERS:
        return not_met(
            f"a package manager stays PID 1: {launch}",
            *launch.places,
            remedy=f"start it with Bun: {BUN_START}",
        )
    if launch.shell:
        return not_met(
            f"a shell stays between PID 1 and the app, and SIGTERM ends there: "
            f"{launch.script_text or launch}",
            *launch.places,
            remedy=f"let the shell become the app: {_executing(launch)}",
        )
    if launch.inner:
        return not_met(
            f"`bun run {launch.inner[0]}` stands between PID 1 and the app: {launch.script_text}",
            *launch.places,
            remedy='let the script itself execute the app: "start": "exec bun build/index.js"',
        )
    if launch.by_bun_run:
        return resolved(f"{launch} is PID 1, and the app its only child", *launch.places)
    return met(f"{launch} is PID 1", *launch.places)


def _executing(launch: Launch) -> str:
    """What to write so that no shell stays: in package.json where its script is run, else where the
    command stands, be it one line to a shell."""
    if launch.script is not None:
        return '"start": "exec bun build/index.js"'
    return f"exec {' '.join(launch.final)}; or write the command as a list, which needs no shell"


def app_runs_first(container: Container, tree: ProcessTree) -> Finding:
    root = tree.root
    app = application(tree, "bun") or application(tree, "node")
    if root is None or app is None:
        return not_met(
            f"PID 1 is {root.comm if root else 'gone'}, and no app runs below it",
            container.place,
            remedy=f"start the app as PID 1: {BUN_START}",
        )
    if app.pid == root.pid:
        return met("the app is PID 1", container.place)
    if is_launcher(root, tree) and root.comm == "bun" and app.ppid == root.pid:
        return resolved("`bun run` is PID 1, and the app its direct child", container.place)
    between = _between(tree, app.pid)
    shell = next((name for name in between if name in SHELLS), None)
    if shell:
        return not_met(
            f"{shell} stands between PID 1 and the app, and does not pass SIGTERM on",
            container.place,
            remedy=f"start the app with exec: {BUN_START}",
        )
    return not_met(
        f"PID 1 is {root.comm}, and the app its child",
        container.place,
        remedy=f"start the app as PID 1: {BUN_START}",
    )


def _between(tree: ProcessTree, pid: int) -> list[str]:
    """The names of the processes above one, the nearest first."""
    by_pid = {process.pid: process for process in tree.processes}
    names, current = [], by_pid[pid]
    while current.ppid in by_pid:
        current = by_pid[current.ppid]
        names.append(current.comm)
    return names


def restarts(app: App) -> Finding:
    restart = app.service.restart
    if restart is None:
        return not_met(
            f"{app.service.name} has no restart policy",
            app.service.place,
            remedy="write `restart: unless-stopped`",
        )
    if restart.value != "unless-stopped":
        return not_met(
            f"restart: {restart}",
            restart.place,
            remedy="write `restart: unless-stopped`, and no `deploy.restart_policy` over it",
        )
    return met("restart: unless-stopped", restart.place)


def restarts_live(container: Container) -> Finding:
    if container.restart != "unless-stopped":
        return not_met(
            f"it was created with restart policy {container.restart!r}",
            container.place,
            remedy="write `restart: unless-stopped`, and `docker compose up --detach`",
        )
    return met("the Engine restarts it unless stopped", container.place)
