"""A unix socket in front of the Engine's own, which a test cuts, hangs and mends."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

CHUNK = 65536


class Wire:
    """Forwards connections from ``path`` to ``engine`` in threads that end with the process."""

    def __init__(self, path: Path, engine: Path) -> None:
        self.path = path
        self._engine = engine
        self._flows = threading.Event()
        self._listener: socket.socket | None = None
        self._ends: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        """Forward as if nothing had been."""
        self._flows.set()
        if self._listener is None:
            self._listener = listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.path))
            listener.listen()
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def hang(self) -> None:
        """Take connections and bytes, and hand nothing on."""
        self._flows.clear()

    def cut(self) -> None:
        """End every connection, and leave no socket at the path."""
        if self._listener is not None:
            end(self._listener)
            self._listener = None
            self.path.unlink()
        for connection in self._ends:
            end(connection)
        self._ends.clear()
        self._flows.set()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener is ended
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._engine))
                self._ends += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # one of the two is ended
            while data := source.recv(CHUNK):
                self._flows.wait()
                sink.sendall(data)
        end(source)
        end(sink)


def end(one: socket.socket) -> None:
    """Wake whoever waits on a socket, then close it."""
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
