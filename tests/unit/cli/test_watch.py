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
from pathlib import Path

from healthagent.cli.agent import Agent

FEW = 64
NO_DOCKER = {"HEALTHAGENT_LISTEN": "127.0.0.1:0", "HEALTHAGENT_DOCKER_ENABLED": "false"}


def test_a_crowd_of_idle_connections_keeps_nobody_else_from_the_agent() -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-m", "healthagent", "watch"],
            env={**os.environ, "HEALTHAGENT_ADMIN_SOCKET": "none", **NO_DOCKER},
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


def test_an_act_is_in_the_log_as_it_is_told_to_who_asked(tmp_path: Path) -> None:
    config, admin = tmp_path / "healthagent.toml", str(tmp_path / "admin.sock")
    config.write_text('[[targets]]\nname = "app-1"\nurl = "http://127.0.0.1:9"\n')
    settings = {"HEALTHAGENT_CONFIG": str(config), "HEALTHAGENT_ADMIN_SOCKET": admin, **NO_DOCKER}
    with (
        subprocess.Popen(
            [sys.executable, "-m", "healthagent", "watch"],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
        ) as agent,
        ExitStack() as ending,
    ):
        ending.callback(agent.terminate)
        assert agent.stdout is not None
        next(line for line in agent.stdout if b" listens on " in line)
        told = list(Agent("http://localhost", admin).act("/targets/app-1/undrain", {}))
        logged = next(json.loads(line) for line in agent.stdout if b'"act"' in line)
        assert [step["text"] for step in told] == ["it was not drained"]
        assert logged.items() >= told[0].items()


def _few_descriptors() -> None:
    """As an engine starts a container: few, and more for who asks."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, 16 * FEW))
