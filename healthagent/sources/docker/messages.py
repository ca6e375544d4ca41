"""What the threads that talk to the Docker Engine tell the event loop."""

from __future__ import annotations

from dataclasses import dataclass

from healthagent.core.notice import Notice
from healthagent.sources.docker.container import Container, Vantage
from healthagent.sources.docker.event import Event


@dataclass(frozen=True, slots=True)
class Heard:
    """An event came. ``at`` is by this process' monotonic clock."""

    at: float
    event: Event


@dataclass(frozen=True, slots=True)
class Inspected:
    """One container as it was after ``asked`` (monotonic); ``None``: there is none of that id."""

    asked: float
    id: str
    container: Container | None


@dataclass(frozen=True, slots=True)
class Untold:
    """The Engine was asked for one container at ``asked`` and did not tell of it, and ``why``. Its
    ``name`` is empty where that is not known either."""

    asked: float
    id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Surveyed:
    """All labelled containers that there were after ``asked``, and from where they are seen."""

    asked: float
    vantage: Vantage
    own: str | None
    containers: tuple[Inspected | Untold, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is at its end; nothing comes after this."""

    notice: Notice


Message = Heard | Inspected | Untold | Surveyed | Lost
