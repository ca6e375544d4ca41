"""``healthagent completion``: lets the shell finish commands, flags and names of replicas."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(short_help="completion for bash, zsh or fish")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what the SHELL needs to complete commands, flags and names of replicas.

    \b
    bash:  healthagent completion bash > /etc/bash_completion.d/healthagent
    zsh:   healthagent completion zsh > "${fpath[1]}/_healthagent_completion"
    fish:  healthagent completion fish > ~/.config/fish/completions/healthagent.fish
    """
    # zsh's file bears the name of the function in it: else zsh calls what it loaded, not that.
    made = SHELLS[shell](ctx.find_root().command, {}, "healthagent", "_HEALTHAGENT_COMPLETE")
    click.echo(made.source())
