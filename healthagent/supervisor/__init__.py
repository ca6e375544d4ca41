"""What acts: it takes replicas out of rotation, restarts them, and rolls a service.

It reads the reports that every surface reads, and acts through the ports of ``ports.py``; nothing
that judges knows of it.
"""

from healthagent.supervisor.beside import DockerBeside
from healthagent.supervisor.docker import DockerRuntime
from healthagent.supervisor.logged import LogRecorder
from healthagent.supervisor.operations import ReplicaOperations
from healthagent.supervisor.rotation import Drains
from healthagent.supervisor.traefik import TraefikRouter
from healthagent.supervisor.traffic import ReplicaTraffic

__all__ = [
    "DockerBeside",
    "DockerRuntime",
    "Drains",
    "LogRecorder",
    "ReplicaOperations",
    "ReplicaTraffic",
    "TraefikRouter",
]
