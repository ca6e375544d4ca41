"""Processes as the host's /proc shows them: no request to anybody, and no capability needed."""

from __future__ import annotations

from healthagent.sources.procfs.detail import ProcessDetail
from healthagent.sources.procfs.ports import ClientPortsSource
from healthagent.sources.procfs.tree import PidOf, ProcessTreeSource

__all__ = ["ClientPortsSource", "PidOf", "ProcessDetail", "ProcessTreeSource"]
