"""Flags and arguments that several commands share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from healthagent.cli.agent import Agent, Document
from healthagent.core.action import ADMIN_SOCKET
from healthagent.errors import HealthagentError

DEFAULT_URL = "http://127.0.0.1:9180"

PATIENCE = 1.0
"""Seconds that a shell which completes a name waits for the agent."""

C = TypeVar("C", bound=Callable[..., Any])


def agent_at(url: str) -> Agent:
    """The agent at ``http://HOST:PORT``."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # as the look-up of a name will
        parts.path.encode("ascii")
    except ValueError:
        usable = False
    if not usable:
        from healthagent.core.masking import masked

        raise click.BadParameter(f"{masked(url)!r} is no URL of an agent; write http://HOST:PORT")
    return Agent(url)


def agent(command: C, *, first: bool = False) -> C:
    """The agent that a command asks. ``first`` has it read ahead of all other flags."""
    return click.option(
        "--agent",
        metavar="URL",
        type=agent_at,
        envvar="HEALTHAGENT_AGENT_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        is_eager=first,
        help="The agent to ask.",
    )(command)


def admin(command: C) -> C:
    """The agent as somebody reaches it who may act: the admin socket, else a URL and a token."""

    def reach(ctx: click.Context, _param: click.Parameter, socket: str | None) -> Agent:
        asked: Agent = ctx.params["agent"]
        named = ctx.get_parameter_source("agent") is not ParameterSource.DEFAULT
        if socket is None and not named and os.path.exists(ADMIN_SOCKET):  # noqa: PTH110
            socket = ADMIN_SOCKET
        reached = (
            Agent("http://localhost", socket=socket)
            if socket is not None and socket != "none"
            else Agent(asked.url, token=_token())
        )
        del ctx.params["agent"]
        return reached

    command = click.option(
        "--socket",
        "admin",
        metavar="PATH",
        envvar="HEALTHAGENT_ADMIN_SOCKET",
        callback=reach,
        help="The agent's admin socket. Without it, and where there is none at "
        f"{ADMIN_SOCKET}, --agent is asked, with the token of HEALTHAGENT_ADMIN_TOKEN or "
        "HEALTHAGENT_ADMIN_TOKEN_FILE.  [env var: HEALTHAGENT_ADMIN_SOCKET]",
    )(command)
    return agent(command, first=True)


def _token() -> str | None:
    """The admin token, if this process has one."""
    file = os.environ.get("HEALTHAGENT_ADMIN_TOKEN_FILE")
    if not file:
        return os.environ.get("HEALTHAGENT_ADMIN_TOKEN") or None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"HEALTHAGENT_ADMIN_TOKEN_FILE={file}: {error}") from None


def service(command: C) -> C:
    """A Compose service's name."""
    return click.argument("service", shell_complete=_complete_service)(command)


def config(command: C) -> C:
    """The file of the agent's own settings."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="The file of settings, in place of HEALTHAGENT_CONFIG and the default one "
        "(/etc/healthagent/healthagent.toml).",
    )(command)


def as_json(command: C) -> C:
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, whose members are stable."
    )(command)


def target(required: bool) -> Callable[[C], C]:
    """A replica's name, container id, or the beginning of the id."""

    def decorate(command: C) -> C:
        return click.argument("target", required=required, shell_complete=complete_target)(command)

    return decorate


def complete_target(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names of replicas."""
    return [
        CompletionItem(t["name"], help=t["phase"])
        for t in _listed(ctx, "targets")
        if t["name"].startswith(incomplete)
    ]


def _complete_service(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [
        CompletionItem(s["name"])
        for s in _listed(ctx, "services")
        if s["name"].startswith(incomplete)
    ]


def _listed(ctx: click.Context, member: str) -> list[Document]:
    """What the agent that the command would ask has; nothing where it does not say so in time,
    since a shell that completes is no place for an error."""
    asked = ctx.params.get("admin") or ctx.params.get("agent") or Agent(DEFAULT_URL)
    found: list[Document] = []

    def ask() -> None:
        with suppress(HealthagentError):
            found.extend(asked.health()[member])

    # Aside, where a name that does not resolve holds up nobody either; in a bare thread, since
    # healthagent.aside brings asyncio, which takes longer to import than a shell's TAB may.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return found.copy()
