"""Traefik's own word of what it routes to, by its API."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

from healthagent.audit.evidence import Place, Router
from healthagent.core.masking import masked
from healthagent.core.observation import Unseen
from healthagent.core.rotation import served
from healthagent.http_get import get

DEADLINE = 5.0
"""Seconds for all pages of its answer."""

UNASKED = Unseen("Traefik was not asked what it routes to", "audit with --traefik URL: its API")


def read(api: str) -> Router | Unseen:
    """The servers that Traefik sends requests to, of all pages of ``/api/http/services``."""
    servers: set[str] = set()
    page, until = "1", monotonic() + DEADLINE
    try:
        while page:
            url = f"{api.rstrip('/')}/api/http/services?page={page}"
            services, following = _page(url, max(0.0, until - monotonic()))
            servers |= served(services)
            page = "" if following == "1" else following
    except TimeoutError:
        return _unseen(api, f"none that is whole within {DEADLINE:g} s")
    except (OSError, ValueError) as error:
        return _unseen(api, str(error))
    return Router(Place(masked(api)), frozenset(servers))


def _unseen(api: str, why: str) -> Unseen:
    return Unseen(
        f"Traefik's API at {masked(api)} gives no answer: {why}", "name it with --traefik URL"
    )


def _page(url: str, within: float) -> tuple[Any, str]:
    """What a page holds, and which page follows; 1 where none does."""
    answer = get(url, within)
    return json.loads(answer.content), answer.headers.get("X-Next-Page", "1")
