"""``healthagent watch``: the agent itself."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from healthagent.cli import parameters


@click.command(short_help="run the agent")
@parameters.config
@click.option("--listen", metavar="HOST:PORT", help="Where to serve HTTP.")
@click.option("--public-listen", metavar="HOST:PORT", help="Where to serve states alone.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
@click.pass_context
def watch(
    ctx: click.Context,
    config: Path | None,
    listen: str | None,
    public_listen: str | None,
    log_level: str | None,
) -> None:
    """Find replicas, judge them, and serve what is known until SIGTERM.

    Settings come from the file, then variables, then these flags: the later wins. `healthagent
    config check` says what is wrong with them, docs/configuration.md what there is.
    """
    gc.disable()  # all that is imported stays: the collector would search it for nothing
    from healthagent import app  # the whole agent: not for the commands that only ask it
    from healthagent.config import Settings

    gc.freeze()
    gc.enable()
    given = {"listen": listen, "public_listen": public_listen, "log.level": log_level}
    flags = {key: value for key, value in given.items() if value is not None}
    ctx.exit(app.run(Settings.load(config, flags)))
