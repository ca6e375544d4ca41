"""The command line: the table of commands, and the exit code of each error.

0 is healthy or done, 1 unhealthy or refused, 2 usage or configuration, 3 agent not reachable.
A command imports what is heavy only when it runs: ``status`` is to answer in under 200 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from healthagent.cli.screen import settle_streams
from healthagent.errors import HealthagentError

COMMANDS = (
    "watch",
    "demo",
    "status",
    "top",
    "explain",
    "events",
    "history",
    "check",
    "budget",
    "drain",
    "undrain",
    "restart",
    "roll",
    "rollback",
    "audit",
    "probe",
    "config",
    "completion",
)
"""Each is the function of its name in the module of its name, in the order of the help."""

ACTS = frozenset({"drain", "undrain", "restart", "roll", "rollback"})
"""Those that are in one module, ``acts``."""


class Commands(click.Group):
    """Imports a command when it is asked for, so that none waits for what another needs."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        found: click.Command = getattr(
            import_module(f"{__name__}.{'acts' if name in ACTS else name}"), name
        )
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="healthagent", prog_name="healthagent")
def root() -> None:
    """Tells Docker and Traefik the truth about every replica of an app, with reasons.

    Exit codes: 0 healthy or done, 1 unhealthy or refused, 2 usage or configuration,
    3 agent not reachable.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code."""
    settle_streams()
    try:
        sys.exit(root.main(arguments, prog_name="healthagent"))
    except KeyboardInterrupt:  # of a shell that completes; what a command does then is click's
        sys.exit(130)
    except HealthagentError as error:
        for line in str(error).splitlines():
            click.echo(f"healthagent: {line}", err=True)
        sys.exit(error.exit_code)
