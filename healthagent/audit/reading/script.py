"""What a TypeScript or JavaScript text does, as far as it can be told without running it.

No parser of the language: calls by name, with balanced brackets, comments blanked and texts left
alone. What cannot be followed stays unresolved, and its requirement reads *not seen*.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property

from healthagent.audit.evidence import Call, Place, Text

CALLEES = frozenset(
    {
        "DBOS.launch", "DBOS.registerQueue", "DBOS.setConfig", "DBOSClient.create", "PrismaClient",
        "PrismaPg", "WorkflowQueue",
    }
)  # fmt: skip
"""The calls that requirements ask about, whatever module they come from."""

MEMBERS = {
    "Pool": ("pg", "pg-pool", "@neondatabase/serverless"),
    "Worker": ("worker_threads",),
    "fork": ("child_process", "cluster"),
    "spawn": ("child_process", "bun"),
}
"""Those whose names other modules have too, and the modules that are meant."""

_CALLED = re.compile("|".join(sorted({name.split(".")[0] for name in CALLEES} | MEMBERS.keys())))
"""What stands in each file that makes one of these calls: most files make none."""

_PLAIN = ("Bun.spawn", "Worker", "cluster.fork", "pg.Pool")
"""Those that are meant where the file does not say what they are."""

USES = {
    "pm2": r"process\.env\.(?:pm_id|NODE_APP_INSTANCE|PM2_\w+)|process\.send\b",
    "workers": r"\breusePort\s*:\s*true",
    "logfile": r"\btransports\.File\b|\bDailyRotateFile\b|[\"'`]pino-roll[\"'`]|"
    r"[\"'`]pino/file[\"'`](?=[^}]*\bdestination\s*:(?!\s*[12]\b))|"
    r"\bpino\.destination\(\s*(?!1\b|2\b|\))[^)]|"
    r"\b(?:createWriteStream|(?:append|write)File(?:Sync)?)\([^)\n]*\.log\b",
    "bun": r"\bBun\.[a-z]\w*",
}
"""What needs no call to matter, by the name that judgements ask for it."""

_SIGNS = {
    "pm2": ("process.",), "workers": ("reusePort",), "bun": ("Bun.",),
    "logfile": ("File", "pino", ".log", "WriteStream"),
}  # fmt: skip
"""What stands in each text that is such a use: most have none, and need no closer look."""

_HANDLER = re.compile(
    r"process\.(?:on|once|addListener)(?=\(\s*[\"'`](?:uncaughtException|unhandledRejection)[\"'`])"
)
_ENDS = re.compile(r"(?<![\w$.])(?:process\.)?(?:exit|abort)\s*\(|\bthrow\b")
_ASKS = re.compile(
    r"(?<![\w$.])(?<!new )(?<!function )(?!(?:async|catch|for|function|if|switch|while|String)\b)"
    r"[A-Za-z_$][\w$]*\s*\("
)
"""A call that may end the process: of a name, and of no method, such as a log's."""

_COMMENT = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)"""
    r"""|//[^\n]*|/\*.*?\*/|<!--.*?-->""",
    re.DOTALL,
)
_CALL = re.compile(
    r"(?<![\w$.])([A-Za-z_$][\w$]*(?:\??\.[A-Za-z_$][\w$]*)*)\s*(?:<[^<>()]*>\s*)?\("
)
_IMPORT = re.compile(r"(?:\bfrom|\bimport|\brequire\s*\(|\bimport\s*\()\s*[\"']([^\"'\n]+)[\"']")
_NAMES = re.compile(
    r"\bimport\s+(?P<imported>[^;\"'()]+?)\s+from\s*[\"'](?P<module>[^\"'\n]+)[\"']"
    r"|\b(?:const|let|var)\s+(?P<bound>[\w$]+|\{[^{}]*\})\s*=\s*(?:await\s+)?"
    r"(?:(?:require|import)\s*\(\s*[\"'](?P<required>[^\"'\n]+)[\"']\s*\)|(?P<of>[\w$]+))"
    r"(?:\.(?P<member>[\w$]+))?[ \t]*(?=[;\n]|$)"
    r"|\bclass\s+(?P<own>[\w$]+)"
)
"""``import ... from``, ``require``, what is taken out of such a name, and a class of the file's."""
_CLASS = re.compile(
    r"\bclass\s+(?:(?P<name>(?!extends\b)[\w$]+)\s*(?:<[^{}()]*>\s*)?)?extends\s+(?P<base>[\w$.]+)"
)
_SUPER = re.compile(r"(?<![\w$.])super\s*\(")
_NAME = re.compile(r"([\w$]+)(?:\s*(?:\bas\b|:)\s*([\w$]+))?")
_PATH = re.compile(r"[\"'`](/[\w./-]*)[\"'`]")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`", re.DOTALL)
_FUNCTION = re.compile(r"function\s+([A-Za-z_$][\w$]*)\s*\(")
_ASSIGNED = re.compile(  # it looks ahead, since what a name is assigned may hold another such name
    r"(?<![\w$.])([A-Za-z_$][\w$]*)(?=\s*(?::\s*[\w<>|\[\] ]+)?\s*(?:=(?![=>])|:)\s*([^\n;]+))"
)
_PAIRS = {"(": ")", "[": "]", "{": "}"}


class Script:
    """One file's text without its comments."""

    def __init__(self, text: str, name: str) -> None:
        self.text = _COMMENT.sub(_blanked, text)
        self._name = name
        self._lines = [m.start() for m in re.finditer(r"^", text, re.MULTILINE)]

    def place(self, position: int) -> Place:
        return Place(self._name, bisect_right(self._lines, position))

    def imports(self) -> Iterator[Text]:
        for match in _IMPORT.finditer(self.text):
            yield Text(match[1], self.place(match.start()))

    def paths(self) -> Iterator[tuple[str, Place]]:
        for match in _PATH.finditer(self.text):
            yield match[1], self.place(match.start())

    def uses(self) -> Iterator[Text]:
        """Each as ``KIND what``."""
        for kind, pattern in USES.items():
            if not any(sign in self.text for sign in _SIGNS[kind]):
                continue
            for match in re.finditer(pattern, self.text):
                yield Text(f"{kind} {match[0]}", self.place(match.start()))
        for match in _HANDLER.finditer(self.text):
            event, *handler = split(balanced(self.text, match.end()) or "")
            kind = self._outlives(", ".join(handler))
            if kind:
                yield Text(f"{kind} {match[0]}({event}", self.place(match.start()))

    def _outlives(self, handler: str) -> str:
        """``swallow`` where a handler keeps a failed process alive, ``handler`` where that is up to
        what it calls, nothing where it ends the process."""
        if _ENDS.search(handler):
            return ""
        written = "{" in handler or "=>" in handler or handler.startswith("console.")
        if written and not _ASKS.search(handler):
            return "swallow"
        names = re.findall(r"[A-Za-z_$][\w$]*", handler)
        bodies = [text.value for name in names for text in self.definitions(name)]
        return "" if any(_ENDS.search(body) for body in bodies) else "handler"

    def calls(self) -> Iterator[Call]:
        if not _CALLED.search(self.text):
            return
        bare = _QUOTED.sub(lambda quoted: re.sub(r"[^\n]", " ", quoted[0]), self.text)
        for match in _CALL.finditer(bare):
            callee = self._callee(self._made(match[1].replace("?.", "."), match.start()))
            if callee is None or self._declares(match.start()):
                continue
            inside = balanced(self.text, match.end() - 1)
            if inside is None:
                continue
            arguments = tuple(split(inside))
            literals = [members(a) for a in arguments if a.startswith("{")]
            options, spread = literals[-1] if literals else ({}, False)
            yield Call(callee, arguments, options, self.place(match.start()), spread)

    def _callee(self, called: str) -> str | None:
        """The name that requirements ask for it by, whatever the file calls it."""
        first, *inner = called.split(".")
        module, member = self._origins.get(first, ("", ""))
        parts = (member or first, *inner)
        whole, last = ".".join(parts), parts[-1]
        if last in MEMBERS:
            meant = module in MEMBERS[last] if module else whole in _PLAIN
            return last if meant else None
        return next((name for name in (whole, last) if name in CALLEES), None)

    def _made(self, called: str, position: int) -> str:
        """What a call makes: ``super(...)`` and the name of a class that leaves this to another
        make what the class extends."""
        if called == "super" and (around := self._class_around(position)):
            return around["base"]
        return self._inherited.get(called, called)

    def _class_around(self, position: int) -> re.Match[str] | None:
        """The last one that begins before: a class in another is rare."""
        return next((c for c in reversed(self._classes) if c.start() < position), None)

    @cached_property
    def _classes(self) -> list[re.Match[str]]:
        """Those that extend another."""
        return list(_CLASS.finditer(self.text))

    @cached_property
    def _inherited(self) -> dict[str, str]:
        """By the names of those with no constructor of their own, what they extend."""
        own = [self._class_around(match.start()) for match in _SUPER.finditer(self.text)]
        return {c["name"]: c["base"] for c in self._classes if c["name"] and c not in own}

    @cached_property
    def _origins(self) -> dict[str, tuple[str, str]]:
        """What the names of a file are: of which module, and which of its members."""
        found: dict[str, tuple[str, str]] = {}
        for match in _NAMES.finditer(self.text):
            if match["own"]:
                found[match["own"]] = ("this file", "")
                continue
            module = match["module"] or match["required"] or found.get(match["of"], ("", ""))[0]
            if not module:
                continue
            module = module.removeprefix("node:")
            whole, _, members = (match["imported"] or match["bound"]).partition("{")
            for name in re.findall(r"([\w$]+)\s*(?:,|$)", whole):
                found[name] = (module, match["member"] or "")
            for name, here in _NAME.findall(members):
                found[here or name] = (module, name)
        return found

    def definitions(self, name: str) -> Iterator[Text]:
        """What stands behind ``NAME =`` and ``NAME:``, and the body of a function of that name."""
        for match in self._functions.get(name, ()):
            body = self.text.find("{", match.end())
            inside = balanced(self.text, body) if body >= 0 else None
            if inside is not None:
                yield Text(inside, self.place(match.start()))
        for match in self._assigned.get(name, ()):
            yield Text(match[2].rstrip(" ,"), self.place(match.start()))

    @property
    def defined(self) -> set[str]:
        """The names that :meth:`definitions` may know something of."""
        return self._functions.keys() | self._assigned.keys()

    @cached_property
    def _functions(self) -> dict[str, list[re.Match[str]]]:
        return _by_name(_FUNCTION.finditer(self.text))

    @cached_property
    def _assigned(self) -> dict[str, list[re.Match[str]]]:
        return _by_name(_ASSIGNED.finditer(self.text))

    def _declares(self, position: int) -> bool:
        return re.search(r"\bfunction\s*\*?\s*$", self.text[:position][-20:]) is not None


def _by_name(matches: Iterable[re.Match[str]]) -> dict[str, list[re.Match[str]]]:
    """By their first group; one that stands in the last group of one before is a part of that."""
    found: dict[str, list[re.Match[str]]] = {}
    for match in matches:
        before = found.setdefault(match[1], [])
        if not before or match.start() >= before[-1].end(match.re.groups):
            before.append(match)
    return found


def _blanked(match: re.Match[str]) -> str:
    return match["text"] or re.sub(r"[^\n]", " ", match[0])


def balanced(text: str, opening: int) -> str | None:
    """What stands between the bracket at ``opening`` and the one that closes it."""
    closers: list[str] = []
    position = opening
    while position < len(text):
        character = text[position]
        if character in "\"'`" and (quoted := _QUOTED.match(text, position)):
            position = quoted.end()
            continue
        if character in _PAIRS:
            closers.append(_PAIRS[character])
        elif closers and character == closers[-1]:
            closers.pop()
            if not closers:
                return text[opening + 1 : position]
        position += 1
    return None


def split(text: str) -> Iterator[str]:
    """The parts between commas that stand in no bracket and no text."""
    start = position = 0
    while position < len(text):
        character = text[position]
        if character in "\"'`" and (quoted := _QUOTED.match(text, position)):
            position = quoted.end()
            continue
        if character in _PAIRS and (inside := balanced(text, position)) is not None:
            position += len(inside) + 2
            continue
        if character == ",":
            yield text[start:position].strip()
            start = position + 1
        position += 1
    if text[start:].strip():
        yield text[start:].strip()


def members(literal: str) -> tuple[dict[str, str], bool]:
    """The members of an object literal, and whether it takes others from elsewhere (``...``)."""
    found: dict[str, str] = {}
    spread = False
    for part in split(balanced(literal, 0) or ""):
        if part.startswith("..."):
            spread = True
            continue
        match = re.match(r"[\"']?([\w$]+)[\"']?\s*(?::\s*(.*))?$", part, re.DOTALL)
        if match:
            found[match[1]] = (match[2] if match[2] is not None else match[1]).strip()
    return found, spread
