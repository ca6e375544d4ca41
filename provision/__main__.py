"""The command line: ``python -m provision``."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from probes import image as probe_image
from provision import agent as agent_image
from provision import (
    app,
    desk,
    engine,
    images,
    local_postgres,
    projects,
    recipe,
    state,
    tools,
)
from provision.errors import ProvisionError, Unavailable
from provision.progress import Progress

_FAILED, _UNAVAILABLE, _INTERRUPTED = 1, 3, 130

_BUILT = (
    *(app.TAG, *reversed(desk.TAGS), agent_image.TAG, probe_image.TAG),
    *(image.tag for image in images.ALL),
    images.BASE,
    *("healthagent/test-exits:local", "healthagent/test-shell:local"),  # the tests' own
)

Facts = dict[str, Any]


def up(progress: Progress, options: argparse.Namespace) -> Facts:
    """Set up the engine, and unless --engine-only the images of both examples."""
    found = engine.ensure(progress)
    facts: Facts = {"engine": found.environment}
    if not options.engine_only:
        facts["images"] = images.ensure(found, progress)
        facts["agent"] = agent_image.ensure(found, progress)
        facts["app"] = app.ensure(found, progress)
        facts["desk"] = desk.ensure(found, progress, desk.TAGS if options.all else (desk.BUN,))
    return facts


def agent(progress: Progress, _: argparse.Namespace) -> Facts:
    """Set up the engine, and the agent's own image alone."""
    found = engine.ensure(progress)
    bases = images.ensure(found, progress, [images.PYTHON])
    return {
        "engine": found.environment,
        "images": bases,
        "agent": agent_image.ensure(found, progress),
    }


def local(progress: Progress, _: argparse.Namespace) -> Facts:
    """Find the programs that stand in where there is no engine."""
    with progress.step("programs for local processes") as step:
        facts = {
            "bun": str(tools.bun()),
            "traefik": str(tools.traefik()),
            "postgres": str(local_postgres.find()),
        }
        step.outcome = ", ".join(facts.values())
    return facts | {"app": str(app.prepare(progress))}


def down(progress: Progress, _: argparse.Namespace) -> Facts:
    """Take back what `up` did: images built here, the Compose link, the daemon it started.

    Debian packages stay installed, and pulled images stay in the engine; so do all images while
    tests or benchmarks run that may be about to use them.
    """
    facts: Facts = {"projects": [], "images": []}
    if (found := engine.find()) is not None:
        facts["projects"] = projects.sweep(found)
        if busy := projects.in_use(found):
            with progress.step("images") as step:
                step.warn(f"stay, since {', '.join(busy)} is in use")
        else:
            facts["images"] = recipe.remove(found, _BUILT, progress)
    with state.exclusive(progress):
        engine.down(progress)
    return facts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 usage, 3 not to be had on this machine."""
    parser = argparse.ArgumentParser(
        prog="python -m provision",
        description="Sets up what the demo and the system tests run on. Idempotent.",
        epilog="exit codes: 0 done, 1 failed, 2 usage, 3 not to be had on this machine",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (up, agent, local, down):
        add(commands, command)
    extent = commands.choices["up"].add_mutually_exclusive_group()
    extent.add_argument(
        "--engine-only", action="store_true", help="the Docker Engine and Compose, no images"
    )
    extent.add_argument(
        "--all", action="store_true", help="the order desk under Node and behind PM2 as well"
    )
    options = parser.parse_args(arguments)
    try:
        facts = options.command(Progress(), options)
    except ProvisionError as error:
        print(f"provision: {error}", file=sys.stderr)
        return _UNAVAILABLE if isinstance(error, Unavailable) else _FAILED
    except OSError as error:  # a disk that is full, a folder that is not to be written, ...
        print(f"provision: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    if options.json:
        print(json.dumps(facts, indent=2))
    return 0


def add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    command: Callable[[Progress, argparse.Namespace], Facts],
) -> None:
    """Offer a function as a command; its docstring is the help."""
    text = command.__doc__ or ""
    parser = commands.add_parser(command.__name__, help=text.splitlines()[0], description=text)
    parser.add_argument("--json", action="store_true", help="print what there is now as JSON")
    parser.set_defaults(command=command)


if __name__ == "__main__":
    sys.exit(main())
