"""What one event of the Docker Engine says, and what may be concluded from it at once.

Events: https://docs.docker.com/reference/cli/docker/system/events/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from healthagent.core.observation import ContainerState

ACTIONS = (
    "create", "start", "die", "oom", "kill", "stop", "pause", "unpause", "rename", "update",
    "destroy", "health_status", "connect", "disconnect",
)  # fmt: skip
"""What the Engine is asked to tell, of containers and networks. Not exec_*: every HEALTHCHECK is
one, and they flood."""

TOUCHING = frozenset({"start", "die", "pause", "unpause"})
"""After these a container runs, or does no more: it should be looked at at once."""

MENTIONING = frozenset({"oom", "kill", "stop"})
"""After these it runs as before: a look that is under way is to come to its end. A container whose
children are killed for memory, or who is signalled by a script, has many of them a second."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event about a container. ``at`` is in nanoseconds since the epoch, by the Engine's clock.

    ``action`` is without what follows its colon, which is ``detail`` (``health_status: healthy``).
    ``attributes`` hold the container's labels, and what belongs to the action.
    """

    container: str
    action: str
    at: int
    detail: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse(line: bytes) -> Event | None:
    """The event, or ``None`` where it is about no container. Raises ``ValueError`` for no JSON."""
    told = json.loads(line)
    actor = told.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    is_container = told.get("Type") == "container"  # else a network, joined or left by one
    container = actor.get("ID") if is_container else attributes.get("container")
    if not container:
        return None
    action, _, detail = str(told.get("Action", "")).partition(":")
    return Event(container, action, int(told.get("timeNano", 0)), detail.strip(), attributes)


def after(state: ContainerState, event: Event) -> ContainerState:
    """The container's state as far as the event alone tells it.

    An event from before the last start is old news, or the clock was set back: the inspection that
    every event asks for will tell.
    """
    if event.at / 1e9 < state.started_at:
        return state
    match event.action:
        case "die":
            code = event.attributes.get("exitCode", "")
            exit_code = int(code) if code.isdigit() else 0
            return replace(
                state, status="exited", pid=0, exit_code=exit_code, finished_at=event.at / 1e9
            )
        case "pause":
            return replace(state, status="paused")
        case "unpause":
            return replace(state, status="running")
        case "health_status":
            return replace(state, health=event.detail)
        case _:
            return state
