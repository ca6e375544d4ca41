"""Containers as the Docker Engine tells of them: which, how they are, what runs in them."""

from __future__ import annotations

from healthagent.sources.docker.discovery import ContainerStateSource, DockerDiscovery, ExitsSource
from healthagent.sources.docker.top import DockerTop

__all__ = ["ContainerStateSource", "DockerDiscovery", "DockerTop", "ExitsSource"]
