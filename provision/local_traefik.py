"""A Traefik of one's own, with no container."""

import contextlib
import shutil
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from provision import tools
from provision.local import LocalProcess, answers, free_port, new_folder

_READY: Final = 60.0


class LocalTraefik:
    """Traefik on two free ports of 127.0.0.1: ``url`` for traffic, ``api`` for its own answers.

    ``arguments`` are Traefik's own, as in a compose file::

        with LocalTraefik(["--providers.http.endpoint=http://127.0.0.1:9180/traefik"]) as traefik:
            get(traefik.url)
            get(traefik.api + "/api/http/services")
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self._arguments = arguments
        self.url = ""
        self.api = ""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = new_folder("traefik")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            traffic, own = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
            self.url, self.api = f"http://{traffic}", f"http://{own}"
            self._process = LocalProcess(
                [
                    tools.traefik(),
                    f"--entrypoints.web.address={traffic}",
                    f"--entrypoints.traefik.address={own}",
                    "--ping=true",
                    "--api.insecure=true",
                    "--global.checknewversion=false",
                    "--global.sendanonymoususage=false",
                    *self._arguments,
                ],
                log=folder / "traefik.log",
                directory=folder,
            )
            stack.callback(self._process.stop)
            self._process.wait_until(lambda: answers(f"{self.api}/ping"), timeout=_READY)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """Traefik's pid."""
        return self._process.pid
