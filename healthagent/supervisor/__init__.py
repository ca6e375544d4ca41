"""What acts: it takes replicas out of rotation, restarts them, and rolls a service.

It reads the reports that every surface reads, and acts through the ports of ``ports.py``; nothing
that judges knows of it.
"""

from healthagent.supervisor.rotation import Drains

__all__ = ["Drains"]
