"""A collector for OTLP over HTTP as JSON, which remembers what each replica sent."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector(ThreadingHTTPServer):
    """Listens on every address, so that containers reach it through their bridge."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("0.0.0.0", 0), Handler)
        self.names: dict[str, set[str]] = defaultdict(set)
        """By ``service.instance.id`` the names of all metrics and spans."""
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def seen(self) -> dict[str, set[str]]:
        with self.lock:
            return {instance: set(names) for instance, names in self.names.items()}


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        said = json.loads(self._body())
        with self.server.lock:
            for instance, name in named(said):
                self.server.names[instance].add(name)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def _body(self) -> bytes:
        """Of known length, as Node sends it, or in chunks, as Bun does."""
        if length := self.headers["content-length"]:
            return self.rfile.read(int(length))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def log_message(self, format: str, *arguments: object) -> None:
        """Not to the tests' output."""


def named(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, scopes, things in (
        ("resourceMetrics", "scopeMetrics", "metrics"),
        ("resourceSpans", "scopeSpans", "spans"),
    ):
        for resource in said.get(kind, []):
            attributes = {a["key"]: a["value"] for a in resource["resource"]["attributes"]}
            instance = attributes["service.instance.id"]["stringValue"]
            for scope in resource[scopes]:
                for thing in scope[things]:
                    yield instance, thing["name"]
