"""Traefik's own word of what it routes to, by its API."""

from __future__ import annotations

import json
from typing import Any

from healthagent.audit.evidence import Place, Router
from healthagent.core.masking import masked
from healthagent.core.observation import Unseen
from healthagent.core.rotation import served
from healthagent.http_get import get

DEADLINE = 5.0
"""Seconds for one page of its answer."""

LARGEST = 50_000_000
UNASKED = Unseen("Traefik was not asked what it routes to", "audit with --traefik URL: its API")


def read(api: str) -> Router | Unseen:
    """The servers that Traefik sends requests to, of all pages of ``/api/http/services``."""
    servers: set[str] = set()
    page = "1"
    try:
        while page:
            services, following = _page(f"{api.rstrip('/')}/api/http/services?page={page}")
            servers |= served(services)
            page = "" if following == "1" else following
    except (OSError, ValueError, AttributeError) as error:
        return Unseen(
            f"Traefik's API at {masked(api)} gives no answer: {error}", "name it with --traefik URL"
        )
    return Router(Place(masked(api)), frozenset(servers))


def _page(url: str) -> tuple[Any, str]:
    """What a page holds, and which page follows; 1 where none does."""
    with get(url, DEADLINE) as answer:
        return json.loads(answer.read(LARGEST)), answer.headers.get("X-Next-Page", "1")
