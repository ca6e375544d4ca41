"""What an option in the source comes to: a number, a variable, or nothing that can be told."""

from __future__ import annotations

import re
from collections.abc import Iterator

from healthagent.audit.evidence import App, Place, Source, Text
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


def followed(source: Source, expression: str, place: Place) -> list[str]:
    """The expression, which stands at ``place``, and what the names in it are assigned, a few
    rounds long."""
    return [text.value for texts in _rounds(source, expression, place) for text in texts]


def variable(source: Source, expression: str, place: Place) -> tuple[str, int | None] | None:
    """The variable that an option is read from, and the default beside it; none where several may
    be meant."""
    for texts in _rounds(source, expression, place):
        found = {read for text in texts if (read := _read(text.value))}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _read(text: str) -> tuple[str, int | None] | None:
    match = _READ.search(text)
    if match is None:
        return None
    default = _DEFAULT.search(text, match.end())
    return match["read"] or match["quoted"], int(default[1]) if default else None


def _rounds(source: Source, expression: str, place: Place) -> Iterator[list[Text]]:
    """One name after the other: what it is in its own file, and in any other where it is not
    defined there."""
    texts = [Text(expression, place)]
    seen = set(texts)
    for _ in range(_ROUNDS):
        yield texts
        named = {(name, text.place.where) for text in texts for name in _NAME.findall(text.value)}
        found = {text for name, where in named for text in _defined(source, name, where)}
        texts = sorted(found - seen, key=lambda text: (text.place.where, text.place.line or 0))
        seen |= found
    yield texts


def _defined(source: Source, name: str, where: str) -> tuple[Text, ...]:
    found = source.definitions.get(name, ())
    return tuple(text for text in found if text.place.where == where) or found


def alone(text: str) -> tuple[str, str] | None:
    """The variable that is all of a text, and the expression that stands in where it is not set."""
    match = _ALONE.fullmatch(text.strip())
    return (match["read"] or match["quoted"], match["default"] or "") if match else None


def told(app: App, name: str) -> Text | None:
    """What a service's variable is: from the Compose file, else from the image."""
    own = app.service.environment.get(name)
    built = {} if isinstance(app.dockerfile, Unseen) else app.dockerfile.environment
    return own if own and own.value else built.get(name, own)
