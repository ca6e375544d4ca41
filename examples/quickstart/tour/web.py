"""What the tour asks over HTTP: the agent for its judgement, Traefik for what users get."""

import json
from collections import Counter
from dataclasses import dataclass

from examples.quickstart.tour.condition import Seen
from healthagent import http_get

NO_ANSWER = 0
"""The status where nothing answered in time."""

_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body, which says why where the status is ``NO_ANSWER``."""

    status: int
    body: str


def get(url: str) -> Answer:
    """GET, whatever comes of it."""
    try:
        answer = http_get.get(url, _TIMEOUT)
    except OSError as error:
        return Answer(NO_ANSWER, str(error))
    return Answer(answer.status, answer.body.decode(errors="replace"))


def readiness(agent_url: str, replica: str) -> Answer:
    """One replica's readiness, with a line for every check."""
    return get(f"{agent_url}/targets/{replica}/readyz?verbose")


def reason(agent_url: str, replica: str) -> str:
    """The agent's own words for why a replica is not ready: its lines that begin with ``[-]``."""
    lines = readiness(agent_url, replica).body.splitlines()
    return "; ".join(line.removeprefix("[-]") for line in lines if line.startswith("[-]"))


def ending(agent_url: str, replica: str) -> str:
    """The agent's own words for how a replica's life before ended."""
    answer = get(f"{agent_url}/health")
    targets = json.loads(answer.body)["targets"] if answer.status in (200, 503) else []
    told = {c["name"]: c["reason"] for t in targets if t["name"] == replica for c in t["checks"]}
    return str(told.get("exit") or "how it ended was not seen")


def routed(agent_url: str) -> list[str]:
    """The servers that the agent gives Traefik; none where it gives no configuration."""
    answer = get(f"{agent_url}/traefik")
    configuration = json.loads(answer.body) if answer.status == 200 else {}
    services = configuration.get("http", {}).get("services", {})
    return sorted(
        server["url"]
        for service in services.values()
        for server in service.get("loadBalancer", {}).get("servers", [])
    )


def answering(url: str, requests: int) -> Counter[str]:
    """Who answers that many requests through Traefik: replicas, or such as ``HTTP 503``."""
    answers: Counter[str] = Counter()
    for _ in range(requests):
        answer = get(url)
        match answer.status:
            case 200:
                answers[json.loads(answer.body)["replica"]] += 1
            case 0:
                answers["no answer"] += 1
            case status:
                answers[f"HTTP {status}"] += 1
    return answers


def all_ready(agent_url: str, replicas: list[str]) -> Seen:
    """Whether the agent holds every replica ready; else what speaks against them."""
    faults = {
        replica: reason(agent_url, replica) or answer.body.strip()
        for replica in replicas
        if (answer := readiness(agent_url, replica)).status != 200
    }
    return Seen(not faults, "; ".join(f"{name}: {fault}" for name, fault in faults.items()))
