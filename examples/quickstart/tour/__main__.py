"""``python -m examples.quickstart.tour``: bring the stack up, show what healthagent is for.

Exit code 0: every step was seen, and the stack is still up. 1: a step was not. 2: wrong usage.
"""

import argparse
import os
import sys
from typing import Final

from examples.quickstart.tour import keeper, story
from examples.quickstart.tour.compose import PROJECT, ComposeStack
from examples.quickstart.tour.condition import NotReached
from examples.quickstart.tour.stack import Stack
from provision import agent, app, engine, images
from provision.errors import ProvisionError, Unavailable
from provision.progress import Progress

_BOLD: Final = "\033[1m"
_PLAIN: Final = "\033[0m"


def main() -> int:
    """Run the command; return its exit code."""
    options = _options()
    try:
        if options.down:
            _down(options.project)
            return 0
        stack = _local() if options.local else _any(options.project)
        story.tell(stack, _say)
    except (ProvisionError, NotReached, OSError) as error:
        print(f"\nThe tour ends here: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _say("The stack is still up")
    _say(f"  the app       {stack.url}")
    _say(f"  healthagent   {stack.agent_url}/")
    _say("  `make demo-down` removes it")
    return 0


def _any(project: str) -> Stack:
    """The stack in containers; as local processes where no engine can be had, which is said."""
    try:
        found = engine.ensure(Progress())
    except Unavailable as error:
        _say(f"No Docker Engine, so the same stack runs as processes here: {error.reason}")
        return _local()
    return _containers(found, project)


def _containers(found: engine.Engine, project: str) -> Stack:
    progress = Progress()
    images.ensure(found, progress)
    agent.ensure(found, progress)
    app.ensure(found, progress)
    with progress.step("the stack") as step:
        step.say("docker compose up")
        stack = ComposeStack(found, project)
        stack.up()
        step.outcome = "up"
    return stack


def _local() -> Stack:
    """The kept stack, mended where an earlier tour left it broken; else a new one."""
    kept = keeper.find() or keeper.start()
    for replica in kept.incarnations:
        kept.thaw(replica)
    kept.start_database()
    return kept


def _down(project: str) -> None:
    """Remove whatever there is: both kinds, since only one of them is there at most."""
    progress = Progress()
    if (kept := keeper.find()) is not None:
        with progress.step("the local stack") as step:
            kept.down()
            step.outcome = "ended"
    if (found := engine.find()) is not None:
        with progress.step("the stack") as step:
            step.say("removing its containers, network and volume")
            ComposeStack(found, project).down()
            step.outcome = "removed"


def _say(text: str) -> None:
    """One line; the steps' headlines stand out on a terminal."""
    bold = sys.stdout.isatty() and not text.startswith(" ")
    gap = "" if text.startswith(" ") else "\n"
    print(f"{gap}{_BOLD}{text}{_PLAIN}" if bold else f"{gap}{text}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tour", description=__doc__)
    parser.add_argument("--local", action="store_true", help="as local processes, with no engine")
    project = os.environ.get("COMPOSE_PROJECT_NAME") or PROJECT
    parser.add_argument("--project", default=project, help="the Compose project (%(default)s)")
    parser.add_argument("--down", action="store_true", help="remove the stack and end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
