"""The shell's scripts that an app's start goes through: files of the build, or of the Dockerfile.

A script is named as the image has it (``/app/bin/start.sh``); it is looked for where COPY took it
from, and else under the same name, with ever fewer folders before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from healthagent.audit.evidence import Code, Dockerfile, Place, Service, Text
from healthagent.audit.reading.tree import shown
from healthagent.core.observation import Unseen

_WORD = re.compile(r"[\w./@+-]+")
_PROGRAMS = frozenset({".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".json", ".py"})
_LARGEST = 200_000
_MOST = 12


def read(
    service: Service, built: Dockerfile | Unseen, code: Code | Unseen, folders: Sequence[Path]
) -> dict[str, Text]:
    """Those that the command, a script of package.json or one of these scripts names."""
    copies = built.copies if isinstance(built, Dockerfile) else ()
    found = dict(_written_out(copies))
    texts = [*_starts(service, built, code), *(text.value for text in found.values())]
    while texts and len(found) < _MOST:
        for word in _WORD.findall(texts.pop()):
            name = PurePath(word).name
            if not name or name in found or ("/" not in word and not name.endswith(".sh")):
                continue
            script = _script(word, copies, folders)
            if script is not None:
                found[name] = script
                texts.append(script.value)
    return found


def _starts(service: Service, built: Dockerfile | Unseen, code: Code | Unseen) -> Iterator[str]:
    """The command last: it is looked at first."""
    if not isinstance(code, Unseen) and not isinstance(code.package, Unseen):
        yield from (script.value for script in code.package.scripts.values())
    image = (built.entrypoint, built.command) if isinstance(built, Dockerfile) else ()
    for command in (*image, service.entrypoint, service.command):
        if command is not None:
            yield str(command)


def _written_out(copies: Iterable[Text]) -> Iterator[tuple[str, Text]]:
    """``COPY <<EOF /start.sh``: the script stands in the Dockerfile itself."""
    for copy in copies:
        first, _, body = copy.value.partition("\n")
        words = first.split()
        if body and any(word.startswith("<<") for word in words):
            yield PurePath(words[-1]).name, Text(f"{body}\n", copy.place)


def _script(word: str, copies: Iterable[Text], folders: Sequence[Path]) -> Text | None:
    name = PurePath(word).name
    for given in (*_sources(name, copies), word):
        parts = [part for part in PurePath(given).parts if part not in ("/", "..")]
        for start in range(len(parts)):
            for folder in folders:
                text = _text(folder.joinpath(*parts[start:]), name)
                if text is not None:
                    return text
    return None


def _sources(name: str, copies: Iterable[Text]) -> Iterator[str]:
    for copy in copies:
        words = [word for word in _WORD.findall(copy.value) if not word.startswith("--")]
        if name in {PurePath(word).name for word in words}:
            yield from words[:-1]


def _text(path: Path, name: str) -> Text | None:
    if path.suffix in _PROGRAMS or not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    begins = text.startswith("#!") or name.endswith(".sh")
    return Text(text, Place(shown(path))) if begins else None
