"""Traefik: the ready replicas, as a dynamic configuration for its HTTP provider."""

from __future__ import annotations

from healthagent.surfaces.traefik.part import offered
from healthagent.surfaces.traefik.routing import Routing

__all__ = ["Routing", "offered"]
