"""What a replica was like just before it was stopped, since a restart destroys it.

Everything is looked at side by side, each part within its own deadline; what could not be seen says
why. Secrets are hidden before anything is kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from healthagent.core.masking import HIDDEN, is_secret, masked
from healthagent.core.observation import Unseen
from healthagent.core.report import TargetReport
from healthagent.core.target import Target
from healthagent.errors import ActionError
from healthagent.supervisor.ports import Runtime

MOST_BYTES = 256 << 10
"""Of one document. The log takes what the rest leaves."""

MOST_LOG = 128 << 10
LINES = 200
LONGEST_LINE = 2000

WITHIN = 3.0
"""Seconds for each part. It must not keep a dead replica waiting."""

Document = dict[str, Any]
Look = Callable[[Target, float], Awaitable[Mapping[str, Any] | Unseen]]


class Secrets(Protocol):
    """What must not be kept of a replica: the values of its own variables that are secret."""

    def __call__(self, target: Target) -> Iterable[str]: ...


class Inquest:
    """Takes evidence. ``processes`` looks at processes and sockets, ``database`` at what Postgres
    has of the replica."""

    def __init__(self, runtime: Runtime, processes: Look, database: Look, secrets: Secrets) -> None:
        self._runtime = runtime
        self._processes = processes
        self._database = database
        self._secrets = secrets

    async def hold(
        self, target: Target, report: TargetReport | None, changes: Sequence[Document]
    ) -> Document:
        """All that can be found out about a replica now. ``report`` is the last one about it,
        ``changes`` are its last transitions."""
        process, database, log, stats = await asyncio.gather(
            _within(self._processes(target, WITHIN)),
            _within(self._database(target, WITHIN)),
            _within(self._log(target)),
            _within(self._runtime.stats(target.id)),
        )
        document: Document = {
            "target": target.name,
            "service": target.service,
            "id": target.id,
            **_reported(report),
            "process": process,
            "database": database,
            "stats": stats,
            "transitions": list(changes),
            "log": log,
        }
        secrets = tuple(self._secrets(target))
        return await asyncio.to_thread(lambda: _fit(_hidden(document, secrets)))

    async def _log(self, target: Target) -> str:
        text = await self._runtime.logs(target.id, LINES)
        return "\n".join(line[:LONGEST_LINE] for line in text.splitlines())


async def _within(part: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(WITHIN):
            found = await part
    except TimeoutError:
        found = Unseen(f"not seen within {WITHIN:g} s")
    except ActionError as error:
        found = Unseen(str(error))
    return {"unseen": str(found)} if isinstance(found, Unseen) else found


def _reported(report: TargetReport | None) -> Document:
    """What the checks saw."""
    if report is None:
        return {}
    checks = {
        check.name: {
            "status": check.status,
            "code": check.code,
            "reason": check.reason,
            "evidence": dict(check.evidence),
            "since": check.since,
        }
        for check in report.checks
    }
    container = asdict(report.container) if report.container else None
    return {"phase": report.phase, "container": container, "checks": checks}


def _hidden(found: Any, secrets: Sequence[str]) -> Any:
    """``found`` without secrets, whatever is within."""
    match found:
        case str():
            return masked(found, secrets)
        case Mapping():
            return {
                key: HIDDEN
                if isinstance(value, str) and is_secret(key)
                else _hidden(value, secrets)
                for key, value in found.items()
            }
        case list() | tuple():
            return [_hidden(each, secrets) for each in found]
        case _:
            return found


def _fit(document: Document) -> Document:
    """Cut to the most that is kept: of the log the oldest lines go, of the rest whole parts."""
    log = document.get("log")
    if isinstance(log, str):
        document = {**document, "log": _newest(log, MOST_LOG)}
    for part in ("stats", "transitions", "database", "process", "checks", "log"):
        if _size(document) <= MOST_BYTES:
            break
        document = {**document, part: {"unseen": "too large to be kept"}}
    return document


def _newest(text: str, most: int) -> str:
    """The last lines that fit, written as JSON, into ``most`` bytes."""
    if _size(text) <= most:
        return text
    kept: list[str] = []
    for line in reversed(text.splitlines()):
        most -= _size(line)
        if most < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept))


def _size(part: object) -> int:
    return len(json.dumps(part, default=str))
