"""A container of the agent's own image beside a replica, in its network namespace.

Sockets can be seen from within a network namespace alone, and entering one takes CAP_SYS_ADMIN. The
Engine starts a container in it for whoever may use the Engine; that one needs no capability.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from healthagent.aside import begin
from healthagent.docker_api import FAULTS, connect, words
from healthagent.errors import ActionError

START_WITHIN = 30.0

ROLE = "healthagent.beside"
"""The label of such a container: the id of the one that it is beside. It is not watched."""


class DockerBeside:
    """Through the Engine at ``url``. ``own_id`` tells the agent's own container, if it has one."""

    def __init__(self, url: str, own_id: Callable[[], str | None]) -> None:
        self._url = url
        self._own_id = own_id

    async def lines(self, id_: str, command: Sequence[str]) -> AsyncIterator[str]:
        own = self._own_id()
        if own is None:
            raise ActionError("the agent runs in no container, so it has no image to look with")
        if own == id_:  # or a container of the app's image would be started
            raise ActionError("the agent itself is in its network, and could not count there")
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[str | ActionError | None] = asyncio.Queue()
        run = _Run(self._url, own, id_, command)

        def tell(what: str | ActionError | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(told.put_nowait, what)

        begin("docker_beside", partial(run, tell))
        try:
            while (line := await told.get()) is not None:
                if isinstance(line, ActionError):
                    raise line
                yield line
        finally:
            begin("docker_beside_end", run.end)


class _Run:
    """One such container, from its creation to its removal."""

    def __init__(self, url: str, own_id: str, id_: str, command: Sequence[str]) -> None:
        self._url = url
        self._own_id = own_id
        self._id = id_
        self._command = command
        self._lock = threading.Lock()
        self._made = ""
        self._ended = False

    def __call__(self, tell: Callable[[str | ActionError | None], None]) -> None:
        try:
            engine: Any = connect(self._url, START_WITHIN)
            try:
                for line in self._lines(engine):
                    tell(line)
            finally:
                engine.close()
                self.end()
        except ActionError as error:
            tell(error)
        except FAULTS as error:
            why = words(error, self._url, START_WITHIN)
            tell(ActionError(f"cannot look beside {self._id[:12]}: {why}"))
        else:
            tell(None)

    def _lines(self, engine: Any) -> Any:
        image = _own_image(_candidates(engine, self._own_id), os.environ)
        body = {
            "Image": image,
            "Entrypoint": list(self._command),
            "Labels": {ROLE: self._id},
            "Healthcheck": {"Test": ["NONE"]},  # the image's asks an agent
            "NetworkDisabled": False,
            "HostConfig": {
                "NetworkMode": f"container:{self._id}",
                "AutoRemove": True,
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"],
            },
        }
        with self._lock:
            if self._ended:
                return
            self._made = engine.create_container_from_config(body)["Id"]
        output = engine.attach(self._made, stdout=True, stderr=False, stream=True, logs=True)
        engine.start(self._made)
        rest = b""
        for piece in output:
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)

    def end(self) -> None:
        """Remove the container. What cannot be removed ends by itself."""
        with self._lock:
            self._ended = True
            made, self._made = self._made, ""
        if not made:
            return
        with suppress(*FAULTS):
            engine = connect(self._url, START_WITHIN)
            try:
                engine.remove_container(made, force=True)
            finally:
                engine.close()


def _candidates(engine: Any, own_id: str) -> list[Mapping[str, Any]]:
    """The containers that may be the agent's own. What Docker mounts names the one whose network
    it is, which with ``network_mode: service:traefik`` is Traefik's."""
    borrowers = [
        listed["Id"]
        for listed in engine.containers()
        if (listed.get("HostConfig") or {}).get("NetworkMode") == f"container:{own_id}"
    ]
    return [engine.inspect_container(id_) for id_ in (own_id, *borrowers)]


def _own_image(candidates: Sequence[Mapping[str, Any]], environ: Mapping[str, str]) -> str:
    """The image of the only one there is, else of the one whose variables are this process's own:
    in another image PATH at the least is another. Raises :class:`~healthagent.errors.ActionError`.
    """
    for document in candidates:
        given = [pair.partition("=") for pair in document["Config"].get("Env") or ()]
        mine = given and all(environ.get(name) == value for name, _, value in given)
        if mine or len(candidates) == 1:
            return str(document["Image"])
    raise ActionError("which container is the agent's own cannot be told, so it has no image")
