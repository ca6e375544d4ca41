"""Text without secrets: what a replica printed or was called with, before it is kept or shown.

It hides too much rather than too little: what looks like a secret is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

HIDDEN = "***"

SHORTEST = 6
"""Characters from which a value is looked for by itself: a shorter one is in half of all words."""

_NAMES = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?|cookie|session[-_]?id|dsn|jwt|"
    r"api[-_]?key|secret[-_]?key|access[-_]?key|private[-_]?key|signing[-_]?key|encryption[-_]?key|auth|"
    r"authorization|salt"
)
_WORDS_END = r"(?-i:(?<=[a-z])(?![a-z])|(?<=[A-Z])(?![A-Za-z]))"
"""``secret`` ends in ``secretKey``, and ``auth`` neither in ``author`` nor in ``AUTHOR``."""

_SECRET = rf"(?:{_NAMES}){_WORDS_END}"
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE)
_NAME = rf"(?=[\w.-]*?{_SECRET})[\w.-]++"
"""Looked through once: a word that has ``token`` a thousand times takes no longer for it."""

_QUOTE_IN_LOGIN = r"[\"'<>](?![\s\"'<>,;:)}\]]|\Z)"
"""One that more of the same word follows: no end of a string or of a tag."""

_LOGIN = rf"(?:[^\s/?#\"'<>]|{_QUOTE_IN_LOGIN})*"
"""What stands ahead of the last ``@`` of a URL's host, in a text where the URL has no clear end."""

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # -----BEGIN ... PRIVATE KEY-----
    (
        re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|\Z)", re.DOTALL),
        rf"\1{HIDDEN}\2",
    ),
    # postgresql://user:password@host, and a token in place of the user
    (re.compile(rf"(\b[a-z][a-z0-9+.-]{{0,20}}://){_LOGIN}@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    # Authorization: Bearer ..., Basic ..., Cookie: ... to the end of the line
    (
        re.compile(
            r"(\b(?:proxy-)?authorization[\"']?\s*[:=]\s*|\b(?:set-)?cookie[\"']?\s*[:=]\s*)"
            r"[^\r\n]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic|digest)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # PASSWORD=..., "apiKey": "...", --token ..., password: ...
    (
        re.compile(
            rf"((?<![\w.-]){_NAME}[\"']?\s*(?:=>|[:=])\s*)"
            r"(\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|`[^`]*`?|[^\s,;&\"'`}})\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(rf"((?<![\w.-])--?{_NAME}\s+)(\"[^\"]*\"?|'[^']*'?|[^\s\"']+)", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    # a JSON web token; keys that say by their first letters what they are
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    (
        re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-)"
                   r"[\w-]{10,}|\b[sr]k[-_](?:live|test|proj|ant)?[-_]?[\w-]{16,}"),
        HIDDEN,
    ),
)  # fmt: skip


_LOGINS = re.compile(rf"://(?=({_LOGIN})@)?(?=([^/?#]*)@)?")
"""The login as it is where a text holds the URL, and where the URL is all there is: then blanks
and quotes belong to the password, as for ``database_of``."""


def is_secret(name: str) -> bool:
    """Whether a variable or key of this name holds what nobody is to read."""
    return _SECRET_NAME.search(name) is not None


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values that nobody is to read among a replica's variables, passwords in URLs included, as
    they are written and as they are sent; the longest first, so that none leaves a part of
    another."""
    found: set[str] = set()
    for name, value in environment.items():
        if is_secret(name):
            found.add(value)
        for logins in _LOGINS.findall(value):
            for login in logins:
                password = login.partition(":")[2]
                found.update((password, unquote(password)))
    return tuple(sorted((each for each in found if len(each) >= SHORTEST), key=len, reverse=True))


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` with what looks like a secret hidden, and each of ``secrets`` wherever it stands."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text
