"""``${NAME:-default}`` and its kin in a Compose file (Compose specification, "Interpolation"), and
the files that variables come from (https://docs.docker.com/compose/how-tos/environment-variables,
"Env file syntax").
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from healthagent.audit.reading.tree import Map, Node, Seq

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_USE = re.compile(rf"\$(?:(?P<escaped>\$)|(?P<plain>{_NAME})|\{{(?P<name>{_NAME})(?P<rest>))")
_OPERATOR = re.compile(r":?[-?+]")


def interpolated(node: Node, variables: Mapping[str, str]) -> Node:
    """The tree with every use of a variable replaced; keys stay as they are."""
    if isinstance(node, Map):
        entries = {key: interpolated(value, variables) for key, value in node.entries.items()}
        return replace(node, entries=entries)
    if isinstance(node, Seq):
        return replace(node, items=tuple(interpolated(item, variables) for item in node.items))
    if "$" not in node.value:
        return node
    return replace(node, value=substitute(node.value, variables))


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """A use of a variable that is not set, and has no default, stays as it is written: nothing is
    deployed here, so that nothing has to be complete."""
    done, position = [], 0
    while use := _USE.search(text, position):
        done.append(text[position : use.start()])
        if use["escaped"]:
            done.append("$")
            position = use.end()
        elif use["plain"]:
            done.append(variables.get(use["plain"], use[0]))
            position = use.end()
        else:
            position = _closing(text, use.end())
            whole = text[use.start() : position]
            done.append(_braced(whole, use["name"], text[use.end() : position - 1], variables))
    return "".join((*done, text[position:]))


def _closing(text: str, start: int) -> int:
    """Behind the brace that closes the one before ``start``; the text's end where none does."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    return len(text)


def _braced(whole: str, name: str, rest: str, variables: Mapping[str, str]) -> str:
    value, operator = variables.get(name), _OPERATOR.match(rest)
    if operator is None:
        return whole if value is None else value
    given, word = operator[0], rest[operator.end() :]
    there = bool(value) if given.startswith(":") else value is not None
    if given.endswith("+"):
        return substitute(word, variables) if there else ""
    if there:
        return value or ""
    return substitute(word, variables) if given.endswith("-") else whole


_LINE = re.compile(
    rf"^[ \t]*(?:export[ \t]+)?(?P<name>{_NAME})[ \t]*[=:][ \t]*"
    r"""(?:'(?P<single>(?:\\[\s\S]|[^'\\])*)'|"(?P<double>(?:\\[\s\S]|[^"\\])*)"|(?P<plain>.*))""",
    re.MULTILINE,
)
_RAW = re.compile(rf"^[ \t]*({_NAME})=(.*)", re.MULTILINE)
_ESCAPE = re.compile(r"\\([nrt\"\\$])")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "$": "$$"}


def env_file(path: Path, variables: Mapping[str, str], *, raw: bool = False) -> dict[str, str]:
    """The variables of a ``.env`` file; none where it is not there.

    A value may use ``variables``, and what stands above it in the file. In a ``raw`` file it is all
    that follows the ``=``, quotes and dollars too.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if raw:
        return dict(_RAW.findall(text))
    found: dict[str, str] = {}
    known = ChainMap(dict(variables), found)
    for line in _LINE.finditer(text):
        found[line["name"]] = _value(line, known)
    return found


def _value(line: re.Match[str], variables: Mapping[str, str]) -> str:
    """Single quotes take everything as it is; a comment begins behind a blank, or behind quotes."""
    if line["single"] is not None:
        return line["single"].replace("\\'", "'")
    if line["double"] is not None:
        text = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), line["double"])
    else:
        text = line["plain"].partition(" #")[0].rstrip()
    return substitute(text, variables)
