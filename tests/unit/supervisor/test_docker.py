"""What is left of a replica when the Engine fails half-way through its replacement."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import requests
from docker.errors import APIError, NotFound

from healthagent.core.action import Plan
from healthagent.errors import ActionError, Unanswered
from healthagent.supervisor.docker import DockerRuntime
from healthagent.supervisor.ports import Container

OLD, NAME = "a" * 64, "app-1"
MEANWHILE = f"{OLD[:12]}_{NAME}"
TO_ANOTHER = Plan(image="shop:2")

Fault = Callable[["Engine"], None]


class Engine:
    """Docker's API as docker-py has it, with one stopped container. ``faults`` are what happens at
    the next call of a name, before it is answered."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, Fault] = {}
        self.put(OLD, NAME, "shop:1")

    def put(self, id_: str, name: str, image: str) -> None:
        self.containers[id_] = {
            "Id": id_,
            "Name": f"/{name}",
            "Image": f"sha256:{image}",
            "Config": {"Image": image, "Env": [], "Labels": {}},
            "HostConfig": {},
            "NetworkSettings": {"Networks": {}},
            "State": {"Status": "exited", "Running": False, "ExitCode": 0},
        }

    def inspect_container(self, which: str) -> dict[str, Any]:
        return copy.deepcopy(self._known(which))

    def inspect_image(self, reference: str) -> dict[str, Any]:
        return {"Id": f"sha256:{reference}", "Config": {}}

    def create_container_from_config(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        new = f"{len(self.containers):x}".rjust(64, "f")
        self.put(new, name, body["Image"])
        return {"Id": new}

    def diff(self, id_: str) -> None:
        """What Docker's API answers of a container in which no file has changed."""

    def remove_container(self, id_: str, v: bool = False) -> None:
        self._fail("remove")
        del self.containers[self._known(id_)["Id"]]

    def rename(self, id_: str, name: str) -> None:
        self._fail("rename")
        if any(other["Name"] == f"/{name}" for other in self.containers.values()):
            raise APIError("409", explanation=f'the name "/{name}" is already in use')
        self._known(id_)["Name"] = f"/{name}"

    def start(self, id_: str) -> None:
        self._fail("start")
        state = self._known(id_)["State"]
        if state["Status"] == "dead":
            raise APIError("409", explanation="container is marked for removal")
        state.update(Status="running", Running=True)

    def restart(self, id_: str, timeout: int) -> None:
        self.start(id_)

    def close(self) -> None: ...

    def _known(self, which: str) -> dict[str, Any]:
        for container in self.containers.values():
            if which in (container["Id"], container["Name"].lstrip("/")):
                return container
        raise NotFound("404", explanation=f"No such container: {which}")

    def _fail(self, call: str) -> None:
        if (fault := self.faults.pop(call, None)) is not None:
            fault(self)


def breaks_off(_: Engine) -> None:
    raise requests.ConnectionError(ConnectionRefusedError(111, "refused"))


def is_slow(engine: Engine) -> None:
    """It does it all the same."""
    del engine.containers[OLD]
    raise requests.ReadTimeout("read timed out")


def is_busy(engine: Engine) -> None:
    """Half-way through a removal."""
    engine.containers[OLD]["State"].update(Status="dead", Dead=True)
    raise APIError("500", explanation="unlinkat merged: device or resource busy")


def refuses(_: Engine) -> None:
    """Before it has begun."""
    raise APIError("409", explanation="removal is not allowed now")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr("healthagent.supervisor.docker.connect", lambda *_: engine)
    return engine


async def brought_back(engine: Engine, call: str, fault: Fault) -> Container:
    """What runs after a replacement that met a fault, and after it was put right."""
    runtime = DockerRuntime("unix:///run/docker.sock")
    engine.faults[call] = fault
    with pytest.raises(ActionError):
        await runtime.replace(OLD, TO_ANOTHER)
    return await runtime.recover(OLD, NAME)


@pytest.mark.parametrize(
    ("call", "fault", "image"),
    [
        ("rename", breaks_off, "shop:2"),
        ("remove", is_slow, "shop:2"),
        ("remove", is_busy, "shop:2"),
        ("remove", breaks_off, "shop:1"),
        ("remove", refuses, "shop:1"),
    ],
)
async def test_one_of_the_two_runs_under_the_name_and_the_other_is_gone(
    engine: Engine, call: str, fault: Fault, image: str
) -> None:
    found = await brought_back(engine, call, fault)
    assert (found.name, found.image, found.running) == (NAME, image, True)
    assert list(engine.containers) == [found.id], "the successor stays unless the old one starts"


async def test_a_successor_runs_also_where_the_old_one_keeps_its_name(engine: Engine) -> None:
    def again(engine: Engine) -> None:
        engine.faults["remove"] = is_busy
        is_busy(engine)

    found = await brought_back(engine, "remove", again)
    assert (found.name, found.image, found.running) == (MEANWHILE, "shop:2", True)
    assert OLD in engine.containers
    later = await DockerRuntime("unix:///run/docker.sock").recover(OLD, NAME)
    assert (later.id, later.name) == (found.id, NAME), "what was busy is not for ever"


async def test_the_successor_goes_only_once_the_old_one_runs(engine: Engine) -> None:
    def fails_to_start(engine: Engine) -> None:
        raise APIError("500", explanation="no space left on device")

    engine.faults["start"] = fails_to_start
    with pytest.raises(ActionError, match="no space left"):
        await brought_back(engine, "remove", refuses)
    assert len(engine.containers) == 2, "whichever can be started is there still"
    found = await DockerRuntime("unix:///run/docker.sock").recover(OLD, NAME)
    assert list(engine.containers) == [found.id]


async def test_an_engine_that_cannot_be_asked_is_told_from_one_that_refuses(
    engine: Engine,
) -> None:
    runtime = DockerRuntime("unix:///run/docker.sock")
    engine.faults["remove"] = is_slow
    with pytest.raises(Unanswered, match="does not answer within 30 s"):
        await runtime.remove(OLD)
    engine.put(OLD, NAME, "shop:1")
    engine.faults["remove"] = is_busy
    with pytest.raises(ActionError, match="resource busy") as refused:
        await runtime.remove(OLD)
    assert not isinstance(refused.value, Unanswered), "asking again does not help at once"
