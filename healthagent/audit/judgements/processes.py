"""One process per container, no PM2, and a container that ends with its app (FR-3, NFR-2)."""

from __future__ import annotations

import re

from healthagent.audit.evidence import (
    Agent,
    App,
    Call,
    Code,
    Container,
    Evidence,
    Image,
    Package,
    Place,
    Text,
    Trial,
)
from healthagent.audit.finding import Finding, met, not_met, not_seen, resolved
from healthagent.audit.judgements.runtime import BUN_START
from healthagent.audit.launch import SUPERVISORS, Launch, watch_flag
from healthagent.core.observation import Process, ProcessTree, Unseen
from healthagent.core.runtime import (
    INITS,
    PM2,
    SHELLS,
    application,
    called,
    is_launcher,
    is_pm2,
    is_runtime,
    runtime_of,
)

_NO_PM2 = "remove PM2: Docker supervises, and Compose scales"
_CLUSTERING = ("cluster", "node:cluster", "throng", "recluster", "@socket.io/cluster-adapter")
_ITSELF = re.compile(r"\bprocess\.(?:execPath|argv0|argv\[0\])")
"""The runtime that the app itself runs under."""
_COMPONENT = re.compile(r"\.(?:svelte|vue|jsx|tsx)$")
_SERVERS = re.compile(r"\.server\.|(?:^|/)server/|/\+server\.|^(?!.*(?:^|/)src/)")
_PM2_PACKAGES = ("pm2", "@pm2/io", "pm2-logrotate", "@pm2/js-api")


def starts_one(_app: App, launch: Launch) -> Finding:
    several = sorted(set(launch.programs) & SUPERVISORS)
    if several:
        return not_met(
            f"{several[0]} starts processes of its own: {launch.script_text or launch}",
            *launch.places,
            remedy="start the app alone; give another program a service of its own",
        )
    if launch.many:
        return not_met(
            f"several programs are started at once: {launch.script_text or launch}",
            *launch.places,
            remedy="start the app alone; give another program a service of its own",
        )
    if set(launch.programs) & PM2:
        return not_met(f"PM2 starts the app: {launch}", *launch.places, remedy=_NO_PM2)
    if launch.by_bun_run:
        return resolved(f"{launch} starts one application process", *launch.places)
    return met(f"{launch} starts one application process", *launch.places)


def runs_one(container: Container, tree: ProcessTree) -> Finding:
    if any(is_pm2(process) for process in tree.processes):
        return not_met("PM2 runs in the container", container.place, remedy=_NO_PM2)
    apps = [
        process
        for process in tree.processes
        if runtime_of(process) is not None and not is_launcher(process, tree)
    ]
    if len(apps) > 1:
        pids = ", ".join(str(process.pid) for process in apps)
        return not_met(
            f"{len(apps)} application processes run in it (pids {pids})",
            container.place,
            remedy="run one, and scale by replicas",
        )
    if not apps:
        return not_met(
            "no application process runs in it", container.place,
            remedy="look at `docker logs`; start the app",
        )  # fmt: skip
    if any(is_runtime(one, "bun") and is_launcher(one, tree) for one in tree.processes):
        return resolved("one application process below `bun run`", container.place)
    return met("one application process", container.place)


def no_clustering(_app: App, code: Code) -> Finding:
    calls = [call for call in code.source.named("Worker", "fork", "spawn") if not _is_other(call)]
    for call in calls:
        if _is_server(call, code):
            return not_met(
                f"{call.callee}() starts workers", call.place,
                remedy="remove the workers: one process per container, scaled by replicas",
            )  # fmt: skip
    for name in code.source.imports:
        if name.value in _CLUSTERING:
            return not_met(
                f"{name} is imported", name.place,
                remedy="remove the clustering: one process per container, scaled by replicas",
            )  # fmt: skip
    workers = _use(code, "workers")
    if workers:
        return not_met(
            f"workers share one container: {workers.value.removeprefix('workers ')}", workers.place,
            remedy="let one process serve the port; scale by replicas",
        )  # fmt: skip
    if calls:
        return not_seen(
            Unseen(
                "whether a browser runs the Worker or the server does cannot be told",
                "make it in a component (.svelte), which is the browser's, or remove it",
            ),
            calls[0].place,
        )
    return met("the source starts no workers", Place(code.folder))


def _is_other(call: Call) -> bool:
    """A program that is not the app's own, and a worker of the browser's."""
    if call.callee == "spawn":
        return _ITSELF.search(" ".join(call.arguments[:1])) is None
    return call.callee == "Worker" and _COMPONENT.search(call.place.where) is not None


def _is_server(call: Call, code: Code) -> bool:
    """SvelteKit's modules may be the server's and the browser's, but for those of these names."""
    where = call.place.where
    if call.callee != "Worker" or "svelte.config" not in code.stems or _SERVERS.search(where):
        return True
    return any(
        text.value.removeprefix("node:") == "worker_threads" and text.place.where == where
        for text in code.source.imports
    )


def no_cluster_flags(app: App, launch: Launch) -> Finding:
    workers = app.service.environment.get("WEB_CONCURRENCY")
    if workers and workers.value not in ("", "1"):
        return not_met(
            f"WEB_CONCURRENCY asks for {workers} workers", workers.place,
            remedy="remove WEB_CONCURRENCY; scale by replicas",
        )  # fmt: skip
    text = f"{launch} {launch.script_text}"
    if set(launch.programs) & PM2:
        return not_met(f"PM2 manages workers: {text}".strip(), *launch.places, remedy=_NO_PM2)
    return met("the start asks for no workers", *launch.places)


def no_pm2_packages(_app: App, code: Code, package: Package) -> Finding:
    for name in _PM2_PACKAGES:
        if name in package.packages:
            return not_met(
                f"{name} is a dependency", package.packages[name].place,
                remedy=f"`bun remove {name}`",
            )  # fmt: skip
    for script in package.scripts.values():
        if _calls_pm2(script):
            return not_met(f"a script calls PM2: {script}", script.place, remedy=_NO_PM2)
    if code.pm2_files:
        return not_met(
            f"PM2 is configured or called in {code.pm2_files[0]}", *code.pm2_files,
            remedy="remove the file, or PM2 from it",
        )  # fmt: skip
    return met("no dependency, script or file is PM2's", package.place)


def no_pm2_in_source(_app: App, code: Code) -> Finding:
    for name in code.source.imports:
        if name.value in _PM2_PACKAGES:
            return not_met(f"{name} is imported", name.place, remedy=_NO_PM2)
    use = _use(code, "pm2")
    if use:
        return not_met(
            f"the source rests on PM2: {use.value.removeprefix('pm2 ')}", use.place,
            remedy="take it from the container: its name, SIGTERM, /readyz",
        )  # fmt: skip
    return met("the source does not ask for PM2", Place(code.folder))


def no_pm2_started(_app: App, launch: Launch) -> Finding:
    if set(launch.programs) & PM2:
        return not_met(f"PM2 starts the app: {launch}", *launch.places, remedy=_NO_PM2)
    return met("PM2 does not start the app", *launch.places)


def no_pm2_in_scripts(app: App) -> Finding:
    """Nor in a branch of a script: what starts there, and when, need not be told."""
    for script in app.scripts.values():
        for number, line in enumerate(script.value.splitlines(), start=1):
            if not line.lstrip().startswith("#") and _calls_pm2(Text(line, script.place)):
                return not_met(
                    f"a script calls PM2: {line.strip()}", script.at(number), remedy=_NO_PM2
                )
    return met("no script that starts something calls PM2", app.service.place)


def no_pm2_installed(app: App) -> Finding:
    if isinstance(app.dockerfile, Unseen):
        return not_seen(app.dockerfile)
    for run in app.dockerfile.runs:
        if _calls_pm2(run):
            return not_met(f"the image installs PM2: {run}", run.place, remedy=_NO_PM2)
    return met("the Dockerfile does not install PM2", app.service.place)


def image_has_no_pm2(image: Image) -> Finding:
    found = image.files.get("pm2", ())
    if found:
        return not_met(
            f"PM2 is in the image: /{found[0]}", image.place,
            remedy="`bun remove pm2`, and build the image anew",
        )  # fmt: skip
    return met("no layer holds PM2", image.place)


def runs_no_pm2(container: Container, tree: ProcessTree) -> Finding:
    found = [process for process in tree.processes if is_pm2(process)]
    if found:
        return not_met(f"PM2 runs (pid {found[0].pid})", container.place, remedy=_NO_PM2)
    return met("no process is PM2", container.place)


def ends_with_its_app(_app: App, launch: Launch) -> Finding:
    if set(launch.programs) & (SUPERVISORS | PM2):
        name = sorted(set(launch.programs) & (SUPERVISORS | PM2))[0]
        return not_met(
            f"{name} outlives the app, and hides its end from Docker", *launch.places,
            remedy="start the app itself, and let Docker restart it",
        )  # fmt: skip
    if launch.many:
        return not_met(
            f"what else is started outlives the app: {launch.script_text or launch}",
            *launch.places, remedy="start the app alone",
        )  # fmt: skip
    flag = watch_flag(launch.final)
    if flag:
        return not_met(
            f"{launch.program} {flag} outlives the app: it waits for a change of its files",
            *launch.places, remedy=f"start it without {flag}",
        )  # fmt: skip
    return met("nothing outlives the app", *launch.places)


def lets_it_end(_app: App, code: Code) -> Finding:
    use = _use(code, "swallow")
    if use:
        return not_met(
            f"the process goes on after it failed: {use.value.removeprefix('swallow ')}…",
            use.place, remedy="remove the handler: let the process end, and Docker restart it",
        )  # fmt: skip
    use = _use(code, "handler")
    if use:
        return not_seen(
            Unseen(
                f"whether the process ends is up to what "
                f"{use.value.removeprefix('handler ')}…) calls",
                "write process.exit(1) in the handler itself, or remove it",
            ),
            use.place,
        )
    return met("no handler keeps a failed process alive", Place(code.folder))


def ends_live(container: Container, tree: ProcessTree) -> Finding:
    if any(is_pm2(process) for process in tree.processes):
        return not_met("PM2 outlives the app, and the container with it", container.place,
                       remedy=_NO_PM2)  # fmt: skip
    root, app = tree.root, application(tree, "bun") or application(tree, "node")
    if root is None or app is None:
        return not_met(
            "the container runs, and its app does not", container.place,
            remedy=f"start the app as PID 1: {BUN_START}",
        )  # fmt: skip
    for process in tree.processes:
        flag = watch_flag(process.cmdline)
        if flag and runtime_of(process) is not None:
            return not_met(
                f"it runs under {called(process)} {flag}, which outlives the app", container.place,
                remedy=f"start it without {flag}",
            )  # fmt: skip
    if _ends_with(app, root, tree):
        return met("the container ends with PID 1, which ends with the app", container.place)
    return not_met(
        f"PID 1 is {root.comm}, which may outlive the app", container.place,
        remedy=f"start the app as PID 1: {BUN_START}",
    )  # fmt: skip


def _ends_with(app: Process, process: Process, tree: ProcessTree) -> bool:
    """Whether a process is the app, or what waits for it and for nothing else: a launcher, a shell,
    an init."""
    if process is app:
        return True
    children = tree.children(process.pid)
    waits = is_launcher(process, tree) or process.comm in SHELLS | (INITS - SUPERVISORS)
    return waits and len(children) == 1 and _ends_with(app, children[0], tree)


def is_apart(app: App) -> Finding:
    for key, text in app.service.namespaces.items():
        if text.value == "host" or text.value.startswith(("service:", "container:")):
            return not_met(
                f"{key}: {text} makes it share the fate of others", text.place,
                remedy=f"remove `{key}`: each replica has namespaces of its own",
            )  # fmt: skip
    return met("each replica has namespaces of its own", app.service.place)


def is_apart_live(container: Container) -> Finding:
    for key, value in container.namespaces.items():
        if value == "host" or value.startswith("container:"):
            return not_met(
                f"it was created with {key} {value}", container.place,
                remedy=f"remove `{key}` from the Compose file",
            )  # fmt: skip
    return met("it has namespaces of its own", container.place)


def others_serve(seen: Evidence) -> Finding:
    """A replica that is not ready takes no other with it: seen of one that is not ready now, or
    of one that an acceptance run froze."""
    if isinstance(seen.agent, Unseen):
        return not_seen(seen.agent)
    agent = seen.agent
    ready = [replica for replica in agent.replicas if replica.ready]
    if len(agent.replicas) < 2:
        return not_seen(
            Unseen(
                "one replica is watched: there is no other", "scale to two or more, and audit again"
            ),
            agent.place,
        )
    if not ready and agent.outage:
        return not_seen(
            Unseen(f"all replicas lack the same: {agent.outage}", "audit again once it is back"),
            agent.place,
        )
    if not ready:
        return not_met(
            f"none of {len(agent.replicas)} replicas is ready", agent.place,
            remedy="see `healthagent status`",
        )  # fmt: skip
    if len(ready) < len(agent.replicas):
        sick = next(replica for replica in agent.replicas if not replica.ready)
        return met(
            f"{len(ready)} of {len(agent.replicas)} replicas are ready, while {sick.name} is not",
            agent.place,
        )
    return _others_served(seen.trial, agent)


def _others_served(trial: Trial | Unseen, agent: Agent) -> Finding:
    """What an acceptance run saw of the others while one was frozen."""
    if isinstance(trial, Unseen) or trial.beside_frozen is None:
        return not_seen(
            Unseen(
                f"all {len(agent.replicas)} replicas are ready: none fails beside which others "
                "could serve",
                "audit while one is frozen (`kill -STOP` its process), or with --acceptance FILE",
            ),
            agent.place,
        )
    served, failed = trial.beside_frozen
    if failed or not served:
        return not_met(
            f"beside a frozen replica {served} requests were served, and {failed} failed",
            trial.place, remedy="see its report",
        )  # fmt: skip
    return met(
        f"beside a frozen replica {served} requests were served, and none failed", trial.place
    )


def _use(code: Code, kind: str) -> Text | None:
    return next((text for text in code.source.texts if text.value.startswith(f"{kind} ")), None)


def _calls_pm2(text: Text) -> bool:
    words = text.value.replace(";", " ").replace("&&", " ").split()
    return any(word.split("@")[0] in PM2 for word in words)
