"""Records what a running order desk shows, as the live evidence of the good stack.

    python -m tests.unit.audit.record PROJECT AGENT_URL TRAEFIK_API

Of each container only the members are kept that the audit reads. The metrics are those of a
collector's Prometheus exporter, which names each container by ``service_instance_id``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

from healthagent.audit.reading import engine
from healthagent.cli.agent import Agent
from healthagent.core.compose import PROJECT, SERVICE
from tests.unit.audit.stacks import GOOD

KEPT: dict[str, Any] = {
    "Id": True, "Name": True, "Image": True,
    "State": {"Pid": True, "Health": {"Status": True}},
    "Config": {"Image": True, "Env": True, "Labels": {"com.docker.compose.service": True}},
    "HostConfig": {
        "RestartPolicy": {"Name": True}, "LogConfig": {"Type": True}, "NetworkMode": True,
        "PidMode": True, "IpcMode": True,
    },
}  # fmt: skip


def main(project: str, url: str, api: str) -> None:
    listed = docker("ps", "--quiet", "--filter", f"label={PROJECT}={project}",
                    "--filter", f"label={SERVICE}=app").split()  # fmt: skip
    found = sorted(json.loads(docker("inspect", *listed)), key=lambda c: str(c["Name"]))
    agent = Agent(url)
    write("health.json", agent.health())
    write("budget.json", agent.budget())
    with urllib.request.urlopen(f"{api}/api/http/services", timeout=30) as answer:
        write("traefik.json", json.load(answer))
    write("containers.json", [_container(inspect) for inspect in found])
    names = [str(inspect["Name"]).lstrip("/") for inspect in found]
    lines = [f'desk_steps_total{{service_instance_id="{name}",step="pack"}} 1\n' for name in names]
    (GOOD / "live" / "metrics.txt").write_text("".join(lines))


def _container(inspect: dict[str, Any]) -> dict[str, Any]:
    id_ = inspect["Id"]
    rows = [
        line.split(maxsplit=3) for line in docker("top", id_, "-o", engine.COLUMNS).splitlines()
    ]
    lines = len(docker("logs", "--tail", str(engine.LINES), id_).splitlines())
    kept = reduced(inspect, KEPT)
    kept["Config"]["Env"] = [pair for pair in inspect["Config"]["Env"] if "PASSWORD" not in pair
                             and "DATABASE_URL" not in pair]  # fmt: skip
    return {"inspect": kept, "top": {"Titles": rows[0], "Processes": rows[1:]}, "lines": lines}


def reduced(document: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    return {
        key: document[key] if deeper is True else reduced(document[key], deeper)
        for key, deeper in kept.items()
    }


def docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def write(name: str, document: Any) -> None:
    (GOOD / "live").mkdir(exist_ok=True)
    (GOOD / "live" / name).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
