"""What is in flight at a replica, counted from here or beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from healthagent.core.observation import Unseen
from healthagent.core.target import Target
from healthagent.supervisor.beside import DockerBeside
from healthagent.supervisor.traffic import ReplicaTraffic

REPLICA = Target("a" * 64, "app-1", "app", port=3000)


class Beside:
    """Tells ``printed``. ``commands`` are all that was to be run."""

    def __init__(self, *printed: str) -> None:
        self.printed = printed
        self.commands: list[Sequence[str]] = []

    async def lines(self, id_: str, command: Sequence[str]) -> AsyncIterator[str]:
        self.commands.append(command)
        for line in self.printed:
            yield line


async def test_what_counts_beside_a_replica_lasts_as_long_as_it_is_asked_for() -> None:
    beside = Beside("1", "0")
    traffic = ReplicaTraffic(lambda _: Unseen("not from here"), beside)
    async with aclosing(traffic.in_flight(REPLICA, 1800.0)) as looks:  # type: ignore[type-var]
        assert [await anext(looks) for _ in range(2)] == [1, 0]
    ((*_, port, seconds),) = beside.commands
    assert (port, float(seconds)) == ("3000", 1800.0), "else it ends while a request goes on"


async def test_what_can_be_counted_from_here_needs_nothing_beside() -> None:
    beside = Beside()
    traffic = ReplicaTraffic(lambda _: 2, beside)
    async with aclosing(traffic.in_flight(REPLICA, 30.0)) as looks:  # type: ignore[type-var]
        assert await anext(looks) == 2
    assert beside.commands == []


async def test_beside_itself_the_agent_starts_no_container_of_the_apps_image() -> None:
    beside = DockerBeside("unix:///nowhere/docker.sock", lambda: REPLICA.id)
    traffic = ReplicaTraffic(lambda _: Unseen("the kernel tells no sockets"), beside)
    async with aclosing(traffic.in_flight(REPLICA, 30.0)) as looks:  # type: ignore[type-var]
        assert "the agent itself is in its network" in str(await anext(looks))
