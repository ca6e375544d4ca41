"""``healthagent config``: what is set, from where, and what is wrong with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from healthagent.cli import parameters
from healthagent.cli.screen import Screen, print_json

if TYPE_CHECKING:
    from healthagent.config import Settings
    from healthagent.config.settings import Checked
    from healthagent.core.notice import Notice


@click.group(short_help="check and show the agent's settings")
def config() -> None:
    """Check and show the settings that `healthagent watch` would run with here."""


@config.command()
@parameters.config
@parameters.as_json
@click.pass_context
def check(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Print every fault at once, or what is set and from where.

    Exits 2 if there is any fault. A warning is no fault.
    """
    from healthagent.config import Settings

    checked = Settings.check(config)
    if checked.settings is not None:
        checked = checked._replace(notices=(*checked.notices, *_of_history(checked.settings)))
    if as_json:
        print_json(_document(checked))
        ctx.exit(2 if checked.faults else 0)
    settings, faults, notices = checked
    if settings is not None:
        _show(settings, only_set=True)
    for fault in faults:
        click.echo(fault, err=True)
    for notice in notices:
        click.echo(f"warning: {notice}", err=True)
    if not faults:
        click.echo("no fault")
        return
    click.echo(f"{len(faults)} fault{'s' if len(faults) > 1 else ''}", err=True)
    ctx.exit(2)


@config.command()
@parameters.config
@parameters.as_json
def show(config: Path | None, as_json: bool) -> None:
    """Print every value, where it was written, and hide what is secret."""
    from healthagent.config import Settings

    settings = Settings.load(config)
    if as_json:
        from healthagent.config.shown import rows

        shown = [{"key": r.key, "value": r.value, "origin": r.origin} for r in rows(settings)]
        print_json(shown)
    else:
        _show(settings, only_set=False)


def _of_history(settings: Settings) -> Sequence[Notice]:
    """The warning that `watch` gives of a history that it cannot keep.

    One that can be kept is left alone: to open it would make it, or find it locked by the agent.
    """
    from healthagent.supervisor.history import History, located

    file = located(settings.supervisor.state)
    if file is None or os.access(file if os.path.lexists(file) else file.parent, os.W_OK):
        return ()
    told: list[Notice] = []

    async def begin() -> None:
        history = History(file, told.append)
        await history.open()
        await history.aclose()

    asyncio.run(begin())
    return told


def _document(checked: Checked) -> dict[str, list[Mapping[str, object]]]:
    """Faults and warnings, with the same members."""
    from healthagent.config.fault import Fault

    origins = checked.settings.origins if checked.settings else {}
    warnings = (
        Fault(n.key or n.about, n.problem, n.remedy, n.value or None, origins.get(n.key))
        for n in checked.notices
    )
    return {
        "faults": [fault.document() for fault in checked.faults],
        "warnings": [warning.document() for warning in warnings],
    }


def _show(settings: Settings, only_set: bool) -> None:
    from healthagent.config.shown import DEFAULT, rows

    shown = [row for row in rows(settings) if row.origin != DEFAULT or not only_set]
    if not shown:
        click.echo("nothing is set: every value is its default")
        return
    cells = [(row.key, row.value, row.origin) for row in shown]
    Screen().table(("KEY", "VALUE", "FROM"), cells)
