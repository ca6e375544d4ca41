"""What acts: it takes replicas out of rotation, restarts them, and rolls a service.

It reads the reports that every surface reads, and acts through the ports of ``ports.py``; nothing
that judges knows of it.
"""

from healthagent.supervisor.beside import DockerBeside
from healthagent.supervisor.docker import DockerRuntime
from healthagent.supervisor.evidence import Inquest
from healthagent.supervisor.guards import Limits
from healthagent.supervisor.history import Earlier, History, located
from healthagent.supervisor.journal import Journal
from healthagent.supervisor.notices import Notices
from healthagent.supervisor.operations import ReplicaOperations
from healthagent.supervisor.rotation import Drains
from healthagent.supervisor.supervise import Supervisor
from healthagent.supervisor.traefik import TraefikRouter
from healthagent.supervisor.traffic import ReplicaTraffic

__all__ = [
    "DockerBeside",
    "DockerRuntime",
    "Drains",
    "Earlier",
    "History",
    "Inquest",
    "Journal",
    "Limits",
    "Notices",
    "ReplicaOperations",
    "ReplicaTraffic",
    "Supervisor",
    "TraefikRouter",
    "located",
]
