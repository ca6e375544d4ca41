"""The containers' runtime: the Docker Engine, asked to act.

docker-py blocks, so each act is a thread of its own, which the end of the agent does not wait for:
what the Engine was asked for it does, whoever listens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar, cast

from docker.errors import APIError, ImageNotFound, NotFound

from healthagent.aside import aside
from healthagent.core.action import Plan
from healthagent.docker_api import FAULTS, Api, connect, explained, words
from healthagent.errors import ActionError, Unanswered
from healthagent.supervisor import given
from healthagent.supervisor.ports import Container, Image, Successor
from healthagent.supervisor.successor import Creation, Document, creation, foreseen, image_of

WITHIN = 30.0
"""Seconds that the Engine has for one request, the container's own grace left out: creating and
starting take it a second at most where the machine has time for them."""

SLACK = 5.0
"""Seconds beyond all its requests that an act gets to come back from its thread."""

DEFAULT_GRACE = 10
"""Seconds between SIGTERM and SIGKILL where the container says nothing (Docker's own default)."""

R = TypeVar("R")


class DockerRuntime:
    """Acts through the Engine at ``url``, as in DOCKER_HOST."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def inspect(self, id_: str) -> Container:
        return await self._do(f"inspect {id_[:12]}", lambda e: _container(_inspected(e, id_)))

    async def image(self, reference: str, files: tuple[str, ...] = ()) -> Image | None:
        return await self._do(f"look into {reference}", lambda e: _image(e, reference, files))

    async def foresee(self, id_: str, plan: Plan) -> Successor:
        def look(engine: Api) -> Successor:
            return foreseen(_asked(engine, _inspected(engine, id_), plan))

        return await self._do(f"foresee the successor of {id_[:12]}", look)

    async def stop(self, id_: str) -> int:
        seconds = await self._grace(id_)

        def stop(engine: Api) -> int:
            engine.stop(id_, timeout=seconds)
            return int(_inspected(engine, id_)["State"].get("ExitCode", 0))

        return await self._do(f"stop {id_[:12]}", stop, seconds + WITHIN)

    async def restart(self, id_: str) -> None:
        seconds = await self._grace(id_)
        what = f"restart {id_[:12]}"
        await self._do(what, lambda e: e.restart(id_, timeout=seconds), seconds + WITHIN)

    async def _grace(self, id_: str) -> int:
        """Whole seconds, as the Engine has them."""
        return int((await self.inspect(id_)).grace)

    async def start(self, id_: str) -> None:
        await self._do(f"start {id_[:12]}", lambda engine: engine.start(id_))

    async def replace(self, id_: str, plan: Plan) -> str:
        return await self._do(f"replace {id_[:12]}", lambda engine: _replace(engine, id_, plan))

    async def recover(self, id_: str, name: str) -> Container:
        found = await self._do(f"recover {name}", lambda engine: _left_of(engine, id_, name))
        if found == id_:
            await self.restart(found)
            await self._do(f"clear up after {name}", lambda e: _drop_successor(e, id_, name))
        else:
            await self.start(found)
        return await self.inspect(found)

    async def add(self, id_: str, name: str, number: int, plan: Plan) -> str:
        def add(engine: Api) -> str:
            old = _inspected(engine, id_)
            asked = _asked(engine, old, plan, name=name, number=number)
            return _create(engine, old, asked, name)

        return await self._do(f"create {name}", add)

    async def remove(self, id_: str) -> None:
        await self._do(f"remove {id_[:12]}", lambda engine: engine.remove_container(id_, v=True))

    async def logs(self, id_: str, lines: int) -> str:
        def read(engine: Api) -> str:
            told: bytes = engine.logs(id_, stdout=True, stderr=True, tail=lines)
            return told.decode(errors="replace")

        return await self._do(f"read the log of {id_[:12]}", read)

    async def stats(self, id_: str) -> Mapping[str, object]:
        def ask(engine: Api) -> Mapping[str, object]:
            told: Mapping[str, object] = engine.stats(id_, stream=False, one_shot=True)
            return told if told.get("pids_stats") else {}

        return await self._do(f"ask for the stats of {id_[:12]}", ask)

    async def _do(self, what: str, work: Callable[[Api], R], within: float = WITHIN) -> R:
        """Run ``work`` in a thread of its own. Raises :class:`ActionError`."""

        def act() -> R:
            engine = connect(self._url, WITHIN)
            try:
                return work(engine)
            finally:
                engine.close()

        running = aside("docker_act", act)
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(within + SLACK):
                return await asyncio.shield(running)
        except TimeoutError:
            remedy = "look at the log of dockerd; it may still do what it was asked to"
            raise Unanswered(f"cannot {what}: no answer within {within:g} s; {remedy}") from None
        except FAULTS as error:
            kind = ActionError if isinstance(error, APIError) else Unanswered
            raise kind(f"cannot {what}: {self._why(error, within)}") from error

    def _why(self, error: Exception, within: float) -> str:
        said = words(error, self._url, within)
        if isinstance(error, NotFound):
            return f"{said}; somebody else may have removed it"
        if isinstance(error, APIError):
            return said
        return f"{said}; {explained(error, self._url, within).remedy}"


def _inspected(engine: Api, id_: str) -> Document:
    return cast("Document", engine.inspect_container(id_))


def _replace(engine: Api, id_: str, plan: Plan) -> str:
    """As Compose does it: the new one is made before the old one goes, under a name that is free
    for sure. Where the old one does not go it may be half gone, so both stay as they are."""
    old = _inspected(engine, id_)
    name = old["Name"].lstrip("/")
    new = _create(engine, old, _asked(engine, old, plan), _meanwhile(id_, name))
    engine.remove_container(id_)
    engine.rename(new, name)
    return new


def _meanwhile(id_: str, name: str) -> str:
    """What a successor is called while the one with its name is still there."""
    return f"{id_[:12]}_{name}"


def _left_of(engine: Api, id_: str, name: str) -> str:
    """Which container a replacement left. Of two the old one stays, unless the Engine has begun to
    remove it, and so does not start it again, or the new one runs already."""
    old, new = _found(engine, id_), _found(engine, _meanwhile(id_, name))
    if old is not None and not _is_going(old) and not (new and new["State"].get("Running")):
        return id_
    if new is None:
        return str(_inspected(engine, name)["Id"])
    with suppress(APIError):  # what holds the old one, and so its name, need not hold the new one
        if old is not None:
            engine.remove_container(id_)
        engine.rename(new["Id"], name)
    return str(new["Id"])


def _drop_successor(engine: Api, id_: str, name: str) -> None:
    """For one that runs again itself, and not before."""
    if (new := _found(engine, _meanwhile(id_, name))) is not None:
        engine.remove_container(new["Id"], v=False)


def _is_going(document: Document) -> bool:
    """Whether its removal has begun: one that failed half-way leaves it *dead*."""
    return document["State"].get("Status") in ("removing", "dead")


def _found(engine: Api, id_or_name: str) -> Document | None:
    try:
        return _inspected(engine, id_or_name)
    except NotFound:
        return None


def _asked(
    engine: Api,
    old: Document,
    plan: Plan,
    *,
    name: str | None = None,
    number: int | None = None,
) -> Creation:
    now = _known_image(engine, image_of(old, plan))
    if plan.image is None and (now is None or now["Id"] != old["Image"]):
        # The tag has moved on meanwhile, or is gone: what is not asked to change stays what it is.
        plan = replace(plan, image=old["Image"])
    new_image = engine.inspect_image(image_of(old, plan))
    # Of one that was removed by force the settings can no longer be told from the container's.
    image = _known_image(engine, old["Image"]) or {}
    return creation(old, image, new_image, plan, name=name, number=number)


def _known_image(engine: Api, reference: str) -> Document | None:
    try:
        return cast("Document", engine.inspect_image(reference))
    except ImageNotFound:
        return None


def _create(engine: Api, old: Document, asked: Creation, name: str) -> str:
    new = str(engine.create_container_from_config(asked.body, name)["Id"])
    try:
        for network, endpoint in asked.networks.items():
            _connect(engine, new, network, endpoint)
        given.hand_on(engine, old, new)
    except FAULTS:
        engine.remove_container(new, v=True)
        raise
    return new


def _connect(engine: Api, id_: str, network: str, endpoint: Mapping[str, Any]) -> None:
    ipam = endpoint.get("IPAMConfig") or {}
    engine.connect_container_to_network(
        id_,
        network,
        ipv4_address=ipam.get("IPv4Address"),
        ipv6_address=ipam.get("IPv6Address"),
        aliases=endpoint.get("Aliases"),
        links=[tuple(link.split(":", 1)) for link in endpoint.get("Links") or ()],
        link_local_ips=ipam.get("LinkLocalIPs"),
        driver_opt=endpoint.get("DriverOpts"),
    )


def _container(document: Document) -> Container:
    config, host, state = document["Config"], document["HostConfig"], document["State"]
    bindings = (host.get("PortBindings") or {}).values()
    grace = config.get("StopTimeout")
    return Container(
        id=document["Id"],
        name=document["Name"].lstrip("/"),
        image=config["Image"],
        image_id=document["Image"],
        grace=float(DEFAULT_GRACE if grace is None else grace),
        published=tuple(
            int(bound["HostPort"])
            for ports in bindings
            for bound in ports or ()
            if str(bound.get("HostPort") or "0").isdigit() and int(bound.get("HostPort") or 0)
        ),
        healthcheck=_command(config),
        variables=frozenset(pair.partition("=")[0] for pair in config.get("Env") or ()),
        exit_code=None if state.get("Running") else int(state.get("ExitCode", 0)),
    )


def _command(config: Document) -> tuple[str, ...]:
    test = (config.get("Healthcheck") or {}).get("Test") or ()
    return () if list(test[:1]) == ["NONE"] else tuple(test)


def _image(engine: Api, reference: str, files: tuple[str, ...]) -> Image | None:
    try:
        document = engine.inspect_image(reference)
    except ImageNotFound:
        return None
    missing = _missing(engine, document["Id"], files) if files else ()
    return Image(document["Id"], _command(document.get("Config") or {}), missing)


def _missing(engine: Api, image: str, files: tuple[str, ...]) -> tuple[str, ...]:
    """The files that are not there, by the layers of a container that is never started."""
    made = str(engine.create_container_from_config({"Image": image, "Cmd": ["-"]})["Id"])
    try:
        return tuple(file for file in files if not _has(engine, made, file))
    finally:
        engine.remove_container(made, v=True)


def _has(engine: Api, id_: str, file: str) -> bool:
    return given.stat(engine, id_, file) is not None
