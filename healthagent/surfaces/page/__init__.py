"""The status page: what ``/health``, ``/budget`` and ``/events`` tell, for a person with a browser.

It is whole without JavaScript, asks nobody but the agent, and is one file. ``page.js`` keeps it as
it would be if it were loaded now. Everything in it is drawn from documents that the listener shows
anyway, so that a public one tells no more here than elsewhere.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Collection, Iterable
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from healthagent.core.report import Phase
from healthagent.surfaces import entry_text, target_text
from healthagent.surfaces.transition_text import rfc3339

if TYPE_CHECKING:
    from jinja2 import Template

Document = dict[str, Any]

_HERE: Final = Path(__file__).parent
_STYLE: Final = (_HERE / "page.css").read_text()
_SCRIPT: Final = (_HERE / "page.js").read_text()

ENTRIES: Final = 30
"""The last transitions and acts, as many as are shown."""

_NEVER: Final = rfc3339(0.0)
"""The time of an agent that has made no report yet."""

FOR_MACHINES: Final = ("health", "budget", "metrics", "openapi.json")
"""Routes that the page points to, where the listener has them."""


def _source(text: str) -> str:
    """An inline block as Content-Security-Policy names it (CSP Level 3, 2.3.1, hash-source)."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_source(_STYLE)}",
        f"script-src {_source(_SCRIPT)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Markup in a label or a reason stays text; should it get past the escaping, it does nothing."""


def render(
    health: Document, budget: Document, entries: Iterable[Document], routes: Collection[str]
) -> str:
    """The page. ``entries`` are those of ``/events`` with their ``number``, the newest first, of
    which no more are taken than are shown; ``routes`` are the listener's. Takes milliseconds for
    tens of replicas, more for more: call it where nothing waits for it."""
    return _template().render(
        health=health,
        headline=headline(health),
        stuck=target_text.is_stuck(health),
        reported=health["time"] != _NEVER,
        pools=target_text.shares(budget),
        servers=budget["servers"],
        entries=list(islice(filter(entry_text.of_the_whole, entries), ENTRIES)),
        routes=[route for route in FOR_MACHINES if f"/{route}" in routes],
    )


def headline(health: Document) -> str:
    """How all of it is, in a sentence; of a stuck agent without a count, which would be read aloud
    each time it grows."""
    if target_text.is_stuck(health):
        return f"{target_text.STUCK}: it has made no report"
    if health["status"] == "fail" or not health["settled"]:
        return str(health["output"])
    if not health["targets"]:
        return target_text.NOBODY
    counts = Counter(target["phase"] for target in health["targets"])
    parts = [f"{counts[phase]} {phase}" for phase in Phase if counts[phase]]
    if warnings := len(health["notices"]):
        parts.append("1 warning" if warnings == 1 else f"{warnings} warnings")
    return ", ".join(parts)


@cache
def _template() -> Template:
    """Imported by the first who looks: an agent whose page nobody opens goes without."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "style": Markup(_STYLE),  # noqa: S704  # ours, as it stands in the file
        "script": Markup(_SCRIPT),  # noqa: S704
        "told": target_text,
    }
    return environment.get_template("page.html")
