"""``healthagent demo``: the quickstart's stack and its tour, from a checkout of the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from healthagent.errors import HealthagentError

CHECKOUT = Path(__file__).parents[2]
"""What this package stands in. The wheel has no examples, and nothing that starts them."""


@click.command(short_help="start the quickstart's stack, and give a tour of it")
@click.option("--down", is_flag=True, help="Remove it, and the images that were built for it.")
def demo(down: bool) -> None:
    """Set up all that is missing, start three replicas of a real app behind Traefik, and show what
    becomes of a frozen one and of a lost database.

    It is `make demo` of the project's repository, and is run from a checkout of that.
    """
    if not (CHECKOUT / "examples" / "quickstart").is_dir():
        raise HealthagentError(
            "the demo is not in what was installed: get the project's repository, and run "
            "`make demo` in it"
        )
    sys.stdout.flush()
    os.chdir(CHECKOUT)
    try:
        os.execvp("make", ["make", "--no-print-directory", "demo-down" if down else "demo"])  # noqa: S606, S607
    except FileNotFoundError:
        raise HealthagentError("there is no make here: install it (apt-get install make)") from None
