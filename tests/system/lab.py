"""Small Bun replicas of their own, made to be stuck: for tests of who restarts them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.quickstart.tour import web
from examples.quickstart.tour.condition import Seen, until
from provision import images, owner, projects
from provision.engine import PROJECT, SERVICE, Engine
from tests.system.agent import AgentProcess
from tests.system.client import Document

PORT = 3000
SECRET = "correct-horse-battery"
WITHIN = 60.0
"""Seconds for whatever is waited for, on a machine that has much else to do."""

APP = """
console.log("begun with API_TOKEN=" + process.env.API_TOKEN);
process.on("SIGTERM", () => process.exit(0));
Bun.serve({
  hostname: "0.0.0.0", port: 3000,
  fetch(request) {
    if (new URL(request.url).pathname === "/block") {
      console.log("blocked: " + process.env.API_TOKEN + " postgres://app:swordfish@db/x");
      for (;;);
    }
    return new Response("ok");
  },
});
"""


class Lab:
    """Three replicas of the service ``lab``, under a Compose project's label of their own."""

    def __init__(self, engine: Engine, project: str) -> None:
        self.engine = engine
        self.project = project
        self.replicas = [f"{project}-lab-{number}" for number in (1, 2, 3)]

    def start(self) -> None:
        project = f"{PROJECT}={self.project}"
        self.engine.docker("network", "create", "--label", project, self.project)
        for name in self.replicas:
            self.engine.docker(
                "run", "--detach", "--name", name, "--network", self.project,
                "--restart", "unless-stopped", "--stop-timeout", "2",
                "--env", f"API_TOKEN={SECRET}",
                "--label", project,
                "--label", f"{SERVICE}=lab",
                "--label", "healthagent.enable=true",
                "--label", f"healthagent.port={PORT}",
                "--label", "healthagent.interval=500ms",
                images.BUN.tag, "bun", "-e", APP,
            )  # fmt: skip

    def began(self, *replicas: str) -> dict[str, str]:
        """By replica what changes with each restart."""
        return {name: self.engine.inspect(name)["State"]["StartedAt"] for name in replicas}

    def others(self, replica: str) -> list[str]:
        return [name for name in self.replicas if name != replica]

    def get(self, replica: str, path: str = "/") -> web.Answer:
        return web.get(f"http://{self.engine.address(replica)}:{PORT}{path}")

    def freeze(self, *replicas: str) -> None:
        for name in replicas:
            os.kill(self.engine.inspect(name)["State"]["Pid"], signal.SIGSTOP)

    def told_to_end(self, replica: str) -> Callable[[], Seen]:
        """Whether SIGTERM waits for a process that is stopped (ShdPnd in proc_pid_status(5))."""
        status = Path(f"/proc/{self.engine.inspect(replica)['State']['Pid']}/status")

        def look() -> Seen:
            try:
                lines = status.read_text().splitlines()
            except (FileNotFoundError, ProcessLookupError):
                return Seen(False, "it has ended")
            pending = next(line for line in lines if line.startswith("ShdPnd:"))
            waits = int(pending.split()[1], 16) & 1 << (signal.SIGTERM - 1)
            return Seen(bool(waits), "no SIGTERM yet")

        return look

    def thaw(self) -> None:
        """Let all go on that are stopped."""
        for name in self.replicas:
            state = self.engine.inspect(name)["State"]
            if state["Running"]:
                os.kill(state["Pid"], signal.SIGCONT)

    def wait_until_serving(self, replica: str) -> None:
        def look() -> Seen:
            answer = self.get(replica)
            return Seen(answer.status == 200, str(answer))

        until(f"{replica} serves", look, within=WITHIN)


@contextmanager
def lab(engine: Engine) -> Iterator[Lab]:
    """A lab that stands, until the block ends."""
    projects.sweep(engine)
    images.ensure(engine, wanted=[images.BUN])
    made = Lab(engine, owner.new_name("lab"))
    try:
        made.start()
        yield made
    finally:
        projects.remove(engine, made.project)


class Healer:
    """An agent that may restart what the lab has, and what it tells of that.

    ``state`` is the directory that its history is kept in.
    """

    def __init__(self, made: Lab, folder: Path, state: Path, **variables: str) -> None:
        settings = {
            "HEALTHAGENT_DOCKER_HOST": made.engine.host,
            "HEALTHAGENT_DOCKER_PROJECT": made.project,
            "HEALTHAGENT_DEFAULTS_SUPERVISE": "restart",
            "HEALTHAGENT_SUPERVISOR_STATE": str(state),
            "HEALTHAGENT_SUPERVISOR_PATIENCE": "1s",
            "HEALTHAGENT_TRAEFIK_POLL": "100ms",
            "HEALTHAGENT_TRAEFIK_THROTTLE": "100ms",
        }
        self.process = AgentProcess(folder, settings | variables)
        self.client = self.process.client

    def acts(self, replica: str, *outcomes: str) -> list[Document]:
        """The steps about a replica, those with these outcomes alone where some are named."""
        return [
            entry
            for entry in self.client.history(replica)
            if entry["event"] == "act" and (not outcomes or entry["outcome"] in outcomes)
        ]

    def wait_for_act(self, replica: str, outcome: str, words: str = "") -> Document:
        """Until a step of a replica has this outcome, and these words as its code or in its text;
        the last such step."""
        found: list[Document] = []

        def look() -> Seen:
            nonlocal found
            acts = self.acts(replica)
            found = [act for act in acts if act["outcome"] == outcome and words in _said(act)]
            return Seen(bool(found), "; ".join(map(_said, acts)))

        until(f"{replica} reads {outcome} {words}", look, within=WITHIN)
        return found[-1]

    def wait_until_ready(self, replicas: list[str]) -> None:
        def look() -> Seen:
            phases = {name: target["phase"] for name, target in self.client.targets().items()}
            return Seen(phases == dict.fromkeys(replicas, "ready"), str(phases))

        until("all are ready", look, within=WITHIN)

    def wait_until_dead(self, *replicas: str) -> None:
        def look() -> Seen:
            targets = self.client.targets()
            phases = {name: targets[name]["phase"] for name in replicas}
            return Seen(set(phases.values()) == {"not live"}, str(phases))

        until(f"{', '.join(replicas)} are not live", look, within=WITHIN)


def _said(act: Document) -> str:
    return f"{act['outcome']} {act['evidence'].get('code', '')}: {act['text']}"
