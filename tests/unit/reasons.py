"""Every reason code that the checks' source spells, with its check: what the tests of the docs and
of the advice hold those to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

from healthagent import checks
from healthagent.core.exits import EndCode
from healthagent.core.observation import DatabaseDown, Want

CONSTRUCTORS = {"failed", "degraded", "unknown", "conclusively_failed"}

OF_HTTP = {"reset", "invalid"}
"""Ends of a look that ``event_loop`` and ``http`` pass on as their code."""

OF_GRANTS = {"not_granted"}
"""What the agent's role lacks, that ``pool`` and ``dbos`` pass on as their code."""

OF_DOCKER = {"removing"}
"""States of a container that ``process`` passes on as its code."""

ON_PURPOSE = {"stopped"}
"""Ends that ``exit`` finds nothing wrong with."""

SHARED = {"answer": ("event_loop", "http"), "share": ("pool", "dbos")}
"""Which checks a file speaks for that is none itself."""

OF_ALL = {"pending", "stale", "held_up", "fault"}
"""Codes that are no check's own."""


def spelled() -> frozenset[tuple[str, str]]:
    """Check and code of each."""
    return frozenset(_spelled())


def _spelled() -> Iterator[tuple[str, str]]:
    for file in sorted(Path(checks.__file__).parent.glob("*.py")):
        for code in _spelled_in(file):
            for check in SHARED.get(file.stem, (file.stem,)):
                yield check, code
    for code in set(get_args(EndCode)) - ON_PURPOSE:
        yield "exit", code
    for error in get_args(get_type_hints(DatabaseDown)["error"]):
        yield "postgres", error
    for code in OF_HTTP:
        yield "event_loop", code
        yield "http", code
    for code in get_args(Want):
        yield "postgres", code
    for code in OF_GRANTS | {"unseen"}:
        yield "pool", code
        yield "dbos", code
    for code in OF_DOCKER:
        yield "process", code


def _spelled_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]):
                if name in CONSTRUCTORS:
                    yield code
            case ast.Return(value=ast.Tuple(elts=[ast.Constant(value=str(code)), _])):
                yield code
