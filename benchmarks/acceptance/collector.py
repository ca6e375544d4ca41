"""A collector for OTLP over HTTP as JSON, which remembers what each replica sent."""

from __future__ import annotations

import ipaddress
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from provision.engine import Engine


class Collector(ThreadingHTTPServer):
    """Listens on every address, so that containers reach it through their bridge."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("0.0.0.0", 0), Handler)
        self.names: dict[str, set[str]] = defaultdict(set)
        """By ``service.instance.id`` the names of all metrics and spans."""
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, engine: Engine) -> str:
        """Where containers reach it: the host's end of Docker's own bridge."""
        subnet = engine.docker(
            "network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", "bridge"
        ).strip()
        return f"http://{ipaddress.ip_network(subnet)[1]}:{self.server_address[1]}"

    @property
    def metrics(self) -> str:
        """Where it says who sent, as a collector's Prometheus exporter does."""
        return f"http://127.0.0.1:{self.server_address[1]}/metrics"

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()

    def seen(self) -> dict[str, set[str]]:
        with self.lock:
            return {instance: set(names) for instance, names in self.names.items()}


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_GET(self) -> None:
        lines = [f'target_info{{service_instance_id="{one}"}} 1' for one in self.server.seen()]
        self._answer("\n".join([*lines, ""]).encode())

    def do_POST(self) -> None:
        said = json.loads(self._body())
        with self.server.lock:
            for instance, name in named(said):
                self.server.names[instance].add(name)
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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
