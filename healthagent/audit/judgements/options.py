"""What an option in the source comes to: a number, a variable, or nothing that can be told."""

from __future__ import annotations

import re

from healthagent.audit.evidence import App, Source, Text
from healthagent.core.observation import Unseen

_NUMBER = re.compile(r"\d+")
_READ = re.compile(
    r"""\benv\s*(?:\?\.|\.|\[)\s*["'`]?(?P<read>[A-Z][A-Z0-9_]*)|["'`](?P<quoted>[A-Z][A-Z0-9_]{2,})["'`]"""
)
_ALONE = re.compile(
    r"""(?:\w+\()?(?:[\w.]*\benv(?:\?\.|\.|\[)["'`]?(?P<read>[A-Z][A-Z0-9_]*)["'`]?\]?"""
    r"""|["'`](?P<quoted>[A-Z][A-Z0-9_]{2,})["'`])!?(?:\s+as\s+string)?\)?"""
    r"""(?:\s*(?:\?\?|\|\||,)\s*(?P<default>.+))?""",
    re.DOTALL,
)
_DEFAULT = re.compile(r"(?:\?\?|\|\||,)\s*[\"'`]?(\d+)")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_ROUNDS = 4


def constant(expression: str) -> int | None:
    """The number, where one is written and nothing else."""
    text = expression.strip().replace("_", "")
    return int(text) if _NUMBER.fullmatch(text) else None


def followed(source: Source, expression: str) -> list[str]:
    """The expression, and what the names in it are assigned, a few rounds long."""
    found, names = [expression], set(_NAME.findall(expression))
    for _ in range(_ROUNDS):
        new = [
            text.value
            for name in sorted(names)
            for text in source.definitions.get(name, ())
            if text.value not in found
        ]
        if not new:
            break
        found += new
        names = {name for text in new for name in _NAME.findall(text)}
    return found


def variable(source: Source, expression: str) -> tuple[str, int | None] | None:
    """The variable that an option is read from, and the default beside it."""
    for text in followed(source, expression):
        match = _READ.search(text)
        if match:
            default = _DEFAULT.search(text, match.end())
            return match["read"] or match["quoted"], int(default[1]) if default else None
    return None


def alone(text: str) -> tuple[str, str] | None:
    """The variable that is all of a text, and the expression that stands in where it is not set."""
    match = _ALONE.fullmatch(text.strip())
    return (match["read"] or match["quoted"], match["default"] or "") if match else None


def told(app: App, name: str) -> Text | None:
    """What a service's variable is: from the Compose file, else from the image."""
    own = app.service.environment.get(name)
    built = {} if isinstance(app.dockerfile, Unseen) else app.dockerfile.environment
    return own if own and own.value else built.get(name, own)
