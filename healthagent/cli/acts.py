"""``healthagent drain``, ``undrain``, ``restart``, ``roll``, ``rollback``: asks the agent to act,
and shows each step as it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Document
from healthagent.cli.screen import Screen, clock, print_json_line, styled

C = TypeVar("C", bound=Callable[..., Any])

FINE = ("done", "observed")

GOES_ON = "the agent goes on with it; see healthagent status"
NOT_TOLD = "the agent has told of no step yet; healthagent history says whether it began"


def pair(text: str) -> tuple[str, str]:
    """The name and the value in ``NAME=VALUE``."""
    name, found, value = text.partition("=")
    if not name or not found:
        raise click.BadParameter(f"{text!r}: write NAME=VALUE")
    return name, value


def plan(command: C) -> C:
    """What a roll and a rollback share beside the image."""
    for option in (
        click.option(
            "--rehearse", is_flag=True, help="Say what would be done and what speaks against it."
        ),
        click.option(
            "--surge",
            is_flag=True,
            help="Start one replica more before the first one goes, where the budget allows it.",
        ),
        click.option(
            "--label", "labels", metavar="K=V", type=pair, multiple=True, help="Set a label."
        ),
        click.option(
            "--env", "variables", metavar="K=V", type=pair, multiple=True, help="Set a variable."
        ),
    ):
        command = option(command)
    return command


why = click.option("--why", default="", metavar="TEXT", help="The reason, for those who look.")


@click.command(short_help="take a replica out of rotation")
@parameters.target(required=True)
@why
@parameters.as_json
@parameters.admin
def drain(admin: Agent, target: str, why: str, as_json: bool) -> None:
    """Take a replica out of rotation, and wait until nothing is in flight there.

    It lives on and is judged on, but gets no new request until it is undrained, also over a restart
    of the agent. Refused where too few others would be ready for the service's quorum.
    """
    _perform(admin, f"/targets/{target}/drain", {"why": why}, as_json)


@click.command(short_help="let a drained replica serve again")
@parameters.target(required=True)
@parameters.as_json
@parameters.admin
def undrain(admin: Agent, target: str, as_json: bool) -> None:
    """Let a drained replica serve again, and wait until the router has it."""
    _perform(admin, f"/targets/{target}/undrain", {}, as_json)


@click.command(short_help="drain, stop and start a replica")
@parameters.target(required=True)
@why
@parameters.as_json
@parameters.admin
def restart(admin: Agent, target: str, why: str, as_json: bool) -> None:
    """Drain a replica, stop it with its grace, start it, and wait until it serves again."""
    _perform(admin, f"/targets/{target}/restart", {"why": why}, as_json)


@click.command(short_help="restart or replace all replicas, one by one")
@parameters.service
@click.option("--image", help="Replace each container by one of this image.")
@plan
@parameters.as_json
@parameters.admin
def roll(admin: Agent, service: str, as_json: bool, **asked: Any) -> None:
    """Restart all replicas of a service, or replace them by containers of another image.

    One by one: each is drained, stopped with its grace, started, ready, its executor registered and
    routed to again before the next one goes. It stops at the first that does not come back, and
    leaves the others serving. Refused where the service would fall below its quorum; with --surge
    that is no matter.
    """
    _perform(admin, f"/services/{service}/roll", _plan(**asked), as_json)


@click.command(short_help="go back to another image, or rehearse it")
@parameters.service
@click.option("--image", required=True, help="The image to go back to.")
@plan
@parameters.as_json
@parameters.admin
def rollback(admin: Agent, service: str, as_json: bool, **asked: Any) -> None:
    """Go back to an earlier image of a service, or of the same app under another runtime.

    It is a roll, which the history calls a rollback. Rehearse it while all is well: --rehearse
    checks that the image is there and has what the health check runs, and that quorum and budget
    hold.
    The way forward again is the same command with the newer image.
    """
    _perform(admin, f"/services/{service}/roll", _plan(**asked) | {"back": True}, as_json)


def _plan(
    image: str | None,
    variables: tuple[tuple[str, str], ...],
    labels: tuple[tuple[str, str], ...],
    surge: bool,
    rehearse: bool,
) -> Document:
    return {
        "image": image,
        "variables": dict(variables),
        "labels": dict(labels),
        "surge": surge,
        "rehearse": rehearse,
    }


def _perform(agent: Agent, path: str, body: Document, as_json: bool) -> NoReturn:
    """Ask, show each step, and exit: 0 done, 1 refused or failed."""
    screen, last = None if as_json else Screen(), ""
    try:
        for step in agent.act(path, body):
            last = step["outcome"]
            if screen is None:
                print_json_line(step)
            else:
                _show(screen, step)
    except KeyboardInterrupt:
        click.echo(f"\nhealthagent: {GOES_ON if last else NOT_TOLD}", err=True)
        raise SystemExit(1) from None
    raise SystemExit(0 if last in FINE else 1)


def _show(screen: Screen, step: Document) -> None:
    who = step["target"] or step["service"]
    outcome = step["outcome"]
    mark = () if outcome in ("begun", "going on") else (styled(outcome), ": ")
    screen.line((clock(step["time"]), "dim"), f"  {who}  ", *mark, step["text"])
