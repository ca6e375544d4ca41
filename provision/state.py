"""Remembers what was started and placed, so that ``down`` takes back exactly that."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from provision.errors import ProvisionError
from provision.paths import STATE
from provision.process import Process
from provision.progress import Progress

FILE = STATE / "provision.json"
"""Read and written by each command."""


@dataclass(frozen=True, slots=True)
class State:
    """What ``provision`` did to this machine and has not undone."""

    engine: Process | None = None
    """The dockerd that was started by hand."""
    unit: str | None = None
    """The systemd unit that was started."""
    compose_plugin: str | None = None
    """The link through which the Docker client finds Compose."""


def load(file: Path | None = None) -> State:
    """Read the state; an empty one when there is none, ProvisionError when it cannot be read."""
    file = file or FILE
    try:
        known = json.loads(file.read_text())
        engine = known.pop("engine")
        return State(engine=Process(**engine) if engine else None, **known)
    except FileNotFoundError:
        return State()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProvisionError(
            f"{file} cannot be read: {error}",
            "remove that file; a daemon that it remembers must then be stopped by hand",
        ) from error


def save(file: Path | None = None, **changes: Process | str | None) -> None:
    """Change some fields and write the whole at once (rename(2) is atomic)."""
    file = file or FILE
    state = replace(load(file), **changes)  # type: ignore[arg-type]
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text(json.dumps(asdict(state), indent=2) + "\n")
    written.replace(file)


@contextmanager
def exclusive(progress: Progress) -> Iterator[None]:
    """Let one ``provision`` of this checkout work at a time; the kernel frees a dead one's lock."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("other set-up of this checkout") as step:
                step.say("waiting for it to end")
                fcntl.flock(lock, fcntl.LOCK_EX)
                step.outcome = "over"
        yield
