"""A Dockerfile's instructions, as far as a requirement asks about them.

Shape: https://docs.docker.com/reference/dockerfile/ (line continuation, ARG before FROM, stages,
heredocs).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from healthagent.audit.evidence import Command, Dockerfile, Healthcheck, Place, Text
from healthagent.audit.reading.interpolation import substitute
from healthagent.audit.reading.tree import shown
from healthagent.core.observation import Unseen

_FROM = re.compile(r"--from=(\S+)")
_HEREDOC = re.compile(r"<<-?([\"']?)([A-Za-z_][A-Za-z0-9_]*)\1")


@dataclass(frozen=True, slots=True)
class Instruction:
    """``FROM``, ``RUN``, ...: its keyword in capitals, and the rest with continuations joined."""

    keyword: str
    rest: Text


@dataclass(slots=True)
class _Stage:
    name: str
    base: Text
    parent: _Stage | None
    body: list[Instruction] = field(default_factory=list)

    def chain(self) -> list[_Stage]:
        """From the first ancestor to this one."""
        return [*(self.parent.chain() if self.parent else ()), self]


def read(path: Path, args: Mapping[str, Text], target: str | None) -> Dockerfile | Unseen:
    """The Dockerfile as it is built with these arguments, up to this stage."""
    name = shown(path)
    try:
        text = Text(path.read_text(encoding="utf-8"), Place(name))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return Unseen(f"{name}: {why}", "say in `build:` where the Dockerfile is")
    return of(text, args, target)


def of(text: Text, args: Mapping[str, Text], target: str | None) -> Dockerfile | Unseen:
    """The same for one that stands in another file."""
    name = text.place.where
    stages = _stages(instructions(text), {k: v.value for k, v in args.items()})
    if not stages:
        return Unseen(f"{name}: has no FROM", "name the file that builds the app's image")
    last = next((stage for stage in stages if target and stage.name == target), stages[-1])
    body = [instruction for stage in last.chain() for instruction in stage.body]
    commands = {i.keyword: i.rest for i in body}
    return Dockerfile(
        place=text.place,
        base=last.chain()[0].base,
        bases=tuple(_bases(stages)),
        runs=tuple(_run(i) for stage in stages for i in stage.body if i.keyword == "RUN"),
        last_runs=tuple(_run(i) for i in body if i.keyword == "RUN"),
        copies=tuple(i.rest for i in body if i.keyword in ("COPY", "ADD")),
        command=_command(commands.get("CMD")),
        entrypoint=_command(commands.get("ENTRYPOINT")),
        healthcheck=_healthcheck(commands.get("HEALTHCHECK")),
        environment=_environment(body),
    )


def instructions(text: Text) -> Iterator[Instruction]:
    """Comments and blank lines are left out; a heredoc's lines belong to its instruction."""
    lines = iter(enumerate(text.value.splitlines(), start=1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = [line.strip()]
        while parts[-1].endswith("\\"):
            parts[-1] = parts[-1][:-1]
            following = next((t for _, t in lines if t.strip() and t.lstrip()[0] != "#"), "")
            parts.append(following.strip())
        whole = " ".join(part.strip() for part in parts)
        for heredoc in _HEREDOC.finditer(whole):
            body = []
            for _, inner in lines:
                if inner.strip() == heredoc[2]:
                    break
                body.append(inner.strip())
            whole = "\n".join((whole, *body))
        keyword, _, rest = whole.partition(" ")
        yield Instruction(keyword.upper(), Text(rest.strip(), text.at(number)))


def _stages(found: Iterator[Instruction], args: Mapping[str, str]) -> list[_Stage]:
    """An ARG has the build's value, else its default; before the first FROM it serves FROM."""
    stages: list[_Stage] = []
    values: dict[str, str] = {}
    for instruction in found:
        rest = Text(substitute(instruction.rest.value, values), instruction.rest.place)
        if instruction.keyword == "ARG":
            name, given, default = rest.value.partition("=")
            if name in args:
                values[name] = args[name]
            elif given:
                values.setdefault(name, default.strip("\"'"))
        elif instruction.keyword == "FROM":
            words = [word for word in rest.value.split() if not word.startswith("--")]
            image = words[0] if words else ""
            name = words[2] if len(words) > 2 and words[1].lower() == "as" else str(len(stages))
            parent = next((stage for stage in stages if stage.name == image), None)
            stages.append(_Stage(name, Text(image, rest.place), parent))
        elif stages:
            stages[-1].body.append(Instruction(instruction.keyword, rest))
    return stages


def _bases(stages: list[_Stage]) -> Iterator[Text]:
    """The images that are built on, and those that are copied from; no stage is one."""
    names = {stage.name for stage in stages} | {str(number) for number in range(len(stages))}
    for stage in stages:
        if stage.parent is None:
            yield stage.base
        for instruction in stage.body:
            source = _FROM.search(instruction.rest.value) if instruction.keyword == "COPY" else None
            if source and source[1] not in names:
                yield Text(source[1], instruction.rest.place)


def _run(instruction: Instruction) -> Text:
    """One spelling for both: ``RUN ["npm", "ci"]`` is ``npm ci``."""
    command = _command(instruction.rest)
    return Text(str(command), instruction.rest.place)


def _command(rest: Text | None) -> Command | None:
    if rest is None:
        return None
    try:
        words = json.loads(rest.value)
    except ValueError:
        words = None
    if isinstance(words, list):
        return Command(tuple(map(str, words)), False, rest.place)
    return Command((rest.value,), True, rest.place)


def _healthcheck(rest: Text | None) -> Healthcheck | None:
    if rest is None:
        return None
    test = re.split(r"\bCMD\b", rest.value, maxsplit=1, flags=re.IGNORECASE)[-1].strip()
    return Healthcheck(test.upper() != "NONE", rest.place, str(_command(Text(test, rest.place))))


def _environment(body: list[Instruction]) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for instruction in body:
        if instruction.keyword != "ENV":
            continue
        try:
            words = shlex.split(instruction.rest.value)
        except ValueError:
            words = instruction.rest.value.split()
        if words and "=" not in words[0]:  # ENV NAME value
            words = [f"{words[0]}={' '.join(words[1:])}"]
        pairs = (word.partition("=") for word in words)
        found |= {name: Text(value, instruction.rest.place) for name, _, value in pairs}
    return found
