"""The good stack, and stacks that differ from it by one fault.

A folder of tests/invalid/audit holds what differs: files in place of the good ones or beside them,
``NAME.patch`` (a JSON Patch, RFC 6902) for a JSON file, ``removed`` with the names of files that
are not there, and ``expected``: the requirement that the fault is against, then the others that it
breaks as well.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from healthagent.audit.evidence import Evidence, Place, Router
from healthagent.audit.finding import Outcome
from healthagent.audit.reading import agent, compose, engine, gather, records
from healthagent.audit.requirement import Judgement, Kind, judge
from healthagent.audit.table import REQUIREMENTS
from healthagent.core.rotation import served

GOOD = Path(__file__).parent / "good"
INVALID = Path(__file__).parents[2] / "invalid" / "audit"
FAULTS = sorted(folder.name for folder in INVALID.iterdir()) if INVALID.is_dir() else []
URL = "http://127.0.0.1:9180"
API = "http://127.0.0.1:8080"


def expected(fault: str) -> list[str]:
    """The ids that the fault breaks, the one that it is against first."""
    return (INVALID / fault / "expected").read_text().split()


def assemble(folder: Path, fault: str | None = None) -> Path:
    """The good stack in a folder of its own, with a fault laid over it."""
    stack = folder / "stack"
    shutil.copytree(GOOD, stack)
    for path in sorted((INVALID / fault).rglob("*")) if fault else ():
        target = stack / path.relative_to(INVALID / str(fault))
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif path.name == "removed":
            for name in path.read_text().split():
                (stack / name).unlink()
        elif path.suffix == ".patch":
            patched = target.with_suffix("")
            document = json.loads(re.sub(r",(\s*[}\]])", r"\1", patched.read_text()))
            for operation in json.loads(path.read_text()):
                document = patch(document, operation)
            patched.write_text(json.dumps(document, indent=2))
        elif path.name != "expected":
            target.write_bytes(path.read_bytes())
    return stack


def patch(document: Any, operation: dict[str, Any]) -> Any:
    """One *add*, *replace* or *remove* of RFC 6902; what it is about has to be there."""
    *parents, last = [
        part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
    ]
    parent = document
    for part in parents:
        parent = parent[int(part) if isinstance(parent, list) else part]
    key: Any = int(last) if isinstance(parent, list) and last != "-" else last
    if key == "-":
        parent.append(operation["value"])
    elif operation["op"] == "remove":
        del parent[key]
    else:
        if operation["op"] == "replace":
            parent[key]  # raises where there is nothing to replace
        parent[key] = operation["value"]
    return document


def rewrite(file: Path, old: str, new: str) -> None:
    """Say something else in a file of a stack."""
    text = file.read_text()
    assert old in text, f"{file.name} of the good stack holds no {old!r} any more"
    file.write_text(text.replace(old, new))


def evidence(stack: Path) -> Evidence:
    """What the stack's files say, and what was recorded of one that ran."""
    seen = gather.from_files(gather.Files(compose.default_files(stack)))
    live = stack / "live"

    def document(name: str) -> Any:
        return json.loads((live / name).read_text())

    recorded = document("image.json")
    return replace(
        seen,
        images=(engine.image(recorded["name"], recorded["inspect"], recorded["files"]),),
        containers=tuple(
            engine.container(one["inspect"], one["top"], one["lines"])
            for one in document("containers.json")
        ),
        agent=agent.read(
            URL, document("health.json"), document("budget.json"), seen.stack.apps
        ),
        router=Router(Place(API), frozenset(served(document("traefik.json")))),
        metrics=records.named(URL, (live / "metrics.txt").read_text()),
        trial=records.trial(live / "acceptance.txt"),
    )  # fmt: skip


def judgements(seen: Evidence, *kinds: Kind) -> list[Judgement]:
    return [judge(requirement, seen, kinds or tuple(Kind)) for requirement in REQUIREMENTS]


def outcomes(seen: Evidence, *kinds: Kind) -> dict[str, Outcome]:
    return {j.requirement.id: j.finding.outcome for j in judgements(seen, *kinds)}
