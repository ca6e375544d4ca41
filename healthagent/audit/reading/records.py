"""What others measured: metrics where they arrive, and the last line of an acceptance run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from healthagent.audit.evidence import Metrics, Place, Trial
from healthagent.audit.reading.tree import fault, shown
from healthagent.core.masking import masked
from healthagent.core.observation import Unseen
from healthagent.http_get import get

DEADLINE = 5.0
"""Seconds for the metrics."""

NAMING = ("service_instance_id", "host_name", "container_id", "container_name", "instance",
          "exported_instance")  # fmt: skip
"""Labels of Prometheus series that tell one process from another; the first three are what
OpenTelemetry's resource attributes become (its specification, "Prometheus compatibility")."""

_LABEL = re.compile(rf"(?:{'|'.join(NAMING)})=\"((?:\\.|[^\"\\])*)\"")


def metrics(url: str) -> Metrics | Unseen:
    """The names of processes in a Prometheus text, such as a collector's exporter serves."""
    try:
        text = get(url, DEADLINE).content.decode(errors="replace")
    except (OSError, ValueError) as error:
        return Unseen(f"{masked(url)} does not answer: {error}", "name it with --metrics URL")
    return named(url, text)


def named(url: str, text: str) -> Metrics:
    """The names of processes in a Prometheus text."""
    return Metrics(Place(masked(url)), frozenset(_LABEL.findall(text)))


def trial(path: Path) -> Trial:
    """The last line of an acceptance run's output. Raises :class:`ConfigurationError`."""
    name = shown(path)
    try:
        lines = path.read_text(encoding="utf-8").rstrip().splitlines()
        document = json.loads(lines[-1])
        counts = {k: int(document[k]) for k in ("criteria", "met", "lost", "rollback_lost")}
        frozen = document.get("beside_frozen")
        beside = None if frozen is None else (int(frozen["served"]), int(frozen["failed"]))
    except OSError as error:
        raise fault(
            f"--acceptance {name}: {error.strerror}; name the output of an acceptance run"
        ) from None
    except (ValueError, IndexError, KeyError, TypeError):
        raise fault(
            f"--acceptance {name}: its last line is no JSON object with criteria, met, lost "
            "and rollback_lost; name the whole output of an acceptance run"
        ) from None
    return Trial(place=Place(name, len(lines)), beside_frozen=beside, **counts)
