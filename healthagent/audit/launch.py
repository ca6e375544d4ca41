"""How the app is started: from the image's command through package.json's script to a program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import PurePath

from healthagent.audit.evidence import App, Command, Dockerfile, Place
from healthagent.audit.shell import CLOSING, KEYWORDS, Run, commands, functions, interpreter, split
from healthagent.core.observation import Unseen
from healthagent.core.runtime import INITS, PM2, SHELLS

RUN = ("bun", "run", "start")
"""The SRD's entry command."""

MANAGERS = frozenset({"npm", "npx", "yarn", "pnpm", "corepack"})
SUPERVISORS = frozenset(
    {"supervisord", "forever", "nodemon", "concurrently", "npm-run-all", "run-p", "s6-svscan",
     "runit", "circusd", "foreman", "overmind", "honcho"}
)  # fmt: skip
_IMAGES_OWN = "docker-entrypoint.sh"
"""What the official images begin with: it hands over to the command that follows it."""

_AS_USER = frozenset({"gosu", "su-exec"})
"""What becomes the command that follows it, as a user who is named first."""

_BUNS_OWN = frozenset({"x", "exec", "test", "build", "repl", "install", "create"})
"""Commands of Bun's that read like the name of a script."""

_TAKE_A_WORD = frozenset(
    {"--cwd", "--filter", "-F", "--env-file", "--preload", "-r", "--require", "--import", "-d",
     "--define", "--port", "--conditions", "--prefix", "--dir", "-C", "--workspace", "-w"}
)  # fmt: skip
"""Flags of Bun's, npm's and pnpm's that a word belongs to."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*")
_LONGEST = 20
"""Steps of a start, from one script to the next."""
_OTHERS = frozenset({"node", "deno", *MANAGERS, *SUPERVISORS, *PM2})
_CALL_IT_BUN = "where it is a program of `bun build --compile`, call it bun (`--outfile bun`)"
_WRITE = 'write CMD ["bun", "run", "start"], or end the script with `exec bun run start`'


@dataclass(frozen=True, slots=True)
class Launch:
    """``words`` are the command without what hands over to it; ``final`` the program that is the
    app in the end, with its arguments; ``places`` where each step stands.

    ``shell`` is true where a shell stays between PID 1 and the app, ``many`` where that shell
    starts several programs that stay. ``programs`` are all that are started on the way, ``stays``
    those that then wait for the next. ``script`` is the package.json script that is run, and
    ``inner`` are those that it runs in turn; ``missing`` is one that package.json does not have.
    """

    words: tuple[str, ...]
    final: tuple[str, ...]
    places: tuple[Place, ...]
    shell: bool
    many: bool
    programs: tuple[str, ...]
    stays: tuple[str, ...] = ()
    script: str | None = None
    script_text: str = ""
    inner: tuple[str, ...] = ()
    missing: str = ""
    init: str = ""
    """The init that is PID 1 before all of it; empty where there is none."""

    @property
    def program(self) -> str:
        """The base name of the program that is the app in the end."""
        return PurePath(self.final[0]).name if self.final else ""

    @property
    def entry(self) -> tuple[str, ...]:
        """The words with the first program's base name, wherever it lies."""
        return tuple(PurePath(word).name for word in self.words[:1]) + self.words[1:]

    @property
    def by_bun_run(self) -> bool:
        """``bun run SCRIPT`` stays PID 1, and the app is its child."""
        return self.script is not None and self.entry[:1] == ("bun",)

    def __str__(self) -> str:
        return " ".join(self.words)


def watch_flag(words: tuple[str, ...]) -> str:
    """``--watch``, or Bun's ``--hot``, as far as it is the runtime's and not the app's own; empty
    where there is none. It then waits for a change of the files when the app has failed."""
    flags = takewhile(lambda word: not PurePath(word).suffix or word.startswith("-"), words)
    return next((flag for flag in flags if flag in ("--watch", "--hot")), "")


class _Unclear(Exception):  # nothing is wrong
    """What a start comes to cannot be told. ``remedy`` is another way to write it."""

    def __init__(self, why: str, remedy: str = _WRITE) -> None:
        super().__init__(why)
        self.remedy = remedy


def launch(app: App) -> Launch | Unseen:
    """The app's start, as the Compose file, the Dockerfile, package.json and the scripts that they
    name write it."""
    command = _command(app)
    if isinstance(command, Unseen):
        return command
    first = PurePath(command.words[0].split()[0]).name if command.words[0].strip() else ""
    try:
        found = replace(_started(app, command), init=first if first in INITS else "")
    except _Unclear as unclear:
        return Unseen(str(unclear), unclear.remedy)
    if found.final and "$" in found.final[0]:
        return Unseen(f"what {found.final[0]} is, which {found} starts, cannot be told", _WRITE)
    return found


def _started(app: App, command: Command) -> Launch:
    if command.shell:
        return _in_shell(app, " ".join(command.words), (command.place,), None)
    words = _handed_over(command.words)
    if words and PurePath(words[0]).name == _IMAGES_OWN not in app.scripts:
        words = _handed_over(words[1:]) or words
    text = _shells_text(words)
    if text is not None:
        return _in_shell(app, text, (command.place,), None)
    return _followed(app, _plain(words, (command.place,)))


def _shells_text(words: tuple[str, ...]) -> str | None:
    """What a shell is given by ``-c``."""
    if words and PurePath(words[0]).name in SHELLS and "-c" in words[1:-1]:
        return words[words.index("-c") + 1]
    return None


def _plain(words: tuple[str, ...], places: tuple[Place, ...]) -> Launch:
    program = PurePath(words[0]).name if words else ""
    return Launch(words, words, places, False, False, (program,), (program,))


def _command(app: App) -> Command | Unseen:
    """Compose's entrypoint takes the place of both of the image's; its command of the command."""
    built = app.dockerfile if isinstance(app.dockerfile, Dockerfile) else None
    entry = app.service.entrypoint or (built.entrypoint if built else None)
    command = app.service.command
    if command is None and app.service.entrypoint is None and built:
        command = built.command
    parts = [part for part in (entry, command) if part and part.words]
    if not parts:
        if isinstance(app.dockerfile, Unseen):
            return app.dockerfile
        return Unseen(
            f"{app.dockerfile.place}: has no CMD, and {app.service.place} no command",
            'write CMD ["bun", "run", "start"]',
        )
    if entry is not None and entry.shell:
        return entry  # sh -c takes no arguments of CMD
    words = tuple(word for part in parts for word in part.words)
    shell = parts[-1].shell and len(parts) == 1
    if parts[-1].shell and len(parts) > 1:
        words = (*parts[0].words, "sh", "-c", *parts[-1].words)
    return Command(words, shell, parts[-1].place)


def _handed_over(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command behind an init, ``exec``, a change of the user and variables."""
    while words:
        name = PurePath(words[0]).name
        if name in INITS and len(words) > 1:
            words = words[1:]
            while words and words[0].startswith("-"):
                words = words[1:]
        elif name in _AS_USER and len(words) > 2:
            words = words[2:]
        elif name in ("exec", "env", "cross-env") or _ASSIGNMENT.fullmatch(words[0]):
            words = words[1:]
        else:
            break
    return words


def _followed(app: App, found: Launch) -> Launch:
    """What a script becomes, or runs last: one of package.json's, or a file."""
    file = _file(app, found.final)
    if file:
        return _in_file(app, found, *file)
    text = _shells_text(found.final)
    if text is not None:
        return _followed(app, _in_shell(app, text, found.places, found))
    program = found.final[0] if found.final else ""
    known = PurePath(program).name in (*_OTHERS, "bun") or "node_modules/" in program
    if "/" in program and not known:
        why = f"what {program} is, which {found} starts, cannot be told"
        raise _Unclear(why, f"{_WRITE}; {_CALL_IT_BUN}")
    return _scripted(app, found)


def _file(app: App, words: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """The shell's script that is started, with its arguments; none for another program."""
    if words and PurePath(words[0]).name in SHELLS:
        words = words[1:]
        while words and words[0].startswith("-"):
            words = words[1:]
    if not words:
        return None
    name = PurePath(words[0]).name
    is_script = name in app.scripts or name.endswith(".sh")
    return (words[0], words[1:]) if is_script else None


def _in_file(app: App, found: Launch, name: str, arguments: tuple[str, ...]) -> Launch:
    """What a script executes in the end, or runs last."""
    script = app.scripts.get(PurePath(name).name)
    if script is None:
        raise _Unclear(f"{name} was not found, and what it starts not seen")
    if len(found.places) > _LONGEST:
        raise _Unclear(f"{name} starts itself")
    program = interpreter(script.value)
    if program not in SHELLS:
        words = (program, name, *arguments)
        places = (*found.places, script.place)
        return replace(found, final=words, places=places, programs=(*found.programs, program))
    runs = commands(script.value)
    last = runs[-1] if runs else Run("", 1, False)
    words = split(last.text)
    executes = _executes(words)
    words = _handed_over(words)
    if not words or words[0] in CLOSING or words[0] in functions(script.value):
        raise _Unclear(f"what {script.place.where} starts depends on more than its last line")
    if words[-1] in ("$@", "$*"):
        words = _handed_over((*words[:-1], *arguments))
        if not words:
            raise _Unclear(f"{script.place.where} is given no command that it could start")
    place = script.at(last.line)
    programs = (*found.programs, *_programs(runs[:-1]), PurePath(words[0]).name)
    return _followed(
        app,
        replace(
            found, words=words if executes and not found.shell else found.words, final=words,
            places=(*found.places, place), shell=found.shell or not executes,
            many=found.many or any(run.beside for run in runs),
            programs=programs, stays=(*found.stays, PurePath(words[0]).name),
            script_text="; ".join(filter(None, (found.script_text, last.text))),
        ),
    )  # fmt: skip


def _programs(runs: list[Run]) -> Iterator[str]:
    for run in runs:
        words = split(run.text)
        while words and words[0] in KEYWORDS:
            words = words[1:]
        if words := _handed_over(words):
            yield PurePath(words[0]).name


def _in_shell(app: App, text: str, places: tuple[Place, ...], by: Launch | None) -> Launch:
    """What a shell's text starts last; the shell stays unless it executes it (``exec``), or has
    nothing else to do and is a shell that then hands over by itself, which dash is not."""
    runs = commands(text)
    last = split(runs[-1].text) if runs else ()
    if last and last[0] in CLOSING:
        raise _Unclear(f"which program is started depends on more than the last words of {text}")
    shell = not _executes(last)
    many = any(run.beside for run in runs)
    programs = tuple(_programs(runs))
    words = _handed_over(last)
    stays = programs[-1:]
    if by is not None:
        return replace(
            by, final=words, places=places, shell=by.shell or shell, many=by.many or many,
            programs=(*by.programs, *programs), stays=(*by.stays, *stays),
            script_text="; ".join(filter(None, (by.script_text, text))),
        )  # fmt: skip
    return _followed(app, Launch(words, words, places, shell, many, programs, stays))


def _executes(words: tuple[str, ...]) -> bool:
    """Whether the shell becomes the program: ``exec``, behind the variables that are set for it."""
    return next((w for w in words if not _ASSIGNMENT.fullmatch(w)), "") == "exec"


def _scripted(app: App, found: Launch) -> Launch:
    """Follows ``bun run NAME``, ``bun NAME``, ``npm start`` and their like into package.json, and
    from one script there into the next. What runs before a script (``prestart``) is looked at too.
    """
    name = script_name(found.final)
    if name is None:
        return found
    if isinstance(app.code, Unseen) or isinstance(app.code.package, Unseen):
        if name in _BUNS_OWN:
            return found
        raise _Unclear(f"no package.json shows what {found} starts")
    scripts = app.code.package.scripts
    if name not in scripts:
        known = name in _BUNS_OWN or name in app.code.stems
        return found if known else replace(found, missing=name)
    if name in (found.script, *found.inner):
        return replace(found, final=(), inner=(*found.inner, name))  # it goes in a circle
    before = scripts.get(f"pre{name}")
    if before is not None:
        first = _in_shell(app, before.value, (*found.places, before.place), found)
        found = replace(found, places=first.places, many=first.many, programs=first.programs)
    if found.script is None:
        found = replace(found, script=name)
    else:
        found = replace(found, inner=(*found.inner, name))
    script = scripts[name]
    return _followed(app, _in_shell(app, script.value, (*found.places, script.place), found))


def without_flags(words: tuple[str, ...]) -> tuple[str, ...]:
    """A manager's words without its flags, and without what these take as a word of its own."""
    kept, takes = [], False
    for word in words:
        if takes or word.startswith("-"):
            takes = word in _TAKE_A_WORD and not takes
            continue
        kept.append(word)
    return tuple(kept)


def script_name(words: tuple[str, ...]) -> str | None:
    """What a package manager is asked to run, where that is no file."""
    plain = without_flags(words)
    program = PurePath(plain[0]).name if plain else ""
    if program == "bun" or program in MANAGERS:
        rest = plain[2:] if plain[1:2] in (("run",), ("run-script",)) else plain[1:]
        if rest and not PurePath(rest[0]).suffix and "/" not in rest[0]:
            return rest[0]
    return None
