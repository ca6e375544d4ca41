"""The audit on a stack that runs: what the Engine, the image and the agent show of it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from examples.quickstart.tour.compose import HERE
from healthagent.audit.reading import engine as reading
from healthagent.audit.reading.layers import PROGRAM
from healthagent.core.observation import Unseen
from provision import owner
from provision.engine import Engine
from tests.system.quickstart import Quickstart

LONGEST = 120.0
"""Seconds for one audit, which reads a whole image, on a busy machine."""

LIVE = ("FR-1.1", "FR-1.2", "FR-4.1", "FR-5.1", "FR-5.3", "FR-7.1", "FR-7.2", "NFR-1.2",
        "NFR-2.2", "NFR-3.2", "8.1.1", "8.1.2", "8.1.3", "9.2")  # fmt: skip
"""What the quickstart meets, and what only a running stack can show."""

UNSEEN = {"FR-7.4": "--traefik", "8.3.2": "--traefik", "NFR-2.1": "--acceptance"}
"""What it does not show by itself, and the flag that would."""


def test_the_audit_of_a_running_stack_sees_what_runs(stack: Quickstart) -> None:
    found = audited(stack)

    for id_ in LIVE:
        assert found[id_]["outcome"] == "met", found[id_]
    for id_, flag in UNSEEN.items():
        assert found[id_]["outcome"] == "not seen", found[id_]
        assert flag in found[id_]["remedy"]
    assert {where["name"] for where in found["8.1.1"]["where"]} >= {
        f"container {replica}" for replica in stack.replicas
    }
    assert found["NFR-1.1"]["outcome"] == "contradiction", "the agent's connection is beside it"
    assert "3 x (5 + 3) + 1 agent" in found["NFR-1.1"]["seen"]
    assert found["FR-6.1"]["outcome"] == "not met", "the quickstart has no Prisma"
    assert found["NFR-3.1"]["outcome"] == "not met", "nor OpenTelemetry"


def audited(stack: Quickstart) -> dict[str, dict[str, Any]]:
    """The requirements by id, as ``healthagent audit --json`` tells them."""
    command = [sys.executable, "-m", "healthagent", "audit", "--json"]
    command += ["--compose", str(HERE / "compose.yaml"), "--project", stack.project]
    result = subprocess.run(
        [*command, "--agent", stack.agent.url],
        env=stack.engine.environment | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert not [secret for secret in stack.secrets if secret in result.stdout]
    return {row["id"]: row for row in json.loads(result.stdout)["requirements"]}


@pytest.fixture
def image_with_node(engine: Engine) -> Iterator[str]:
    """An image with a program called node, and PM2's package, and nothing else."""
    tag = f"{owner.new_name('aud')}:node"
    command = ["docker", "--host", engine.host, "import", "-", tag]
    subprocess.run(command, input=_root(), check=True, capture_output=True, timeout=30)
    yield tag
    engine.docker("rmi", tag)


def _root() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, size in (("usr/bin/node", PROGRAM), ("app/node_modules/pm2/package.json", 2)):
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, size
            tar.addfile(info, io.BytesIO(bytes(size)))
    return buffer.getvalue()


def test_node_in_an_image_is_found_by_the_real_engine(
    engine: Engine, image_with_node: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setenv("DOCKER_HOST", engine.host)
    said: list[str] = []
    containers, images = reading.look("nobody", {"app": image_with_node}, said.append)

    assert isinstance(containers, Unseen)
    assert "no container of project 'nobody'" in containers.reason
    assert not isinstance(images, Unseen)
    assert images[0].files == {
        "node": ("usr/bin/node",),
        "pm2": ("app/node_modules/pm2/package.json",),
    }
    assert said == [f"reading the layers of {image_with_node}"]
