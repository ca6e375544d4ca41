"""How replicas are told to people, on a terminal and on the page: words made from the documents of
``/health`` and ``/budget``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from healthagent.core.rotation import Drain
from healthagent.surfaces.diagnosis import Advice, advice

Document = dict[str, Any]

NOBODY = "No replica is watched. Label a service healthagent.enable=true."
NOBODY_YET = "No replica is known yet."
STUCK = "the agent is stuck"
"""How the output of a whole begins that fails for the agent itself."""


def is_stuck(health: Document) -> bool:
    """Whether it is the agent itself that fails; else it is a service, for lack of its quorum."""
    return str(health["output"]).startswith(STUCK)


def readiness(ready: int, replicas: int, quorum: int) -> str:
    """How a service stands: ``2 of 3 ready, quorum 2``."""
    return f"{ready} of {replicas} ready, quorum {quorum}"


def ago(then: str | None, now: str | None) -> str:
    """The time from ``then`` to ``now``, RFC 3339 both, in the two largest units."""
    if then is None or now is None:
        return ""
    seconds = max(0, int((instant(now) - instant(then)).total_seconds()))
    for size, unit, rest, small in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if seconds >= size:
            return f"{seconds // size}{unit} {seconds % size // rest}{small}"
    return f"{seconds}s"


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def shares(budget: Document) -> dict[str, Document]:
    """By replica its share of its server's connections, from ``/budget``."""
    servers = budget["servers"]
    return {replica["name"]: replica for server in servers for replica in server["replicas"]}


def held(pool: Document) -> str:
    """``3/8``: held of declared; ``?`` where one cannot be told, empty where neither can."""
    counts: list[Any] = [pool.get("held"), pool.get("declared")]
    if counts == [None, None]:
        return ""
    return "/".join("?" if count is None else str(count) for count in counts)


def docker(target: Document) -> str:
    """Docker's own words: the state, and the health status where it has one."""
    container = target["container"]
    if container is None:
        return ""
    health = container["health"]
    running = container["status"] == "running"
    return health if running and health else str(container["status"])


def identity(target: Document) -> str:
    """What it is to Docker."""
    container = target["container"]
    if container is None:
        return f"service {target['service']}, {target['id']}"
    health = f", health {container['health']}" if container["health"] else ""
    count = container["restart_count"]
    restarts = "1 restart" if count == 1 else f"{count} restarts"
    state = f"Docker: {container['status']}{health}, {restarts}"
    return f"service {target['service']}, container {target['short_id']}, {state}"


def drained(target: Document) -> str:
    """Who keeps it out of traffic on purpose, and why; empty where nobody does."""
    drain = target["drain"]
    return str(Drain(drain["by"], drain["why"], 0.0)) if drain else ""


def reason(target: Document) -> str:
    """Why it is as it is, beside what is being done about it: who reads of a fault alone would set
    about it too."""
    kept, why = drained(target), str(target["reason"])
    if others := [f"{check['name']} {check['code']}".rstrip() for check in _also(target)]:
        why = f"{why}; also {', '.join(others)}"
    return why if kept in why else f"{kept}; {why}".removesuffix("; ")


def consequence(target: Document) -> str:
    """Whether it gets traffic, and why where that may surprise."""
    if kept := drained(target):
        if not target["drain"].get("lasting", True):  # an older agent does not say
            return f"It gets no traffic: it is {kept}, which is under way."
        serve = f"`healthagent undrain {target['name']}` lets it serve again"
        return f"It gets no traffic: it is {kept}. {serve}."
    if not target["ready"]:
        return "It gets no traffic."
    excused = [check["holds"] for check in target["checks"] if check["excused"]]
    if "unknown" in excused:
        return (
            "It keeps its traffic: it ran before the agent did, which could not see yet whether it "
            "may serve, and its service would lose its quorum."
        )
    if excused:
        return (
            "It keeps its traffic: only the agent sees this fault, and all replicas share it, or "
            "to take this one out would cost the service its quorum."
        )
    if target["settings"] and target["settings"]["port"]["value"] is None:
        return "No port of it is known, so that it is neither asked nor sent traffic over HTTP."
    return "It gets traffic."


def blamed(target: Document) -> Document | None:
    """Its check that is to blame; ``None`` where all is well."""
    return next((check for check in target["checks"] if check["name"] == target["check"]), None)


def beside(target: Document, blame: Document) -> list[Document]:
    """What is told where something else is to blame: what fails and is shared by all replicas, its
    likely cause, though only the agent sees it; and what :func:`_also` finds."""
    shared = [
        check
        for check in target["checks"]
        if check["shared"] and check["status"] == "failed" and check is not blame
    ]
    return [*shared, *_also(target)]


def _also(target: Document) -> list[Document]:
    """What else is degraded of a replica that is merely that: a fault with which people live, as a
    budget that is too small, would else hide one with which they should not, as a shared executor
    id. Of one that does not serve it would be what follows from its fault."""
    return [
        check
        for check in target["checks"]
        if target["phase"] == check["status"] == "degraded" and check["name"] != target["check"]
    ]


def aside(check: Document) -> str:
    """What is to be known beside a check's reason."""
    if check["excused"]:
        return " (excused)"
    if check["awaited"]:
        return " (has not passed yet)"
    return f" (last known: {check['holds']})" if check["holds"] != check["status"] else ""


def advice_for(target: Document, blame: Document) -> Advice:
    """What the state of the check to blame means, and what to do; what fails beside it comes first.
    Docker's commands are told for a container only."""
    name = target["name"]
    known: dict[str, Any] = {
        "logs": "the app's own log",
        "port": "that of its url, or its key port",
        "database": "its database_url, or its key database",
    }
    if target["container"] is not None:
        state = "docker inspect --format '{{json .State}}'"
        started = "docker inspect --format '{{.Path}} {{json .Args}}'"
        known = {
            "name": name,
            "logs": f"docker logs --tail 50 {name}",
            "inspect": f"{state} {name}",
            "started": f"{started} {name}",
            "port": "the label healthagent.port",
            "database": "the replica's DATABASE_URL, or the label healthagent.database",
        }
    given = [
        advice(check["name"], check["code"], {**known, **check["evidence"]})
        for check in (*beside(target, blame), blame)
    ]
    steps = dict.fromkeys(step for each in given for step in each.steps)
    return Advice(" ".join(each.means for each in given if each.means), tuple(steps))
