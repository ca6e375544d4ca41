"""A peer of the supervisor: what docker-autoheal does, by its documented rules.

Every ``AUTOHEAL_INTERVAL`` (5 s) it asks the Engine for running containers with the label
``autoheal=true`` that Docker calls unhealthy, and restarts each of them, one after the other, with
``AUTOHEAL_DEFAULT_STOP_TIMEOUT`` (10 s) before SIGKILL. ``AUTOHEAL_START_PERIOD`` is 0. It looks at
nothing else (https://github.com/willfarrell/docker-autoheal, README).
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final, Self

from docker import APIClient
from docker.errors import APIError

from provision.engine import PROJECT

INTERVAL: Final = 5.0
STOP_TIMEOUT: Final = 10
LABEL: Final = "autoheal=true"
_ANSWER: Final = 60


class Autoheal:
    """The peer, for as long as the ``with`` block goes on, over one Compose project alone."""

    def __init__(self, host: str, project: str) -> None:
        self._client = APIClient(base_url=host, version="auto", timeout=_ANSWER)
        self._labels = [LABEL, f"{PROJECT}={project}"]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="autoheal", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(_ANSWER)
        self._client.close()

    def _run(self) -> None:
        while not self._over.is_set():
            filters = {"health": ["unhealthy"], "status": ["running"], "label": self._labels}
            for container in self._client.containers(filters=filters):
                self._restart(container["Id"])
            self._over.wait(INTERVAL)

    def _restart(self, id_: str) -> None:
        """A restart that fails is logged there, and tried again at the next turn."""
        try:
            self._client.restart(id_, timeout=STOP_TIMEOUT)
        except APIError as error:
            print(f"autoheal: {error}")
