"""What docs/migration.md tells people to look with, typed at the order desk as it runs."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from benchmarks.acceptance.desk import Desk
from examples.quickstart.tour.condition import Seen, until
from provision import desk as images
from tests.migration_guide import COMMANDS, commands, phase
from tests.system.sveltekit.conftest import HEALED, REPLICAS

FIRST = "desk-app-1"
"""What the guide calls a replica. Here the first of those there are is meant: tests that scaled the
same stack before may have left others than number 1."""

LOOKS = re.compile(
    r"docker compose (top|logs) |docker inspect |docker compose exec --user postgres |"
    r"docker compose exec app (bun|test !) |"
    r"docker compose exec agent healthagent (status|budget|events|explain) |.* --rehearse$"
)
"""What only looks, and shows of three Bun replicas what the guide says."""


def typed(stack: Desk, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command.replace(FIRST, stack.replicas()[0])],
        cwd=images.SOURCE,
        stdin=subprocess.DEVNULL,
        env=os.environ | stack.environment | {"COMPOSE_PROJECT_NAME": stack.project},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("command", dict.fromkeys(c for c in COMMANDS if LOOKS.match(c)))
def test_a_look_of_the_guides_works_as_it_stands(stack: Desk, command: str) -> None:
    result = typed(stack, command)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.strip() or " test " in command


def test_between_stop_and_continue_a_replica_gets_no_request(stack: Desk) -> None:
    (block,) = [part for part in phase("5.").split("```") if "kill -STOP" in part]
    freeze, explain, count, thaw = commands(block.removeprefix("sh\n"))
    victim = stack.replicas()[0]
    assert typed(stack, freeze).returncode == 0
    try:

        def out() -> Seen:
            said = typed(stack, explain)
            return Seen(said.returncode == 1 and "not live" in said.stdout, said.stdout)

        until("explain calls it not live", out, within=30)

        def counted() -> Seen:
            """Traefik has heard of it a moment after the agent has said so."""
            who = dict(line.split()[::-1] for line in typed(stack, count).stdout.splitlines())
            others = set(stack.replicas()) - {victim}
            return Seen(who.keys() == others and sum(map(int, who.values())) == 20, str(who))

        until("the others answer all 20", counted, within=60)
    finally:
        typed(stack, thaw)
    stack.wait_until_ready(REPLICAS, within=HEALED)


def test_a_killed_process_is_back_by_itself_and_the_guide_shows_it(stack: Desk) -> None:
    (block,) = [part for part in phase("5.").split("```") if "kill -KILL" in part]
    kill, events, restarts = commands(block.removeprefix("sh\n"))
    before = int(typed(stack, restarts).stdout)

    assert typed(stack, kill).returncode == 0

    def started_again() -> Seen:
        count = typed(stack, restarts).stdout.strip()
        return Seen(count == str(before + 1), count)

    until("Docker has started it again", started_again, within=HEALED)
    stack.wait_until_ready(REPLICAS, within=HEALED)
    assert "137" in typed(stack, events).stdout
