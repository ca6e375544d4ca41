"""The agent as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack

FEW = 64


def test_a_crowd_of_idle_connections_keeps_nobody_else_from_the_agent() -> None:
    settings = {"HEALTHAGENT_LISTEN": "127.0.0.1:0", "HEALTHAGENT_DOCKER_ENABLED": "false"}
    with (
        subprocess.Popen(
            [sys.executable, "-m", "healthagent", "watch"],
            env={**os.environ, "HEALTHAGENT_ADMIN_SOCKET": "none", **settings},
            stdout=subprocess.PIPE,
            preexec_fn=_few_descriptors,
        ) as agent,
        ExitStack() as crowd,
    ):
        crowd.callback(agent.terminate)
        assert agent.stdout is not None
        said = next(json.loads(line)["message"] for line in agent.stdout if b" listens on " in line)
        host, port = said.rpartition(" ")[2].split(":")
        for _ in range(2 * FEW):
            crowd.enter_context(socket.create_connection((host, int(port))))
        asker = http.client.HTTPConnection(host, int(port), timeout=30)
        crowd.callback(asker.close)
        asker.request("GET", "/livez")
        assert asker.getresponse().read() == b"ok"


def _few_descriptors() -> None:
    """As an engine starts a container: few, and more for who asks."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, 16 * FEW))
