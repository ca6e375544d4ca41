"""One DBOS executor per process, with an id that lasts and a bounded pool (FR-5, 7.3)."""

from __future__ import annotations

import re
from string import Formatter

from healthagent.audit.evidence import App, Call, Code, Package, Place, Replica
from healthagent.audit.finding import Finding, met, not_met, not_seen
from healthagent.audit.judgements.options import alone, constant, followed, told, variable
from healthagent.audit.judgements.pools import DBOS
from healthagent.core.observation import Unseen
from healthagent.core.options import template

SDK = "@dbos-inc/dbos-sdk"
_SET = "DBOS.setConfig({ executorID, applicationVersion, systemDatabasePoolSize, ... })"
_OWN_NAME = "give executorID the container's name, which Compose keeps"
_LABEL = 'label it healthagent.dbos.executor: "{container_name}"'
_FLEETING = re.compile(
    r"randomUUID|nanoid|Math\.random|Date\.now|process\.pid|hrtime|performance\.now|"
    r"(?<![\w.])uuid(?:v\d)?\(|randomBytes|\bHOSTNAME\b|\bhostname\(\)"
)
_SCALED = re.compile(
    r"availableParallelism|hardwareConcurrency|\bcpus\(\)|loadavg|requests?\b.*\*|WEB_CONCURRENCY|"
    r"inFlight|pendingRequests"
)
_BOUND = re.compile(r"\b(?:concurrency|workerConcurrency|globalConcurrency)\b")
_QUEUE = 'DBOS.registerQueue("NAME", { workerConcurrency: 4 })'


def is_there(_app: App, _code: Code, package: Package) -> Finding:
    if SDK not in package.dependencies:
        return not_met(f"{SDK} is no dependency", package.place, remedy=f"`bun add {SDK}`")
    return met(f"{SDK} is a dependency", package.dependencies[SDK].place)


def launched_once(_app: App, code: Code) -> Finding:
    launches, configs = code.source.named("DBOS.launch"), code.source.named("DBOS.setConfig")
    if not launches:
        return _none(code, "DBOS.launch()")
    if len(launches) > 1:
        return not_met(
            f"DBOS.launch() stands in {len(launches)} places", *(c.place for c in launches),
            remedy="launch it in one place, when the process starts",
        )  # fmt: skip
    if len(configs) > 1:
        return not_met(
            f"DBOS.setConfig() stands in {len(configs)} places", *(c.place for c in configs),
            remedy="configure it in one place, before it is launched",
        )  # fmt: skip
    where = launches[0].place
    if re.search(r"/routes/|\+(?:page|server|layout)", where.where):
        return not_met(
            "DBOS is launched where a request is answered", where,
            remedy="launch it when the process starts: in src/hooks.server.ts, `init`",
        )  # fmt: skip
    return met("DBOS.launch() stands in one place", where)


def configured(_app: App, code: Code) -> Finding:
    configs = code.source.named("DBOS.setConfig")
    if not configs:
        return _none(code, "DBOS.setConfig()")
    return met("DBOS.setConfig() is called", configs[0].place)


def identity(app: App, code: Code) -> Finding:
    configs = code.source.named("DBOS.setConfig")
    if not configs:
        return _none(code, "DBOS.setConfig()")
    config = configs[0]
    expression = config.options.get("executorID")
    if expression is None:
        if config.spread or not config.options:
            return not_seen(
                Unseen("the configuration of DBOS cannot be followed", _SET), config.place
            )
        return not_met(
            "no executorID is set: it is `local` on every replica", config.place,
            remedy=_OWN_NAME,
        )  # fmt: skip
    texts = _definitions(code, config, expression) or [expression]
    flaws = [_flaw(app, text) for text in texts]
    if all(flaws):
        return not_met(flaws[0], config.place, remedy=_OWN_NAME)
    for text in (expression, *(t.value for t in code.source.definitions.get(expression, ()))):
        if fleeting := _fleeting(text):
            return not_met(fleeting, config.place, remedy=_OWN_NAME)
    for read in filter(None, map(alone, texts)):
        if told(app, read[0]) is None and not read[1]:
            unset = Unseen(f"no file sets {read[0]}, which the executor's id is", _OWN_NAME)
            return not_seen(unset, config.place)
    return met(f"executorID: {expression}", config.place)


def _definitions(code: Code, config: Call, name: str) -> list[str]:
    """What a name is assigned, in the same file where it is; a member of that name is none."""
    found = [
        text
        for text in code.source.definitions.get(name, ())
        if text.value not in ("DBOS.executorID", *config.options.values())
    ]
    here = [text for text in found if text.place.where == config.place.where]
    return [text.value for text in here or found]


def _flaw(app: App, text: str) -> str:
    """What is wrong with an executor's id that is this; empty where nothing is seen to be."""
    read = alone(text)
    if read and not _FLEETING.search(read[0]):
        name, instead = read
        given = told(app, name)
        one = f"{name} gives every replica one id"
        return one if given and given.value else _flaw(app, instead)
    if re.fullmatch(r"[\"'`][^$]*[\"'`]", text):
        return f"every replica has the id {text}"
    return _fleeting(text)


def _fleeting(text: str) -> str:
    found = _FLEETING.search(text)
    if found is None or re.search(r"\|\||\?\?|\bif\b|\n", text):
        return ""
    return f"the executor's id ends with the container: {found[0]}"


def identity_is_declared(app: App) -> Finding:
    given = app.service.environment.get("DBOS__VMID")
    if given and given.value:
        return not_met(
            f"DBOS__VMID gives every replica the id {given}", given.place,
            remedy="remove it; let the app take its container's name",
        )  # fmt: skip
    label = app.service.labels.get("healthagent.dbos.executor")
    if label is None:
        return not_met(
            f"{app.service.name} does not declare which id its executors have", app.service.place,
            remedy=_LABEL,
        )  # fmt: skip
    if flaw := _flaw_of_label(label.value):
        return not_met(flaw, label.place, remedy=_LABEL)
    return met(f"declared as {label}", label.place)


def _flaw_of_label(label: str) -> str:
    try:
        fields = {field for _, field, _, _ in Formatter().parse(template(label))}
    except ValueError:
        return f"the label cannot be read: {label}"
    if "short_id" in fields:
        return f"the id {label} ends with the container"
    if not fields & {"container_name", "name"}:
        return f"the label gives every replica the id {label}"
    return ""


def identity_live(replica: Replica) -> Finding:
    return _check(replica, {"not_registered", "stale", "mixed_versions", "orphaned"})


def executor_live(replica: Replica) -> Finding:
    return _check(replica, {"mixed_versions", "orphaned"})


def workflows_live(replica: Replica) -> Finding:
    return _check(replica, set())


def _check(replica: Replica, others: set[str]) -> Finding:
    """The agent's own check; ``others`` are reasons that another requirement is about. One out of
    service is silent towards Postgres as well, which is no word of how many executors it has."""
    verdict = replica.checks.get("dbos")
    if verdict is None:
        return not_seen(Unseen("the agent does not judge its executor", _LABEL), replica.place)
    if verdict.status == "unknown":
        return not_seen(Unseen(verdict.reason, "see `healthagent explain`"), replica.place)
    others = others if replica.ready else others | {"stale"}
    if verdict.status != "ok" and verdict.code not in others:
        return not_met(verdict.reason, replica.place, remedy="see `healthagent explain`")
    return met("one executor with the declared id is registered", replica.place)


def pool_is_bounded(app: App, code: Code) -> Finding:
    configs = code.source.named("DBOS.setConfig")
    if not configs:
        return _none(code, "DBOS.setConfig()")
    config = configs[0]
    expression = config.options.get("systemDatabasePoolSize")
    if expression is None:
        if "systemDatabasePool" in config.options:
            return met("the system pool is one of the app's own", config.place)
        if config.spread or not config.options:
            return not_seen(
                Unseen("the configuration of DBOS cannot be followed", _SET), config.place
            )
        return not_met(
            "systemDatabasePoolSize is not set; DBOS's default is 10", config.place,
            remedy="systemDatabasePoolSize: Number(process.env.DBOS_POOL_MAX ?? 3)",
        )  # fmt: skip
    read = variable(code.source, expression, config.place)
    if constant(expression) is None and read is None:
        return not_seen(
            Unseen(f"where the pool's size comes from cannot be followed: {expression}", _SET),
            config.place,
        )
    return DBOS.is_small(app, code, config)


def does_not_scale_with_requests(_app: App, code: Code) -> Finding:
    configs = code.source.named("DBOS.setConfig")
    for config in configs:
        for key, expression in config.options.items():
            for text in followed(code.source, expression, config.place)[:6]:
                if "ool" in key and (found := _SCALED.search(text)):
                    return not_met(
                        f"{key} grows with {found[0]}", config.place,
                        remedy="bound it by a variable of its own",
                    )  # fmt: skip
    queues = code.source.named("WorkflowQueue", "DBOS.registerQueue")
    for queue in queues:
        if _is_bounded(code, queue) is False:
            return not_met(
                f"queue {queue.arguments[0] if queue.arguments else ''} takes as many workflows "
                "as requests bring", queue.place,
                remedy="give it workerConcurrency",
            )  # fmt: skip
    for queue in queues:
        if _is_bounded(code, queue) is None:
            return not_seen(
                Unseen(f"the options of queue {queue.arguments[0]} cannot be followed", _QUEUE),
                queue.place,
            )
    if not configs and not queues:
        return _none(code, "DBOS.setConfig()")
    return met(
        f"{len(queues)} queues, each with a bound" if queues else "no pool grows with requests",
        *(call.place for call in (*queues, *configs)),
    )


def _is_bounded(code: Code, queue: Call) -> bool | None:
    """``None`` where what bounds it may stand where it cannot be followed to."""
    options = queue.arguments[1:2]
    if not options:
        return False
    if constant(options[0]) is not None:
        return True
    if any(_BOUND.search(text) for text in followed(code.source, options[0], queue.place)):
        return True
    return None if queue.spread or not options[0].startswith("{") else False


def _none(code: Code, wanted: str) -> Finding:
    return not_met(f"no {wanted} in the source", Place(code.folder), remedy=_SET)
