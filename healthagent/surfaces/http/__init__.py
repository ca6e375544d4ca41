"""HTTP: liveness, readiness, reasons, metrics, events, and Traefik's dynamic configuration."""

from __future__ import annotations

from healthagent.surfaces.http.admin import Admin
from healthagent.surfaces.http.server import Address, Bound, HttpSurface

__all__ = ["Address", "Admin", "Bound", "HttpSurface"]
